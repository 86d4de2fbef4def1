/**
 * Calls on many keys: a bounded number under way at a time, each key answered by itself. One call's share of the
 * client's room is bounded, so that it cannot crowd out the others; where the room is short, it makes do with less.
 */
import { latin1, utf8 } from '../base/bytes.js';
import { InvalidArgumentError, OverloadedError } from '../base/errors.js';
import type { Key, PutEntry } from './api/call-options.js';
import { show } from './options.js';

/** One operation, not begun yet. */
export interface KeyedCall<R> {
  readonly key: Key;
  make(): Promise<R>;
}

/** Operations that one call has under way. Enough to keep all nodes busy; more only makes each of them wait longer. */
const CONCURRENCY = 128;

/**
 * Makes every call, and answers each by its key, in the order given.
 * A call that is refused for lack of room is made again after others of these; only when it is alone under way, and
 * is refused, that is its answer.
 */
export async function answerEach<R>(calls: readonly KeyedCall<R>[], maxInFlight: number): Promise<Map<Key, R | Error>> {
  const answers = new Array<R | Error>(calls.length);
  const waiting = Array.from(calls.keys()).reverse();
  /** Those under way. */
  let lanes = Math.min(CONCURRENCY, maxInFlight, calls.length);
  const work = async () => {
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      try {
        answers[at] = await calls[at]!.make();
      } catch (error) {
        if (error instanceof OverloadedError && error.definite && lanes > 1) {
          // Another lane, which is under way, takes it up; this one's room belongs to somebody else.
          waiting.push(at);
          break;
        }
        answers[at] = asError(error);
      }
    }
    lanes--;
  };
  await Promise.all(Array.from({ length: lanes }, work));
  return new Map(calls.map(({ key }, at) => [key, answers[at]!]));
}

/** The keys, each of which must be there once. @throws {InvalidArgumentError} */
export function keysOnce(call: string, keys: Iterable<Key>): Key[] {
  const list = listOf(call, keys);
  const seen = new Set<string>();
  for (const key of list) {
    const bytes = typeof key === 'string' ? utf8(key) : key;
    if (!(bytes instanceof Uint8Array)) {
      throw new InvalidArgumentError(`a key must be a string or a Uint8Array, not ${show(key)}`);
    }
    const name = latin1(bytes);
    if (seen.has(name)) {
      throw new InvalidArgumentError(`${call} was given the key ${show(key)} twice; give each key once`);
    }
    seen.add(name);
  }
  return list;
}

/** The entries of a `putMany`, each of a key of its own. @throws {InvalidArgumentError} */
export function entriesByKey<V>(entries: Iterable<PutEntry<V>>): PutEntry<V>[] {
  const list = listOf('putMany', entries);
  for (const entry of list) {
    if (typeof entry === 'object' && entry !== null && 'key' in entry && 'value' in entry) continue;
    throw new InvalidArgumentError(`each entry of putMany must be { key, value, … }, not ${show(entry)}`);
  }
  keysOnce(
    'putMany',
    list.map(({ key }) => key),
  );
  return list;
}

function listOf<T>(call: string, items: Iterable<T>): T[] {
  // A text is an iterable of letters, which nobody means.
  if (typeof items === 'object' && items !== null && Symbol.iterator in items) return [...items];
  throw new InvalidArgumentError(`${call} needs an iterable, such as an array, not ${show(items)}`);
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`a codec threw ${show(thrown)}`, { cause: thrown });
}
