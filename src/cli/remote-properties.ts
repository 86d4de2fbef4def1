/** The properties of buckets and types of a running service: the store's calls on them, over HTTP. */
import { utf8 } from '../base/bytes.js';
import { propertiesOf, propsOf } from '../service/http/properties.js';
import type { CallOptions } from '../store/api/call-options.js';
import type { BucketProperties, BucketPropertyChanges } from '../store/api/properties.js';
import { RemoteService, segment } from './remote-service.js';

/** Of one bucket, or of a type where `bucket` is undefined. */
export class RemoteProperties {
  private readonly service: RemoteService;
  private readonly path: string;

  /** @throws {InvalidArgumentError} `url` is not an http or https URL. */
  constructor(url: string, type: string, bucket: string | undefined) {
    this.service = new RemoteService(url);
    const ofType = `/types/${segment(type)}`;
    this.path = bucket === undefined ? `${ofType}/props` : `${ofType}/buckets/${segment(bucket)}/props`;
  }

  async get({ timeoutMs }: CallOptions = {}): Promise<BucketProperties> {
    const answer = (await this.service.json(`${this.path}${queryOf(timeoutMs)}`, timeoutMs)) as { props?: unknown };
    const properties = propertiesOf(answer?.props);
    if (properties === undefined) throw this.service.stranger();
    return properties;
  }

  async set(changes: BucketPropertyChanges, { timeoutMs }: CallOptions = {}): Promise<void> {
    const answer = await this.service.ask(`${this.path}${queryOf(timeoutMs)}`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: utf8(JSON.stringify({ props: propsOf(changes) })),
      timeoutMs,
    });
    if (answer.status !== 204) throw await answer.failure();
    await answer.bytes(0);
  }
}

function queryOf(timeoutMs: number | undefined): string {
  return timeoutMs === undefined ? '' : `?timeout=${timeoutMs}`;
}
