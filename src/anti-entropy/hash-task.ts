/**
 * The hashing behind a tree, as tasks that need nothing but a snapshot of the records: whoever has one runs them
 * (`actors/tree-hasher.ts` in a thread of the hashing pool; the simulator in its own). Only what changes in a tree, or
 * the leaves that were asked for, come back.
 *
 *     slice   the records from a key on, as many as were asked for: their leaves, summed by segment
 *     fold    changes that the vnodes of a node noted: what they do to the sums of their trees. Needs no records.
 *     keys    the keys of some segments with their leaves
 *
 * A slice checks every record that it reads: one that is unreadable has no leaf, as if it were not there. So the tree
 * differs from the other replicas', and they heal it.
 */
import { partitionRange } from '../codec/key.js';
import { buildMarkKey } from '../codec/own-keys.js';
import { isSoundRecord } from '../codec/record.js';
import { type BuildMark, decodeBuildMark } from './build-mark.js';
import { foldChanges } from './change-buffer.js';
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
  /** How much of a core it may take where it has a thread of its own: above 0, 1 is all of it. */
  readonly share: number;
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

/** A page of a node's changes. */
export interface FoldTask {
  readonly type: 'fold';
  /** `change-buffer.ts`, from its beginning on. May be shared; not written to before the task has come to its end. */
  readonly memory: ArrayBufferLike;
  readonly bytes: number;
  readonly changes: number;
  /** `[number, depth]` of each tree whose changes are wanted. */
  readonly trees: Uint32Array;
}

export interface FoldResult {
  readonly type: 'folded';
  /** `[number, depth of the delta, how many words of it]` for each tree that has changed. */
  readonly trees: Uint32Array;
  /** The words of all deltas, one behind the other. */
  readonly words: Uint32Array;
}

/** Keys of unreadable records that a slice names. */
const MAX_ROTTEN = 64;

export type HashTask = SliceTask | KeysTask | FoldTask;

/** A task, and the number under which its outcome is to be told. */
export interface NumberedTask<Task extends HashTask> {
  readonly number: number;
  readonly task: Task;
}

export type HashResult =
  | Slice
  | SegmentKeys
  | FoldResult
  /** The snapshot was taken before the commit that it was meant to follow: ask again. */
  | { readonly type: 'early' };

/** The buffers of a result, to be moved with it. */
export function buffersOf(result: HashResult | { readonly type: 'gone' }): ArrayBuffer[] {
  switch (result.type) {
    case 'slice':
      return [result.delta.words.buffer as ArrayBuffer];
    case 'folded':
      return [result.words.buffer as ArrayBuffer];
    case 'keys':
      return [result.leaves.buffer as ArrayBuffer];
    default:
      return [];
  }
}

/**
 * Runs a task. Synchronous: it takes as long as it takes, and must not be run on a node's event loop.
 * @param rest - called by a slice before each record: who gives it only a share of a core lets it rest there
 */
export function runHashTask(task: HashTask, snapshot: () => Snapshot, rest?: () => void): HashResult {
  switch (task.type) {
    case 'slice':
      return hashSlice(task, snapshot(), rest);
    case 'keys':
      return listKeys(task, snapshot());
    case 'fold':
      return foldPage(task);
  }
}

/** What the changes of a page do to their trees. */
export function foldPage({ memory, bytes, changes, trees }: FoldTask): FoldResult {
  const depths = new Map<number, number>();
  for (let i = 0; i < trees.length; i += 2) depths.set(trees[i]!, trees[i + 1]!);
  const expected = Math.ceil(changes / Math.max(1, depths.size));
  const deltas = new Map<number, DeltaBuilder>();
  foldChanges(new Uint8Array(memory, 0, bytes), (tree) => {
    const depth = depths.get(tree);
    if (depth === undefined) return undefined;
    let delta = deltas.get(tree);
    if (delta === undefined) {
      delta = new DeltaBuilder(depth, expected);
      deltas.set(tree, delta);
    }
    return delta;
  });
  const found = [...deltas].map(([tree, delta]) => ({ tree, delta: delta.finish() }));
  const words = new Uint32Array(found.reduce((sum, { delta }) => sum + delta.words.length, 0));
  let at = 0;
  for (const { delta } of found) {
    words.set(delta.words, at);
    at += delta.words.length;
  }
  const folded = found.flatMap(({ tree, delta }) => [tree, delta.depth, delta.words.length]);
  return { type: 'folded', trees: Uint32Array.from(folded), words };
}

function hashSlice(task: SliceTask, snapshot: Snapshot, rest?: () => void): Slice | { readonly type: 'early' } {
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
    rest?.();
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
