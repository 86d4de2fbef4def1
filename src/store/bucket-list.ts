/**
 * The names of the buckets that have keys. Nothing keeps a list of them: the keys of each partition are in the order of
 * their buckets, so that a walk finds the first key of a bucket that is not deleted and goes on behind the whole
 * bucket. Each step reads R replicas, as a scan does. The cost is a request per bucket and partition, whatever the
 * number of keys, but for keys that are deleted and not yet reaped, which are passed one page after another.
 *
 * Partitions are merged in that order, so that a name comes once, and none is remembered.
 */
import { assert } from '../base/assert.js';
import { compareBytes, textOf, utf8 } from '../base/bytes.js';
import { Heap } from '../base/heap.js';
import { bucketPrefix, decodeLocatedKey, type KeyRange, successorOf, typeRange } from '../codec/key.js';
import { decodeSoundRecord } from '../codec/record.js';
import { visibleSiblings } from '../objects/resolution.js';
import type { ListBucketsOptions } from './api/call-options.js';
import type { BucketHome } from './bucket-home.js';
import { checkNames, checkSignal, checkTimeout, defaultQuorum, quorumOf } from './options.js';
import { aborted, askForPage, justAfter, type PageOptions } from './page.js';
import { checkTypeName } from './property-calls.js';

const LIST_OPTIONS = new Set(['type', 'r', 'timeoutMs', 'signal']);
/** Partitions that are asked at the same time. */
const CONCURRENCY = 16;
/** Where the first key of a bucket is deleted, others probably are. */
const PAGE_ENTRIES = 32;

/** One partition: the bucket found in it last, and what is behind that bucket. */
interface Walk {
  readonly partition: number;
  bucket: Uint8Array;
  rest: KeyRange | null;
}

/** @throws {InvalidArgumentError} at once if an option is wrong. */
export function listBuckets(home: BucketHome, options: ListBucketsOptions): AsyncIterableIterator<string> {
  checkNames('buckets', options, LIST_OPTIONS);
  const { type = 'default', signal } = options;
  checkTypeName(type);
  checkSignal(signal);
  const r = quorumOf('r', options.r ?? home.quorums.r ?? defaultQuorum('r', home.n), home.n);
  const timeoutMs = checkTimeout(options.timeoutMs) ?? home.timeoutMs;
  return namesOf(home, type, { r, values: false, timeoutMs, signal });
}

async function* namesOf(
  home: BucketHome,
  typeName: string,
  options: PageOptions,
): AsyncGenerator<string, void, undefined> {
  await home.properties.requireType(typeName, options);
  const type = utf8(typeName);
  const heap = new Heap<Walk>((a, b) => compareNames(a.bucket, b.bucket));
  const step = async (walks: readonly Walk[]) => {
    for (let first = 0; first < walks.length; first += CONCURRENCY) {
      const some = walks.slice(first, first + CONCURRENCY);
      const found = await Promise.all(some.map((walk) => findNext(home, walk, options)));
      some.forEach((walk, index) => {
        if (found[index]) heap.push(walk);
      });
    }
  };
  await step(
    Array.from({ length: home.partitions }, (_, partition) => ({
      partition,
      bucket: type,
      rest: typeRange(partition, type),
    })),
  );
  for (let first = heap.pop(); first !== undefined; first = heap.pop()) {
    if (options.signal?.aborted) throw aborted(options.signal.reason);
    const name = first.bucket;
    const same = [first];
    while (heap.size > 0 && compareNames(heap.peek()!.bucket, name) === 0) same.push(heap.pop()!);
    const text = textOf(name);
    assert(text !== undefined, 'buckets are created by their name, which is text');
    yield text;
    await step(same);
  }
}

/** Moves `walk` to its next bucket with a key that is not deleted. @returns false if there is none. */
async function findNext(home: BucketHome, walk: Walk, options: PageOptions): Promise<boolean> {
  for (let limit = 1; walk.rest !== null; limit = PAGE_ENTRIES) {
    const { gte, lt } = walk.rest;
    const { entries, more } = await askForPage(home, { partition: walk.partition, gte, lt, limit, ...options });
    const nowMs = home.wallClock();
    const there = entries.find(({ record }) => visibleSiblings(decodeSoundRecord(record), nowMs).length > 0);
    if (there !== undefined) {
      const { type, bucket } = decodeLocatedKey(there.key);
      walk.bucket = bucket;
      // Begins with a partition that is not the highest there could be, so it has a successor.
      walk.rest = { gte: successorOf(bucketPrefix(walk.partition, type, bucket))!, lt };
      return true;
    }
    const last = entries[entries.length - 1];
    walk.rest = more && last !== undefined ? { gte: justAfter(last.key), lt } : null;
  }
  return false;
}

/** In the order of located keys, where the length stands before the name. */
function compareNames(a: Uint8Array, b: Uint8Array): number {
  return a.length - b.length || compareBytes(a, b);
}
