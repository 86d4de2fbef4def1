/**
 * What a node keeps in its system storage, beside the mark of its run (`storage/run-mark.ts`): keys are text, values lie
 * under a checksum. One that has rotted is as good as lost: a rotten fence would take its replica to a tag that nobody reaches.
 *
 *     marker:<partition>   8 writerId · 8 counter · 16 stop       who its vnode was at the last stop in order  `actors/node-identity.ts`
 *     refill:<partition>   –                                      its replica must be refilled
 *     losses               4 count                                losses of its objects that are accounted for
 *     fence:<partition>    6 tag · 6 floor · 1 set aside?         its vnode's fence                            `actors/fence.ts`
 *     life                 6 number · 8 name, of each life        its lives of which not all others know       `actors/lives.ts`
 *     life:<node>          6 number · 8 name                      the last life of another node that it knows of
 */
import { latin1, utf8 } from '../base/bytes.js';
import { sealed, unsealed } from '../base/sealed.js';
import type { WriterId } from '../clocks/event-id.js';
import { ByteReader } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';

export const MARKER_PREFIX = 'marker:';
export const REFILL_PREFIX = 'refill:';
export const FENCE_PREFIX = 'fence:';
export const LIFE_PREFIX = 'life:';
export const LIFE_KEY = utf8('life');
export const LOSSES_KEY = utf8('losses');

/** The entry of one partition, or of another node. */
export function entryKey(prefix: string, number: number): Uint8Array {
  return utf8(`${prefix}${number}`);
}

/** All entries of a prefix. */
export function entriesWith(prefix: string): { readonly gte: Uint8Array; readonly lt: Uint8Array } {
  const lt = utf8(prefix);
  lt[lt.length - 1]!++;
  return { gte: utf8(prefix), lt };
}

/** The number in a key made by `entryKey`; NaN if it is none. */
export function numberInKey(key: Uint8Array, prefix: string): number {
  const text = latin1(key);
  const digits = text.startsWith(prefix) ? text.slice(prefix.length) : '';
  return /^\d{1,5}$/.test(digits) ? Number(digits) : Number.NaN;
}

/** Who a vnode was, and by which stop that is told. */
export interface MarkerEntry {
  readonly writer: WriterId;
  /** The highest counter that the writer has used. */
  readonly counter: number;
  /** 16 random bytes. */
  readonly stop: Uint8Array;
}

export const STOP_BYTES = 16;
const MARKER_BYTES = 16 + STOP_BYTES;

export function encodeMarker({ writer, counter, stop }: MarkerEntry): Uint8Array {
  const value = new Uint8Array(MARKER_BYTES);
  const view = viewOf(value);
  view.setUint32(0, writer.high);
  view.setUint32(4, writer.low);
  view.setFloat64(8, counter);
  value.set(stop, 16);
  return sealed(value);
}

/** Undefined if it is none. The stop is a view. */
export function decodeMarker(stored: Uint8Array): MarkerEntry | undefined {
  const value = unsealed(stored);
  if (value?.length !== MARKER_BYTES) return undefined;
  const view = viewOf(value);
  const writer = { high: view.getUint32(0), low: view.getUint32(4) };
  return { writer, counter: view.getFloat64(8), stop: value.subarray(16) };
}

export interface FenceEntry {
  readonly tag: number;
  readonly floor: number;
  readonly isSetAside: boolean;
}

const FENCE_BYTES = 13;

export function encodeFence({ tag, floor, isSetAside }: FenceEntry): Uint8Array {
  const writer = new ByteWriter(FENCE_BYTES);
  writer.u48(tag);
  writer.u48(floor);
  writer.u8(isSetAside ? 1 : 0);
  return sealed(writer.bytes);
}

/** Undefined if it is none. */
export function decodeFence(stored: Uint8Array): FenceEntry | undefined {
  const value = unsealed(stored);
  if (value?.length !== FENCE_BYTES) return undefined;
  const reader = new ByteReader(value, 0);
  return { tag: reader.u48(), floor: reader.u48(), isSetAside: reader.u8() === 1 };
}

/** Drawn by chance for one run of a node. */
export interface LifeName {
  readonly high: number;
  readonly low: number;
}

/** A run of a node, and those before it of which not all other nodes were told. */
export interface Lineage {
  /** Of the last one, counted from 1. */
  readonly number: number;
  /** Of each, in their order: at least one. */
  readonly names: readonly LifeName[];
}

const NUMBER_BYTES = 6;
const NAME_BYTES = 8;

export function encodeLineage({ number, names }: Lineage): Uint8Array {
  const writer = new ByteWriter(NUMBER_BYTES + NAME_BYTES * names.length);
  writer.u48(number);
  for (const { high, low } of names) {
    writer.u32(high);
    writer.u32(low);
  }
  return sealed(writer.bytes);
}

/** Undefined if it is none. */
export function decodeLineage(stored: Uint8Array): Lineage | undefined {
  const value = unsealed(stored);
  if (value === undefined) return undefined;
  const count = (value.length - NUMBER_BYTES) / NAME_BYTES;
  if (!Number.isInteger(count) || count < 1) return undefined;
  const reader = new ByteReader(value, 0);
  const number = reader.u48();
  return { number, names: Array.from({ length: count }, () => ({ high: reader.u32(), low: reader.u32() })) };
}

/** How many losses are accounted for. */
export function encodeLosses(losses: number): Uint8Array {
  const value = new Uint8Array(4);
  viewOf(value).setUint32(0, losses);
  return sealed(value);
}

/** Undefined if it is none. */
export function decodeLosses(stored: Uint8Array): number | undefined {
  const value = unsealed(stored);
  return value?.length === 4 ? viewOf(value).getUint32(0) : undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
