/**
 * The binary form of a Merkle tree that outlives a clean stop: a head, and its segments in blocks, so that a save writes
 * only what has changed since the last one. Branches are not written: they are sums of segments.
 *
 *     head    8 xxHash64 of the rest · 1 format version · 1 depth · 6 keys · 8 sum of the root
 *     block   8 xxHash64 of the rest · 4 number of the block · n × 8 sums, low half first
 *
 * Little-endian. The head's root is that of all blocks together: a block of another save is noticed. Whether the tree is
 * still that of the records beside it is not for these bytes to say: a node that did not stop in order builds it anew.
 */
import { hash64, hashLow } from '../base/hash.js';
import { ByteReader, uint32At, viewOf } from '../codec/byte-reader.js';
import { ByteWriter } from '../codec/byte-writer.js';
import { CorruptRecordError } from '../codec/errors.js';
import { BLOCK_SEGMENTS, MAX_DEPTH, MerkleTree, nodesAt } from './merkle-tree.js';

const VERSION = 1;
const CHECKSUM_BYTES = 8;
const HEAD_BYTES = CHECKSUM_BYTES + 1 + 1 + 6 + 8;

export function encodeTreeHead(tree: MerkleTree): Uint8Array {
  const writer = new ByteWriter(HEAD_BYTES);
  writer.at = CHECKSUM_BYTES;
  writer.u8(VERSION);
  writer.u8(tree.depth);
  writer.u48(tree.keys);
  writer.u32(tree.low(0, 0));
  writer.u32(tree.high(0, 0));
  return sealed(writer);
}

export function encodeTreeBlock(tree: MerkleTree, block: number): Uint8Array {
  const sums = tree.blockSums(block);
  const writer = new ByteWriter(CHECKSUM_BYTES + 4 + 4 * sums.length);
  writer.at = CHECKSUM_BYTES;
  writer.u32(block);
  for (let i = 0; i < sums.length; i++) writer.u32(sums[i]!);
  return sealed(writer);
}

/**
 * The tree that was saved; nothing of it is dirty.
 * @param blockAt - the bytes of a block, by its number; undefined if they are not there
 * @throws {CorruptRecordError} Something is missing, changed, of another version, or not of one save: build it anew.
 */
export function decodeTree(head: Uint8Array, blockAt: (block: number) => Uint8Array | undefined): MerkleTree {
  const reader = opened(head);
  if (reader.u8() !== VERSION) throw new CorruptRecordError('The tree is of another version');
  const depth = reader.u8();
  if (depth < 1 || depth > MAX_DEPTH) throw new CorruptRecordError('No tree is so deep');
  const tree = new MerkleTree(depth);
  const keys = reader.u48();
  const low = reader.u32();
  const high = reader.u32();
  reader.end();
  const count = Math.min(BLOCK_SEGMENTS, nodesAt(depth));
  for (let block = 0; block < tree.blocks; block++) {
    const bytes = blockAt(block);
    if (bytes === undefined) throw new CorruptRecordError('A block of the tree is missing');
    const from = opened(bytes);
    if (from.u32() !== block) throw new CorruptRecordError('A block of the tree stands in the place of another');
    const sums = new Uint32Array(2 * count);
    for (let i = 0; i < sums.length; i++) sums[i] = from.u32();
    from.end();
    tree.restoreBlock(block, sums);
  }
  if (tree.low(0, 0) !== low || tree.high(0, 0) !== high) {
    throw new CorruptRecordError('The blocks of the tree are not of one save');
  }
  tree.keys = keys;
  tree.markSaved();
  return tree;
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
