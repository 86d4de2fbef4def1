/**
 * Ascending numbers of nodes of a level, as questions carry them: by their distances, about a byte for each where few
 * differ; as a map where many do, an eighth of a byte for each node from the first to the last. Whichever is shorter. A question for
 * the keys of many segments is put once for each page of them.
 *
 *     0 · n × [ distance from the one before ]            1 · first · map, the lowest bit of a byte first
 *
 * First one and distances are variable-length integers.
 */
import { assert } from '../base/assert.js';
import { ByteReader } from '../codec/byte-reader.js';
import { ByteWriter, varintSize } from '../codec/byte-writer.js';
import { CorruptRecordError } from '../codec/errors.js';

const LISTED = 0;
const MAPPED = 1;
const MAX_NODE = 0xffff_ffff;

/** @param nodes - ascending, each once */
export function packNodes(nodes: Uint32Array): Uint8Array {
  const listed = listedBytes(nodes);
  const mapped = mappedBytes(nodes);
  const writer = new ByteWriter(1 + Math.min(listed, mapped));
  if (listed <= mapped) {
    writer.u8(LISTED);
    let last = 0;
    for (let i = 0; i < nodes.length; i++) {
      writer.varint(nodes[i]! - last);
      last = nodes[i]!;
    }
  } else {
    writer.u8(MAPPED);
    const first = nodes[0]!;
    writer.varint(first);
    const { bytes, at } = writer;
    bytes.fill(0, at);
    for (let i = 0; i < nodes.length; i++) {
      const bit = nodes[i]! - first;
      bytes[at + (bit >>> 3)]! |= 1 << (bit & 7);
    }
  }
  return writer.bytes;
}

/** @throws {CorruptRecordError} They are cut off, or no nodes of a tree. */
export function unpackNodes(bytes: Uint8Array): Uint32Array {
  const reader = new ByteReader(bytes, 0);
  const form = reader.u8();
  if (form === LISTED) return listedNodes(reader);
  if (form === MAPPED) return mappedNodes(reader);
  throw new CorruptRecordError('Nodes are neither listed nor mapped');
}

/** How many bytes `packNodes` gives. */
export function packedBytes(nodes: Uint32Array): number {
  return 1 + Math.min(listedBytes(nodes), mappedBytes(nodes));
}

function listedBytes(nodes: Uint32Array): number {
  let bytes = 0;
  let last = 0;
  for (let i = 0; i < nodes.length; i++) {
    assert(i === 0 || nodes[i]! > last, 'nodes are asked for in ascending order');
    bytes += varintSize(nodes[i]! - last);
    last = nodes[i]!;
  }
  return bytes;
}

function mappedBytes(nodes: Uint32Array): number {
  if (nodes.length === 0) return Infinity;
  const first = nodes[0]!;
  return varintSize(first) + ((nodes[nodes.length - 1]! - first) >>> 3) + 1;
}

function listedNodes(reader: ByteReader): Uint32Array {
  const { bytes } = reader;
  // No node takes less than a byte.
  const nodes = new Uint32Array(bytes.length - reader.at);
  let count = 0;
  for (let last = 0; reader.at < bytes.length; count++) {
    last += reader.varint();
    if (last > MAX_NODE) throw new CorruptRecordError('A node is out of range');
    nodes[count] = last;
  }
  return nodes.slice(0, count);
}

function mappedNodes(reader: ByteReader): Uint32Array {
  const { bytes } = reader;
  const first = reader.varint();
  const nodes = new Uint32Array(8 * (bytes.length - reader.at));
  let count = 0;
  for (let byte = first; reader.at < bytes.length; byte += 8) {
    for (let bits = reader.u8(), node = byte; bits !== 0; bits >>>= 1, node++) {
      if ((bits & 1) === 0) continue;
      if (node > MAX_NODE) throw new CorruptRecordError('A node is out of range');
      nodes[count++] = node;
    }
  }
  return nodes.slice(0, count);
}
