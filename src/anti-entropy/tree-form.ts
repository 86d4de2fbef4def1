/**
 * The binary form of a Merkle tree that outlives a stop in order: a head, and its segments in blocks, so that a save writes
 * only what has changed since the last one. Branches are not written: they are sums of segments.
 *
 *     head    8 xxHash64 of the rest · 1 format version · 1 depth · 6 keys · 8 sum of the root · 16 stop · 6 built
 *     block   8 xxHash64 of the rest · 4 number of the block · n × 8 sums, low half first
 *
 * Little-endian. It stands beside the records, stored by the same commit, the last one of the run. `stop` names that stop:
 * whoever knows that the file was not written to since believes a tree of it, and no other. The head's root is that of
 * all blocks together, so a block of another save is noticed. `built` is when the records were read for it, in wall-clock
 * milliseconds: what has rotted since is not in it.
 */
import { equalBytes } from '../base/bytes.js';
import { hash64, hashLow } from '../base/hash.js';
import { ByteReader, uint32At, viewOf } from '../codec/byte-reader.js';
import { ByteWriter } from '../codec/byte-writer.js';
import { CorruptRecordError } from '../codec/errors.js';
import { treeBlockKey, treeHeadKey } from '../codec/own-keys.js';
import { BLOCK_SEGMENTS, MAX_DEPTH, MerkleTree, nodesAt } from './merkle-tree.js';

/** Another one, too, when leaves are made otherwise. */
const VERSION = 3;
const CHECKSUM_BYTES = 8;
const STOP_BYTES = 16;
const HEAD_BYTES = CHECKSUM_BYTES + 1 + 1 + 6 + 8 + STOP_BYTES + 6;

/** Where trees are saved. */
export interface TreeStorage {
  get(key: Uint8Array): Uint8Array | undefined;
  put(key: Uint8Array, value: Uint8Array): void;
  remove(key: Uint8Array): void;
}

/** A tree, and when the records were read for it. */
export interface SavedTree {
  readonly tree: MerkleTree;
  readonly builtAtMs: number;
}

/**
 * Writes what of the tree is not in the storage yet; nothing of it is dirty then.
 * @param stop - 16 bytes, drawn by chance: the stop of which the storage's next commit is the last
 */
export function saveTree(
  storage: TreeStorage,
  partition: number,
  { tree, builtAtMs }: SavedTree,
  stop: Uint8Array,
): void {
  storage.put(treeHeadKey(partition), encodeHead(tree, builtAtMs, stop));
  for (let block = 0; block < tree.blocks; block++) {
    if (tree.isDirty(block)) storage.put(treeBlockKey(partition, block), encodeBlock(tree, block));
  }
  // Of a deeper tree that was saved before.
  for (let block = tree.blocks; ; block++) {
    const key = treeBlockKey(partition, block);
    if (storage.get(key) === undefined) break;
    storage.remove(key);
  }
  tree.markSaved();
}

/**
 * The tree that was saved at that stop; nothing of it is dirty. Undefined if none was.
 * @throws {CorruptRecordError} Something is missing, changed, of another version, or not of one save: build it anew.
 */
export function readTree(
  storage: Pick<TreeStorage, 'get'>,
  partition: number,
  stop: Uint8Array,
): SavedTree | undefined {
  const head = storage.get(treeHeadKey(partition));
  if (head === undefined) return undefined;
  const reader = opened(head);
  if (reader.u8() !== VERSION) throw new CorruptRecordError('The tree is of another version');
  const depth = reader.u8();
  if (depth < 1 || depth > MAX_DEPTH) throw new CorruptRecordError('No tree is so deep');
  const keys = reader.u48();
  const low = reader.u32();
  const high = reader.u32();
  const isOfThisStop = equalBytes(reader.view(STOP_BYTES), stop);
  const builtAtMs = reader.u48();
  reader.end();
  if (!isOfThisStop) return undefined;
  const tree = new MerkleTree(depth);
  for (let block = 0; block < tree.blocks; block++) readBlock(tree, block, storage.get(treeBlockKey(partition, block)));
  if (tree.low(0, 0) !== low || tree.high(0, 0) !== high) {
    throw new CorruptRecordError('The blocks of the tree are not of one save');
  }
  tree.keys = keys;
  tree.markSaved();
  return { tree, builtAtMs };
}

function readBlock(tree: MerkleTree, block: number, bytes: Uint8Array | undefined): void {
  if (bytes === undefined) throw new CorruptRecordError('A block of the tree is missing');
  const reader = opened(bytes);
  if (reader.u32() !== block) throw new CorruptRecordError('A block of the tree stands in the place of another');
  const sums = new Uint32Array(2 * Math.min(BLOCK_SEGMENTS, nodesAt(tree.depth)));
  for (let i = 0; i < sums.length; i++) sums[i] = reader.u32();
  reader.end();
  tree.restoreBlock(block, sums);
}

function encodeHead(tree: MerkleTree, builtAtMs: number, stop: Uint8Array): Uint8Array {
  const writer = new ByteWriter(HEAD_BYTES);
  writer.at = CHECKSUM_BYTES;
  writer.u8(VERSION);
  writer.u8(tree.depth);
  writer.u48(tree.keys);
  writer.u32(tree.low(0, 0));
  writer.u32(tree.high(0, 0));
  writer.copy(stop);
  writer.u48(builtAtMs);
  return sealed(writer);
}

function encodeBlock(tree: MerkleTree, block: number): Uint8Array {
  const sums = tree.blockSums(block);
  const writer = new ByteWriter(CHECKSUM_BYTES + 4 + 4 * sums.length);
  writer.at = CHECKSUM_BYTES;
  writer.u32(block);
  for (let i = 0; i < sums.length; i++) writer.u32(sums[i]!);
  return sealed(writer);
}

/** The bytes, with the checksum of what follows it at their front. */
function sealed(writer: ByteWriter): Uint8Array {
  const high = hash64(viewOf(writer.bytes, CHECKSUM_BYTES, writer.bytes.length));
  const low = hashLow;
  writer.at = 0;
  writer.u32(low);
  writer.u32(high);
  return writer.bytes;
}

/** Reads what follows the checksum, which holds. */
function opened(bytes: Uint8Array): ByteReader {
  if (bytes.length <= CHECKSUM_BYTES) throw new CorruptRecordError('The bytes of a tree end too early');
  const high = hash64(viewOf(bytes, CHECKSUM_BYTES, bytes.length));
  if (uint32At(bytes, 0) !== hashLow || uint32At(bytes, 4) !== high) {
    throw new CorruptRecordError('The checksum of a tree does not match');
  }
  return new ByteReader(bytes, CHECKSUM_BYTES);
}
