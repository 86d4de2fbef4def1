/** The keys of a bucket of a running service, by its streamed list. */
import { QuoralError } from '../base/errors.js';
import type { Key, ScanOptions } from '../store/api/call-options.js';
import { jsonObjectsOf } from './json-objects.js';
import { type Answer, ConnectionError, RemoteError, type RemoteService } from './remote-service.js';
import { CommandError } from './terminal.js';

/** Of a list, what the service takes: bounds are texts. */
export type ListOptions = Pick<ScanOptions, 'r' | 'limit' | 'after' | 'timeoutMs' | 'signal'> & {
  readonly [bound in 'prefix' | 'gte' | 'gt' | 'lt' | 'lte']?: string;
};

/** The service sends objects of some 16 KiB. */
const MAX_LIST_OBJECT_CHARS = 2 ** 20;

/**
 * The keys, in byte order. The service cuts off who takes nothing for a while, as a consumer that is busy with the
 * values may; so where a connection breaks after some keys have come, the list is asked for anew behind the last one.
 * @param path - of the list
 * @throws {CommandError} The list did not come to its end: some keys would be missing unnoticed.
 */
export async function* listedKeys(
  service: RemoteService,
  path: string,
  options: ListOptions,
): AsyncGenerator<Key, void, undefined> {
  const { signal, limit = Number.POSITIVE_INFINITY, after, ...range } = options;
  let given = 0;
  let last = after;
  for (;;) {
    const before = given;
    const left = limit - given;
    const query = queryOf({ ...range, after: last, limit: left === Number.POSITIVE_INFINITY ? undefined : left });
    try {
      const answer = await service.ask(`${path}?${query}`, { signal, timeoutMs: range.timeoutMs, isStream: true });
      if (answer.status !== 200) throw await answer.failure();
      for await (const key of keysOf(answer)) {
        given++;
        last = cursorOf(key);
        yield key;
      }
      return;
    } catch (error) {
      if (error instanceof QuoralError) throw error;
      if (error instanceof ConnectionError && given > before && given < limit) continue;
      if (error instanceof CommandError) throw error;
      throw brokenOff(error instanceof Error ? error.message : String(error));
    }
  }
}

/** As `after`, it goes on behind this key. */
export function cursorOf(key: Key): string {
  return Buffer.from(key).toString('base64url');
}

async function* keysOf(answer: Answer): AsyncGenerator<Key, void, undefined> {
  let ended = false;
  for await (const object of jsonObjectsOf(answer.pieces(), MAX_LIST_OBJECT_CHARS)) {
    if (object.error !== undefined) throw listFailure(String(object.error));
    const keys: Key[] = [...textsOf(object.keys)];
    for (const base64 of textsOf(object.binaryKeys)) keys.push(new Uint8Array(Buffer.from(base64, 'base64')));
    ended = keys.length === 0;
    if (object.binaryKeys !== undefined) keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    yield* keys;
  }
  if (!ended) throw new CommandError('The list of keys broke off before its end');
}

function queryOf(options: { readonly [name: string]: unknown }): URLSearchParams {
  const query = new URLSearchParams({ keys: 'stream' });
  for (const [name, option] of Object.entries(options)) {
    if (option !== undefined) query.set(name === 'timeoutMs' ? 'timeout' : name, String(option));
  }
  return query;
}

function listFailure(text: string): Error {
  return text === 'timeout' ? new RemoteError('TIMEOUT', 'The list of keys timed out', true) : brokenOff(text);
}

function brokenOff(why: string): CommandError {
  return new CommandError(`The list of keys broke off: ${why}`);
}

function textsOf(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((text) => typeof text === 'string') : [];
}
