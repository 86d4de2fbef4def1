/**
 * The hashing behind a tree, as tasks that need nothing but a snapshot of the records: whoever has one runs them
 * (`actors/tree-hasher.ts` in a thread of the hashing pool; the simulator in its own). Only what changes in a tree, or
 * the leaves that were asked for, come back.
 *
 *     slice   the records from a key on, as many as were asked for: their leaves, summed by segment
 *     fold    changes that a vnode noted: what they do to the sums. Needs no records.
 *     folds   those of many vnodes, which are worth a worker's time together
 *     keys    the keys of some segments with their leaves
 *
 * A slice checks every record that it reads: one that is unreadable has no leaf, as if it were not there. So the tree
 * differs from the other replicas', and they heal it.
 */
import { partitionRange } from '../codec/key.js';
import { buildMarkKey } from '../codec/own-keys.js';
import { isSoundRecord } from '../codec/record.js';
import { type BuildMark, decodeBuildMark } from './build-mark.js';
import { type ChangeBatch, foldChanges } from './change-log.js';
import { KeyLeafWriter } from './key-leaves.js';
import { hashKey, keyLow, leafLow, leafOfRecord } from './leaf.js';
import { nodeOf } from './merkle-tree.js';
import { DeltaBuilder, type TreeDelta } from './tree-delta.js';

/** A snapshot of a node's storage: no write is seen that comes after it was taken. */
export interface Snapshot {
  /** The value under `key`, valid until the next call. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** The keys from `gte` up to and without `lt`, in byte order, each valid only until the next one. */
  keys(gte: Uint8Array, lt: Uint8Array): Iterable<Uint8Array>;
}

export interface SliceTask {
  readonly type: 'slice';
  readonly partition: number;
  /** Of the tree that is being built. */
  readonly depth: number;
  /** The first key that may be in the slice. */
  readonly from: Uint8Array;
  /** The slice ends with the record that makes it so many records, or so many bytes. */
  readonly limit: number;
  readonly limitBytes: number;
  /** The snapshot must have at least this: else the answer is 'early'. */
  readonly mark: BuildMark;
}

export interface Slice {
  readonly type: 'slice';
  readonly delta: TreeDelta;
  /** Where the next slice begins; undefined: this was the last one. */
  readonly next: Uint8Array | undefined;
  /** How many of the vnode's writes the snapshot had. */
  readonly noted: number;
  readonly records: number;
  readonly bytes: number;
  /** Records that are unreadable, and the keys of the first of them. */
  readonly corrupt: number;
  readonly rotten: readonly Uint8Array[];
}

export interface KeysTask {
  readonly type: 'keys';
  readonly partition: number;
  readonly depth: number;
  readonly segments: Uint32Array;
  readonly from: Uint8Array;
  /** As for a slice, but of what comes back; and of what is looked through for it. */
  readonly limit: number;
  readonly limitScanned: number;
}

export interface SegmentKeys {
  readonly type: 'keys';
  /** `key-leaves.ts`. */
  readonly leaves: Uint8Array;
  /** Where it goes on; undefined: that was all. */
  readonly next: Uint8Array | undefined;
}

/** Batches of several trees, one behind the other. */
export interface FoldsTask {
  readonly type: 'folds';
  /** Shared, so that nothing is copied on the way; not written to before the task has come to its end. */
  readonly memory: SharedArrayBuffer;
  /** `[bytes, changes, depth of its tree]` for each batch. */
  readonly batches: Uint32Array;
}

/** Keys of unreadable records that a slice names. */
const MAX_ROTTEN = 64;

export type HashTask =
  | SliceTask
  | KeysTask
  | FoldsTask
  | { readonly type: 'fold'; readonly batch: ChangeBatch; readonly depth: number };

export type HashResult =
  | Slice
  | SegmentKeys
  /** The snapshot was taken before the commit that it was meant to follow: ask again. */
  | { readonly type: 'early' }
  | { readonly type: 'folded'; readonly delta: TreeDelta }
  /** The words of each batch's delta, one behind the other, and how many they are. */
  | { readonly type: 'folded-all'; readonly words: Uint32Array; readonly lengths: Uint32Array };

/** The buffers of a result, to be moved with it. */
export function buffersOf(result: HashResult | { readonly type: 'gone' }): ArrayBuffer[] {
  switch (result.type) {
    case 'slice':
    case 'folded':
      return [result.delta.words.buffer as ArrayBuffer];
    case 'folded-all':
      return [result.words.buffer as ArrayBuffer];
    case 'keys':
      return [result.leaves.buffer as ArrayBuffer];
    default:
      return [];
  }
}

/** Runs a task. Synchronous: it takes as long as it takes, and must not be run on a node's event loop. */
export function runHashTask(task: HashTask, snapshot: () => Snapshot): HashResult {
  switch (task.type) {
    case 'slice':
      return hashSlice(task, snapshot());
    case 'keys':
      return listKeys(task, snapshot());
    case 'fold':
      return { type: 'folded', delta: foldChanges(task.batch, task.depth) };
    case 'folds':
      return foldAll(task);
  }
}

/** Numbers for one batch of a task. */
export const BATCH_STRIDE = 3;

function foldAll({ memory, batches }: FoldsTask): HashResult {
  const lengths = new Uint32Array(batches.length / BATCH_STRIDE);
  const all: Uint32Array[] = [];
  let at = 0;
  let total = 0;
  for (let i = 0; i < lengths.length; i++) {
    const bytes = new Uint8Array(memory, at, batches[BATCH_STRIDE * i]!);
    at += bytes.length;
    const { words } = foldChanges({ bytes, changes: batches[BATCH_STRIDE * i + 1]! }, batches[BATCH_STRIDE * i + 2]!);
    all.push(words);
    lengths[i] = words.length;
    total += words.length;
  }
  const words = new Uint32Array(total);
  at = 0;
  for (const some of all) {
    words.set(some, at);
    at += some.length;
  }
  return { type: 'folded-all', words, lengths };
}

function hashSlice(task: SliceTask, snapshot: Snapshot): Slice | { readonly type: 'early' } {
  const { mark } = task;
  const value = snapshot.get(buildMarkKey(task.partition));
  const found = value === undefined ? undefined : decodeBuildMark(value);
  if (found === undefined || found.build !== mark.build || found.noted < mark.noted) return { type: 'early' };
  const delta = new DeltaBuilder(task.depth, task.limit);
  let records = 0;
  let bytes = 0;
  let corrupt = 0;
  const rotten: Uint8Array[] = [];
  let next: Uint8Array | undefined;
  for (const key of snapshot.keys(task.from, partitionRange(task.partition).lt)) {
    if (records >= task.limit || bytes >= task.limitBytes) {
      next = new Uint8Array(key);
      break;
    }
    const record = snapshot.get(key)!;
    records++;
    bytes += record.length;
    if (isSoundRecord(record)) {
      const high = leafOfRecord(key, record);
      delta.add(keyLow, high, leafLow);
    } else if (++corrupt <= MAX_ROTTEN) rotten.push(new Uint8Array(key));
  }
  return { type: 'slice', delta: delta.finish(), next, noted: found.noted, records, bytes, corrupt, rotten };
}

function listKeys(task: KeysTask, snapshot: Snapshot): SegmentKeys {
  const { depth } = task;
  const places = new Map<number, number>();
  for (const [place, segment] of task.segments.entries()) places.set(segment, place);
  const leaves = new KeyLeafWriter();
  let scanned = 0;
  let next: Uint8Array | undefined;
  for (const key of snapshot.keys(task.from, partitionRange(task.partition).lt)) {
    if (leaves.entries >= task.limit || scanned >= task.limitScanned) {
      next = new Uint8Array(key);
      break;
    }
    scanned++;
    hashKey(key);
    const place = places.get(nodeOf(keyLow, depth));
    if (place === undefined) continue;
    const record = snapshot.get(key)!;
    if (!isSoundRecord(record)) continue;
    const high = leafOfRecord(key, record);
    leaves.add(key, place, high, leafLow);
  }
  return { type: 'keys', leaves: leaves.finish(), next };
}
