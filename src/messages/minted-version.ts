/** The names of versions, and the objects that have come of them. */
import type { Timestamp } from '../clocks/timestamp.js';
import type { MintedDot } from '../objects/mint.js';
import type { MessageCodec } from '../runtime/actor.js';

/** What names a version. */
export interface VersionName {
  readonly dot: MintedDot;
  readonly timestamp: Timestamp;
}

/** A version that was minted, and the object that has come of it. */
export interface MintedVersion extends VersionName {
  readonly record: Uint8Array;
  readonly tag: number;
}

export const versionName: MessageCodec<VersionName> = {
  size: () => 17 + 12,
  write({ dot, timestamp }, out) {
    out.u32(dot.high);
    out.u32(dot.low);
    out.f64(dot.counter);
    out.u8(dot.alone ? 1 : 0);
    out.f64(timestamp.ms);
    out.u32(timestamp.logical);
  },
  read(from) {
    const dot = { high: from.u32(), low: from.u32(), counter: from.f64(), alone: from.u8() === 1 };
    return { dot, timestamp: { ms: from.f64(), logical: from.u32() } };
  },
};

export const mintedVersion: MessageCodec<MintedVersion> = {
  size: (minted) => 4 + minted.record.length + 8 + versionName.size(minted),
  write(minted, out) {
    out.bytes(minted.record);
    out.f64(minted.tag);
    versionName.write(minted, out);
  },
  read(from) {
    const record = from.bytes();
    const tag = from.f64();
    const { dot, timestamp } = versionName.read(from);
    return { record, tag, dot, timestamp };
  },
};
