/**
 * Tells a worker that reads a snapshot of a node's storage which of a vnode's writes are in it. While a tree is being
 * built the vnode writes, with each write of its own and in the same commit, how many writes it has noted so far:
 *
 *     turn 7: put, put, mark 41      turn 8: put, mark 42      turn 9: put, put, put, mark 45
 *                                                        ▲
 *                              a snapshot taken here says 42: the first 42 are in it, the others are not
 *
 * So the cut is exact, although the worker's thread and the vnode's take no notice of each other's time.
 *
 *     4 number of the build · 6 writes noted          under a key of the node's own (`codec/own-keys.ts`)
 */
import { ByteReader } from '../codec/byte-reader.js';
import { ByteWriter } from '../codec/byte-writer.js';

export interface BuildMark {
  /** Drawn for each build: the mark of an earlier one, or of an earlier run, is not believed. */
  readonly build: number;
  /** How many of the vnode's writes are in the storage. */
  readonly noted: number;
}

const VALUE_BYTES = 10;

export function encodeBuildMark(mark: BuildMark): Uint8Array {
  const writer = new ByteWriter(VALUE_BYTES);
  writer.u32(mark.build);
  writer.u48(mark.noted);
  return writer.bytes;
}

/** @throws {CorruptRecordError} The bytes are not those of a mark. */
export function decodeBuildMark(bytes: Uint8Array): BuildMark {
  const reader = new ByteReader(bytes, 0);
  const build = reader.u32();
  const noted = reader.u48();
  reader.end();
  return { build, noted };
}
