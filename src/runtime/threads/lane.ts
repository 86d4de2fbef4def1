/**
 * A lane: the way of frames from one thread to another. A single-producer single-consumer ring of bytes in a
 * SharedArrayBuffer, one for each ordered pair of threads and each incarnation of either.
 *
 *     bytes 0 … 3        head: how far the producer has published, in units
 *     bytes 128 … 131    tail: how far the consumer has taken, in units; on a cache line of its own
 *     bytes 256 …        frames
 *
 * - Positions count units of 16 bytes, modulo 2^32. A frame starts on a unit and begins with a header of one unit.
 * - A frame never wraps: where it would, a skip marker sends the consumer to the start. A frame of one unit (a bare
 *   header) never needs one, so that the room counted for headers is room that they really find.
 * - A frame counts only once the head is published behind it. What a dying producer left half-written is never seen.
 * - The reserve is only for bare headers. Whoever sends a request has counted three of them: its own here, and those of
 *   its notice and its reply or failure in the lane back. So headers never wait (see link.ts).
 *
 * Source: Lamport's bounded buffer (1977), with a private copy of the other side's position as in FastForward (2008).
 */
import { assert } from '../../base/assert.js';
import { FrameEncoder } from './frame.js';

export const UNIT = 16;
const HEAD = 0;
const TAIL = 32;
const FRAMES = 256;
/** In place of a frame's length: the rest up to the end is empty. */
const SKIP = -1;

/** In a frame's flags: the body travels beside the lane; the length is the body's, and the frame is a bare header. */
export const BESIDE = 1;

/** All lanes of a kind together take about so much: few threads get wide lanes, many threads narrow ones. */
const ALL_LANES_BYTES = 32 * 2 ** 20;
const MIN_LANE_BYTES = 64 * 2 ** 10;
const MAX_LANE_BYTES = 2 ** 20;

/**
 * The size of each of `lanes` lanes, in bytes. It is fixed from the start instead of growing: what does not fit travels
 * beside the lane, so a narrow lane is slower under bursts, never wrong.
 */
export function laneBytesFor(lanes: number): number {
  const share = ALL_LANES_BYTES / Math.max(1, lanes);
  const power = 2 ** Math.floor(Math.log2(share));
  return Math.min(MAX_LANE_BYTES, Math.max(MIN_LANE_BYTES, power));
}

/** Makes the memory of one lane. @param bytes - a power of two, at least 1,024 */
export function createLane(bytes: number): SharedArrayBuffer {
  assert(bytes >= 1024 && Number.isInteger(Math.log2(bytes)), 'a lane is a power of two of bytes, at least 1,024');
  return new SharedArrayBuffer(FRAMES + bytes);
}

/** Makes the memory of a lane in which nothing will ever be sent. */
export function createEmptyLane(): SharedArrayBuffer {
  return createLane(1024);
}

/** Each request may need a bare header in its own direction, and two in the other: a notice's and a reply's. */
const HEADERS_PER_REQUEST = 3;

/** How many requests may be outstanding over a pair of lanes of this size, each way: 8,192 over 1 MiB, 512 over 64 KiB. */
export function requestLimit(lane: SharedArrayBuffer): number {
  return (lane.byteLength - FRAMES) / UNIT / 8;
}

/** Three eighths of a lane are for bare headers. */
export function reservedUnits(lane: SharedArrayBuffer): number {
  return HEADERS_PER_REQUEST * requestLimit(lane);
}

/**
 * The longest frame that goes into the lane, in bytes: above 64 KiB a transferred buffer costs less than two copies,
 * and a frame over a fifth of what is not reserved would rarely find room.
 */
export function longestFrame(lane: SharedArrayBuffer): number {
  return Math.min(64 * 2 ** 10, (lane.byteLength - FRAMES) / 8);
}

/** The producer's end. Claims room, is written through `encoder`, then seals: nothing is seen before `publish`. */
export class LaneWriter {
  /** Writes into the room claimed last. */
  readonly encoder: FrameEncoder;
  private readonly words: Int32Array;
  private readonly capacity: number;
  private readonly reserved: number;
  private head: number;
  private published: number;
  /** The tail when last looked at: the true one is the same or further. */
  private tail: number;

  constructor(lane: SharedArrayBuffer) {
    this.words = new Int32Array(lane);
    this.capacity = (lane.byteLength - FRAMES) / UNIT;
    this.reserved = reservedUnits(lane);
    this.encoder = new FrameEncoder(lane);
    this.head = Atomics.load(this.words, HEAD);
    this.published = this.head;
    this.tail = Atomics.load(this.words, TAIL);
  }

  /**
   * Finds room for a frame with a body of up to `bodyBytes`, beyond the reserve; false if there is none.
   * Points the encoder at it. Nothing is taken until `seal`.
   */
  claim(bodyBytes: number): boolean {
    const units = 1 + ((bodyBytes + UNIT - 1) >>> 4);
    const at = this.head & (this.capacity - 1);
    const toEnd = this.capacity - at;
    const needed = units <= toEnd ? units : toEnd + units;
    if (!this.has(needed + this.reserved)) return false;
    if (units > toEnd) {
      this.words[FRAMES / 4 + at * 4] = SKIP;
      this.head = (this.head + toEnd) | 0;
    }
    const start = FRAMES + (this.head & (this.capacity - 1)) * UNIT + UNIT;
    this.encoder.begin(start, start + bodyBytes);
    return true;
  }

  /** Closes the frame claimed last, trimmed to what was written. */
  seal(kind: number, slot: number, incarnation: number, requestId: number): void {
    const index = FRAMES / 4 + (this.head & (this.capacity - 1)) * 4;
    const length = this.encoder.written;
    this.words[index] = length;
    this.words[index + 1] = kind | (slot << 16);
    this.words[index + 2] = incarnation;
    this.words[index + 3] = requestId;
    this.head = (this.head + 1 + ((length + UNIT - 1) >>> 4)) | 0;
  }

  /**
   * Writes a bare header, out of the reserve if need be. Room is there while no more requests are outstanding than
   * `requestLimit`.
   * @param length - of the body that travels beside, in bytes; else 0
   */
  header(kind: number, flags: number, length: number, slot: number, incarnation: number, requestId: number): void {
    assert(this.has(1), 'a bare header found no room in its lane: the reserve was not kept');
    const index = FRAMES / 4 + (this.head & (this.capacity - 1)) * 4;
    this.words[index] = length;
    this.words[index + 1] = kind | (flags << 8) | (slot << 16);
    this.words[index + 2] = incarnation;
    this.words[index + 3] = requestId;
    this.head = (this.head + 1) | 0;
  }

  /** Lets the consumer see all sealed frames. True if there were any. */
  publish(): boolean {
    if (this.head === this.published) return false;
    this.published = this.head;
    Atomics.store(this.words, HEAD, this.head);
    return true;
  }

  /** The position behind the last sealed frame, to be compared with `taken`. */
  get position(): number {
    return this.head;
  }

  /** True if the consumer has taken the frame that ended at `position`. */
  taken(position: number): boolean {
    this.tail = Atomics.load(this.words, TAIL);
    return ((this.tail - position) | 0) >= 0;
  }

  private has(units: number): boolean {
    if (this.capacity - ((this.head - this.tail) >>> 0) >= units) return true;
    this.tail = Atomics.load(this.words, TAIL);
    return this.capacity - ((this.head - this.tail) >>> 0) >= units;
  }
}

/** Plain memory that frames are copied into before anyone reads them: LMDB must never be handed shared memory. */
export class Batch {
  /** Where the next copy goes, in bytes. */
  used = 0;
  readonly bytes: Uint8Array;
  readonly words: Int32Array;

  constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes);
    this.words = new Int32Array(this.bytes.buffer);
  }
}

/** The consumer's end. */
export class LaneReader {
  /** Where the frames taken last begin in the batch, in bytes. */
  start = 0;
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;
  private readonly capacity: number;
  private tail: number;

  constructor(lane: SharedArrayBuffer) {
    this.words = new Int32Array(lane);
    this.bytes = new Uint8Array(lane);
    this.capacity = (lane.byteLength - FRAMES) / UNIT;
    this.tail = Atomics.load(this.words, TAIL);
  }

  get empty(): boolean {
    return Atomics.load(this.words, HEAD) === this.tail;
  }

  /** The bytes that `take(maxFrames)` would copy at once; 0 if there is nothing. Call `take` with it right after. */
  peek(maxFrames: number, maxBytes: number): number {
    const head = Atomics.load(this.words, HEAD);
    let at = this.tail & (this.capacity - 1);
    if (this.tail !== head && this.words[FRAMES / 4 + at * 4] === SKIP) {
      this.tail = (this.tail + this.capacity - at) | 0;
      at = 0;
    }
    let position = this.tail;
    let frames = 0;
    while (position !== head && frames < maxFrames) {
      const index = FRAMES / 4 + (position & (this.capacity - 1)) * 4;
      const length = this.words[index]!;
      if (length === SKIP) break;
      const beside = (this.words[index + 1]! >>> 8) & BESIDE;
      const next = (position + 1 + (beside === 0 ? (length + UNIT - 1) >>> 4 : 0)) | 0;
      if (frames > 0 && ((next - this.tail) >>> 0) * UNIT > maxBytes) break;
      position = next;
      frames++;
      if ((position & (this.capacity - 1)) === 0) break;
    }
    return ((position - this.tail) >>> 0) * UNIT;
  }

  /**
   * Copies the next `bytes` of frames, as measured by `peek`, into `batch` from its `used` on, and frees them in the
   * lane. One copy for all: of 20 frames of 100 B each takes 55 ns, one by one 240.
   */
  take(bytes: number, batch: Batch): void {
    const from = FRAMES + (this.tail & (this.capacity - 1)) * UNIT;
    this.start = batch.used;
    batch.bytes.set(this.bytes.subarray(from, from + bytes), batch.used);
    batch.used += bytes;
    this.tail = (this.tail + bytes / UNIT) | 0;
    Atomics.store(this.words, TAIL, this.tail);
  }
}
