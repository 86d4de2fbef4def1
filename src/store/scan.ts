/**
 * A scan of a bucket: the merge of its partitions' pages, in byte order of the keys. Each partition is read page by
 * page as the consumer takes entries; so a scan holds a page a partition, and waits when its consumer does.
 */
import { compareBytes } from '../base/bytes.js';
import { InvalidArgumentError, QuorumNotMetError, QuorumUnavailableError, TimeoutError } from '../base/errors.js';
import { Heap } from '../base/heap.js';
import { bucketRange, type KeyRange } from '../codec/key.js';
import type { ListedEntry } from '../messages/entries.js';
import type { CallOptions, Key, ScanOptions } from './api/call-options.js';
import type { Scan, ScanEntry, ValuedEntry } from './api/results.js';
import type { BucketHome } from './bucket-home.js';
import { checkNames, checkSignal, checkTimeout, flag, quorumOf, show, textBytes } from './options.js';
import { aborted, askForPage, justAfter, type PageOptions } from './page.js';
import type { Reading } from './read-result.js';
import { scanEntryOf } from './scan-entry.js';

export interface ScanRequest<V> {
  readonly type: Uint8Array;
  readonly bucket: Uint8Array;
  readonly options: ScanOptions;
  /** What holds for the bucket, as soon as it is known. */
  profile(waiting: CallOptions): Promise<{ readonly quorums: { readonly r: number }; readonly reading: Reading<V> }>;
}

const SCAN_OPTIONS = new Set([
  'prefix',
  'gte',
  'gt',
  'lt',
  'lte',
  'limit',
  'values',
  'after',
  'partial',
  'r',
  'timeoutMs',
  'signal',
]);
/** A page is at most so many entries. */
const PAGE_ENTRIES = 256;
/** Partitions whose first pages are fetched at the same time. */
const CONCURRENCY = 16;

/** What keeps a partition from being read while others can be. */
type OutOfReach = QuorumUnavailableError | QuorumNotMetError | TimeoutError;

/** What is known of one partition: a page, and from where to go on. */
interface Stream {
  readonly partition: number;
  entries: readonly ListedEntry[];
  /** The next entry to give. */
  at: number;
  /** The rest of its range, or null at the end. */
  rest: KeyRange | null;
  /** As of the page. */
  mayMissHints: boolean;
}

/** What has gone wrong so far. */
interface Gaps {
  readonly missed: Map<number, OutOfReach>;
  /** True once a page may lack what stand-ins keep. */
  mayMissHints: boolean;
}

/** @throws {InvalidArgumentError} at once if an option is wrong. */
export function scanBucket<V>(home: BucketHome, request: ScanRequest<V>): Scan<ScanEntry | ValuedEntry<V>> {
  const { options } = request;
  checkNames('scan', options, SCAN_OPTIONS);
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  if (options.limit !== undefined && (!Number.isInteger(limit) || limit < 0)) {
    throw new InvalidArgumentError(`limit must be an integer of 0 or more, not ${show(options.limit)}`);
  }
  flag('values', options.values);
  flag('partial', options.partial);
  checkSignal(options.signal);
  const bounds = {
    prefix: keyBytes('prefix', options.prefix),
    gte: keyBytes('gte', options.gte),
    gt: later(keyBytes('gt', options.gt), options.after === undefined ? undefined : keyOfCursor(options.after)),
    lt: keyBytes('lt', options.lt),
    lte: keyBytes('lte', options.lte),
  };
  const streams: Stream[] = [];
  for (let partition = 0; partition < home.partitions; partition++) {
    const range = bucketRange(partition, request.type, request.bucket, bounds);
    const rest = compareBytes(range.gte, range.lt) < 0 ? range : null;
    if (rest !== null) streams.push({ partition, entries: [], at: 0, rest, mayMissHints: false });
  }
  const r = options.r === undefined ? undefined : quorumOf('r', options.r, home.n);
  const timeoutMs = checkTimeout(options.timeoutMs) ?? home.timeoutMs;
  const gaps: Gaps = { missed: new Map(), mayMissHints: false };
  const entries = entriesOf(home, request, streams, limit, { r, timeoutMs, signal: options.signal }, gaps);
  return new RunningScan(entries, gaps);
}

class RunningScan<Entry extends ScanEntry> implements Scan<Entry> {
  readonly #entries: AsyncGenerator<Entry, void, undefined>;
  readonly #gaps: Gaps;

  constructor(entries: AsyncGenerator<Entry, void, undefined>, gaps: Gaps) {
    this.#entries = entries;
    this.#gaps = gaps;
  }

  get unreachable(): readonly number[] {
    return ascending(this.#gaps.missed);
  }

  get mayMissHints(): boolean {
    return this.#gaps.mayMissHints;
  }

  next(): Promise<IteratorResult<Entry, void>> {
    return this.#entries.next();
  }

  return(): Promise<IteratorResult<Entry, void>> {
    return this.#entries.return();
  }

  throw(error: unknown): Promise<IteratorResult<Entry, void>> {
    return this.#entries.throw(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

async function* entriesOf<V>(
  home: BucketHome,
  request: ScanRequest<V>,
  streams: readonly Stream[],
  limit: number,
  asked: Omit<PageOptions, 'r' | 'values'> & { readonly r: number | undefined },
  gaps: Gaps,
): AsyncGenerator<ScanEntry | ValuedEntry<V>, void, undefined> {
  if (limit === 0) return;
  const { missed } = gaps;
  const { timeoutMs, signal } = asked;
  const { quorums, reading } = await request.profile({ timeoutMs, ...(signal !== undefined && { signal }) });
  const { values = false } = request.options;
  const page: PageOptions = { ...asked, values, r: asked.r ?? quorums.r };
  const entriesPerPage = Math.min(PAGE_ENTRIES, limit);
  const fetch = async (stream: Stream) => {
    try {
      await fetchPage(home, stream, { ...page, limit: entriesPerPage });
      gaps.mayMissHints ||= stream.mayMissHints;
    } catch (error) {
      if (!isOutOfReach(error)) throw error;
      stream.rest = null;
      missed.set(stream.partition, error);
    }
  };
  const giveUpIfIncomplete = () => {
    if (missed.size > 0 && request.options.partial !== true) throw incomplete(missed, home.partitions);
  };
  const heap = new Heap<Stream>((a, b) => compareKeys(a.entries[a.at]!.key, b.entries[b.at]!.key));
  const concurrency = Math.min(CONCURRENCY, home.maxInFlight);
  for (let first = 0; first < streams.length; first += concurrency) {
    const some = streams.slice(first, first + concurrency);
    await Promise.all(some.map(fetch));
    for (const stream of some) if (stream.at < stream.entries.length) heap.push(stream);
    // Whoever is out of reach is known at once, and all of them are named; to wait for slow ones, once is enough.
    if ([...missed.values()].some((error) => !(error instanceof QuorumUnavailableError))) giveUpIfIncomplete();
  }
  giveUpIfIncomplete();
  let given = 0;
  for (let stream = heap.pop(); stream !== undefined; stream = heap.pop()) {
    if (page.signal?.aborted) throw aborted(page.signal.reason);
    const entry = stream.entries[stream.at++]!;
    const { mayMissHints } = stream;
    const result = scanEntryOf(entry, { reading, values, wallMs: home.wallClock(), mayMissHints });
    if (result !== null) {
      yield result;
      if (++given === limit) return;
    }
    if (stream.at === stream.entries.length) {
      await fetch(stream);
      giveUpIfIncomplete();
    }
    if (stream.at < stream.entries.length) heap.push(stream);
  }
}

/** Fills `stream` with its next page that has entries; leaves it empty at the end of its range. */
async function fetchPage(home: BucketHome, stream: Stream, options: PageOptions & { limit: number }): Promise<void> {
  stream.entries = [];
  stream.at = 0;
  while (stream.rest !== null && stream.entries.length === 0) {
    const { gte, lt } = stream.rest;
    const outcome = await askForPage(home, { partition: stream.partition, gte, lt, ...options });
    stream.entries = outcome.entries;
    stream.mayMissHints = outcome.mayMissHints;
    const last = outcome.entries[outcome.entries.length - 1];
    stream.rest = outcome.more && last !== undefined ? { gte: justAfter(last.key), lt } : null;
  }
}

function isOutOfReach(error: unknown): error is OutOfReach {
  return error instanceof QuorumUnavailableError || error instanceof QuorumNotMetError || error instanceof TimeoutError;
}

/** What a scan fails with that would leave keys out; of several reasons the least certain. */
function incomplete(missed: ReadonlyMap<number, OutOfReach>, of: number): OutOfReach {
  const partitions = ascending(missed);
  const errors = [...missed.values()];
  const named = partitions.length > 8 ? `${partitions.slice(0, 8).join(', ')} …` : partitions.join(', ');
  const text = (error: OutOfReach) =>
    `${partitions.length} of ${of} partitions cannot be read (${named}): ${error.message}; or scan with partial: true, without them`;
  const late = errors.find((error) => error instanceof TimeoutError);
  if (late !== undefined) return new TimeoutError(text(late), { definite: true, partitions });
  const few = errors.find((error) => error instanceof QuorumNotMetError);
  if (few !== undefined) {
    const { quorum, got, wanted } = few;
    return new QuorumNotMetError(text(few), { definite: true, partitions, quorum, got, wanted });
  }
  const down = errors.find((error) => error instanceof QuorumUnavailableError)!;
  const { quorum, got, wanted } = down;
  return new QuorumUnavailableError(text(down), { partitions, quorum, got, wanted });
}

function ascending(missed: ReadonlyMap<number, OutOfReach>): number[] {
  return [...missed.keys()].sort((a, b) => a - b);
}

/** Located keys of different partitions, by what follows the partition: type and bucket are the same. */
function compareKeys(a: Uint8Array, b: Uint8Array): number {
  return compareBytes(a.subarray(2), b.subarray(2));
}

function keyBytes(name: string, key: Key | undefined): Uint8Array | undefined {
  if (key === undefined) return undefined;
  if (typeof key === 'string') return textBytes(name, key);
  if (key instanceof Uint8Array) return key;
  throw new InvalidArgumentError(`${name} must be a string or a Uint8Array, not ${show(key)}`);
}

function keyOfCursor(cursor: string): Uint8Array {
  const bytes = typeof cursor === 'string' ? Buffer.from(cursor, 'base64url') : EMPTY_CURSOR;
  if (bytes.length === 0 || bytes.toString('base64url') !== cursor) {
    throw new InvalidArgumentError('after must be the cursor of an entry that a scan of this bucket gave');
  }
  return bytes;
}

const EMPTY_CURSOR = Buffer.alloc(0);

function later(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareBytes(a, b) >= 0 ? a : b;
}
