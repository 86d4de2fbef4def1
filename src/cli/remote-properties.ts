/** The properties of buckets and types of a running service: the store's calls on them, over HTTP. */
import { propertiesOf, propsOf } from '../service/http/properties.js';
import type { CallOptions } from '../store/api/call-options.js';
import type { BucketProperties, BucketPropertyChanges } from '../store/api/properties.js';
import { baseOf, failureOf, getJson, request, SLACK_MS, segment } from './service-request.js';
import { CommandError } from './terminal.js';

/** Of one bucket, or of a type where `bucket` is undefined. */
export class RemoteProperties {
  private readonly url: string;
  private readonly path: string;

  /** @throws {InvalidArgumentError} `url` is not an http or https URL. */
  constructor(url: string, type: string, bucket: string | undefined) {
    this.url = url;
    const ofType = `/types/${segment(type)}`;
    this.path = bucket === undefined ? `${ofType}/props` : `${ofType}/buckets/${segment(bucket)}/props`;
  }

  async get({ timeoutMs }: CallOptions = {}): Promise<BucketProperties> {
    const answer = (await getJson(this.url, `${this.path}${queryOf(timeoutMs)}`, timeoutMs)) as { props?: unknown };
    const properties = propertiesOf(answer?.props);
    if (properties === undefined) throw new CommandError(`${this.url} does not answer as quoral does`);
    return properties;
  }

  async set(changes: BucketPropertyChanges, { timeoutMs }: CallOptions = {}): Promise<void> {
    const response = await request(`${baseOf(this.url)}${this.path}${queryOf(timeoutMs)}`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ props: propsOf(changes) }),
      signal: AbortSignal.timeout((timeoutMs ?? 0) + SLACK_MS),
    });
    if (response.status !== 204) throw await failureOf(response);
  }
}

function queryOf(timeoutMs: number | undefined): string {
  return timeoutMs === undefined ? '' : `?timeout=${timeoutMs}`;
}
