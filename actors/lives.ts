/**
 * The lives of the nodes: each start of a node begins one, with a number that is durably one higher, and a name drawn by
 * chance. Every node that has started tells the others; whoever remembers a life of it that was not before this one knows
 * that it was taken back to an older state (a restored copy), also if nothing was reaped since. Its writers' names must
 * not be used again: what they wrote since the copy was made may be anywhere.
 */
import { utf8 } from '../src/base/bytes.js';
import type { Random } from '../src/base/random.js';
import { sealed, unsealed } from '../src/base/sealed.js';
import { ByteReader } from '../src/codec/byte-reader.js';
import { ByteWriter } from '../src/codec/byte-writer.js';
import type { Life } from '../src/messages/reap-messages.js';
import type { Storage } from '../src/storage/storage.js';

const OWN_KEY = utf8('life');
const LIFE_BYTES = 6 + 8;

/** Begins the next life of the node whose system storage this is; to be durable before it is told of. */
export function beginLife(system: Storage, random: Random): Life {
  const number = (read(system, OWN_KEY)?.number ?? 0) + 1;
  const life = { number, high: random.uint32(), low: random.uint32() };
  write(system, OWN_KEY, life);
  return life;
}

/**
 * Remembers that another node is in this life, with the turn's commit.
 * @returns true if a later life of it is known, or another one of that number
 */
export function knowsLater(system: Storage, node: number, { number, high, low }: Life): boolean {
  const key = utf8(`life:${node}`);
  const known = read(system, key);
  // A first life is that of a node without a memory, which keeps no names: it is not older, but new.
  if (known === undefined || known.number < number || number === 1) {
    write(system, key, { number, high, low });
    return false;
  }
  return known.number > number || known.high !== high || known.low !== low;
}

function read(system: Storage, key: Uint8Array): Life | undefined {
  const bytes = unsealed(system.get(key), LIFE_BYTES);
  if (bytes === undefined) return undefined;
  const reader = new ByteReader(bytes, 0);
  return { number: reader.u48(), high: reader.u32(), low: reader.u32() };
}

function write(system: Storage, key: Uint8Array, { number, high, low }: Life): void {
  const writer = new ByteWriter(LIFE_BYTES);
  writer.u48(number);
  writer.u32(high);
  writer.u32(low);
  system.put(key, sealed(writer.bytes));
}
