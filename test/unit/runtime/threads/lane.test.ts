/** The parts below the host: lane, frames, timers, outstanding requests, supervision; each against a naive model. */
import fc from 'fast-check';
import { test } from 'tap';
import { FrameError } from '../../../../src/runtime/actor.js';
import { Supervision } from '../../../../src/runtime/supervision.js';
import type { ActorCell } from '../../../../src/runtime/threads/actor-cell.js';
import { FrameDecoder, FrameEncoder } from '../../../../src/runtime/threads/frame.js';
import {
  Batch,
  createLane,
  LaneReader,
  LaneWriter,
  laneBytesFor,
  longestFrame,
  reservedUnits,
  UNIT,
} from '../../../../src/runtime/threads/lane.js';
import { Outstanding } from '../../../../src/runtime/threads/outstanding.js';
import { TimerHeap } from '../../../../src/runtime/threads/timer-heap.js';

/** Milliseconds for each property; more by the environment. */
const TIME_MS = Number(process.env.PROPERTY_MS ?? 1_500);
const property = { interruptAfterTimeLimit: TIME_MS, numRuns: 100_000 };

/** A frame as the model knows it: its number, and the bytes of its body. */
interface Sent {
  readonly id: number;
  readonly body: number[];
}

function takeAll(reader: LaneReader, maxFrames: number, maxBytes: number): Sent[] {
  const batch = new Batch(4_096);
  const bytes = reader.peek(maxFrames, maxBytes);
  if (bytes === 0) return [];
  reader.take(bytes, batch);
  const frames: Sent[] = [];
  for (let at = reader.start; at < batch.used; ) {
    const length = batch.words[at >>> 2]!;
    frames.push({ id: batch.words[(at >>> 2) + 3]! >>> 0, body: [...batch.bytes.subarray(at + 16, at + 16 + length)] });
    at += 16 + ((length + 15) & ~15);
  }
  return frames;
}

// Goal: what is published comes out, whole, once and in order, however writing, publishing and taking alternate.
// Method: a lane of 64 units, so that it wraps and fills every few frames, against a plain queue.
test('a lane is a queue of frames', (t) => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('write' as const), bound: fc.nat(128), trim: fc.nat(40) }),
    fc.record({ do: fc.constant('header' as const) }),
    fc.record({ do: fc.constant('abandon' as const), bound: fc.nat(128) }),
    fc.record({ do: fc.constant('publish' as const) }),
    fc.record({ do: fc.constant('take' as const), frames: fc.integer({ min: 1, max: 5 }), bytes: fc.nat(256) }),
  );
  let wraps = 0;
  let refusals = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const lane = createLane(1_024);
      const writer = new LaneWriter(lane);
      const reader = new LaneReader(lane);
      const sealed: Sent[] = [];
      const published: Sent[] = [];
      let id = 0;
      let headers = 0;
      for (const each of steps) {
        if (each.do === 'write') {
          if (!writer.claim(each.bound)) {
            refusals++;
            continue;
          }
          const body = Array.from({ length: Math.max(0, each.bound - each.trim) }, (_, i) => (id * 31 + i) & 0xff);
          for (const byte of body) writer.encoder.u8(byte);
          writer.seal(1, 3, 2, id);
          sealed.push({ id: id++, body });
        } else if (each.do === 'header') {
          // The reserve is 16 units: so many headers are sure to fit until the lane has been empty again.
          if (headers === 16) continue;
          headers++;
          writer.header(5, 0, 0, 0, 0, id);
          sealed.push({ id: id++, body: [] });
        } else if (each.do === 'abandon') {
          // A codec that throws: claimed, half-written, never sealed.
          if (writer.claim(each.bound) && each.bound > 0) writer.encoder.u8(255);
        } else if (each.do === 'publish') {
          writer.publish();
          published.push(...sealed.splice(0));
        } else {
          const frames = takeAll(reader, each.frames, each.bytes);
          const expected = published.splice(0, frames.length);
          if (JSON.stringify(frames) !== JSON.stringify(expected)) return false;
          if (frames.length > each.frames) return false;
          if (published.length > 0 && reader.empty) return false;
          if (published.length === 0 && sealed.length === 0) headers = 0;
        }
      }
      writer.publish();
      published.push(...sealed);
      while (!reader.empty) {
        const frames = takeAll(reader, 3, 4_096);
        if (JSON.stringify(frames) !== JSON.stringify(published.splice(0, frames.length))) return false;
      }
      if (writer.position > 64) wraps++;
      return published.length === 0;
    }),
    property,
  );
  t.ok(wraps > 0 && refusals > 0, `the lanes wrapped ${wraps} times and were full ${refusals} times`);

  // Positions count modulo 2^32: nothing may happen where they wrap.
  const lane = createLane(1_024);
  const nearEnd = new Int32Array(lane);
  nearEnd[0] = nearEnd[32] = 0x7fff_ffff - 20;
  const writer = new LaneWriter(lane);
  const reader = new LaneReader(lane);
  for (let i = 0; i < 200; i++) {
    if (!writer.claim(40)) t.fail('an empty lane has room');
    for (let j = 0; j < 40; j++) writer.encoder.u8(i);
    writer.seal(1, 0, 0, i);
    writer.publish();
    const before = writer.position;
    const frames = takeAll(reader, 10, 4_096);
    if (frames.length === 0) frames.push(...takeAll(reader, 10, 4_096));
    if (frames.length !== 1 || frames[0]!.id !== i || frames[0]!.body.length !== 40) t.fail(`frame ${i} was lost`);
    if (!writer.taken(before)) t.fail('a taken frame must count as taken');
  }
  t.end();
});

test('a full lane keeps its reserve for headers', (t) => {
  const lane = createLane(1_024);
  const writer = new LaneWriter(lane);
  const reader = new LaneReader(lane);
  const body = new Uint8Array(12);
  while (writer.claim(16)) {
    writer.encoder.bytes(body);
    writer.seal(1, 0, 0, 0);
  }
  t.notOk(writer.claim(0), 'there is no room for anything else');
  for (let i = 0; i < reservedUnits(lane); i++) writer.header(3, 0, 0, 0, 0, i);
  t.throws(
    () => writer.header(3, 0, 0, 0, 0, 99),
    { name: 'InvariantError' },
    'one beyond the reserve is a broken invariant',
  );
  t.ok(reader.empty, 'nothing is seen before it is published');
  writer.publish();
  let headers = 0;
  while (!reader.empty) headers += takeAll(reader, 1_000, 4_096).filter((each) => each.body.length === 0).length;
  t.ok(headers === reservedUnits(lane));
  t.equal(laneBytesFor(30), 2 ** 20, 'few threads get wide lanes');
  t.equal(laneBytesFor(9_900), 64 * 2 ** 10, 'many get narrow ones');
  t.ok(longestFrame(lane) + UNIT <= 1_024 * 0.75, 'the longest frame fits an empty lane beyond the reserve');
  t.end();
});

test('fields come out of a frame as they went in', (t) => {
  type Field = readonly ['u8' | 'u32' | 'f64', number] | readonly ['text', string] | readonly ['bytes', Uint8Array];
  const field: fc.Arbitrary<Field> = fc.oneof(
    fc.tuple(fc.constant('u8' as const), fc.integer({ min: 0, max: 255 })),
    fc.tuple(fc.constant('u32' as const), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
    fc.tuple(fc.constant('f64' as const), fc.double()),
    fc.tuple(fc.constant('text' as const), fc.string({ unit: 'grapheme', maxLength: 20 })),
    fc.tuple(fc.constant('bytes' as const), fc.uint8Array({ maxLength: 200 })),
  );
  const sizeOf = ([kind, value]: Field): number => {
    if (kind === 'u8') return 1;
    if (kind === 'u32') return 4;
    if (kind === 'f64') return 8;
    return 4 + Buffer.byteLength(value as string | Uint8Array);
  };
  fc.assert(
    fc.property(fc.array(field, { maxLength: 20, size: 'max' }), fc.nat(7), fc.nat(60), (fields, offset, cut) => {
      const size = fields.reduce((sum, each) => sum + sizeOf(each), 0);
      const shared = new SharedArrayBuffer(size + 16);
      const encoder = new FrameEncoder(shared);
      const write = (): void => {
        for (const each of fields) {
          if (each[0] === 'text') encoder.text(each[1]);
          else if (each[0] === 'bytes') encoder.bytes(each[1]);
          else encoder[each[0]](each[1]);
        }
      };
      encoder.begin(offset, offset + size);
      write();
      const plain = new Uint8Array(shared).slice();
      const decoder = new FrameDecoder();
      const read = (end: number): void => {
        decoder.begin(plain, offset, end);
        for (const [kind, value] of fields) {
          const found = decoder[kind]();
          const same = kind === 'bytes' ? Buffer.compare(found as Uint8Array, value) === 0 : Object.is(found, value);
          if (!same) throw new Error(`${kind} ${String(value)} came out as ${String(found)}`);
        }
      };
      read(offset + size);
      if (size === 0 || cut === 0) return encoder.written === size;
      // Cut short on either side, it is told and nothing else.
      const short = Math.max(0, size - cut);
      const writeShort = (): void => {
        encoder.begin(offset, offset + short);
        write();
      };
      const thrown = [() => read(offset + short), writeShort].map((run) => {
        try {
          run();
          return undefined;
        } catch (error) {
          return error;
        }
      });
      return encoder.written <= short && thrown.every((error) => error instanceof FrameError);
    }),
    property,
  );
  t.pass('for every list of fields');
  t.end();
});

test('timers fire in order of their due times, cancelled ones never', (t) => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('add' as const), delay: fc.nat(20) }),
    fc.record({ do: fc.constant('cancel' as const), which: fc.nat(30) }),
    fc.record({ do: fc.constant('pass' as const), time: fc.nat(10) }),
    fc.record({ do: fc.constant('crash' as const), remainder: fc.nat(2) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const heap = new TimerHeap<number>();
      let model: { id: number; due: number; name: number }[] = [];
      const ids: number[] = [];
      let now = 0;
      for (const each of steps) {
        if (each.do === 'add') {
          const name = ids.length;
          const id = heap.add(now + each.delay, name);
          ids.push(id);
          model.push({ id, due: now + each.delay, name });
        } else if (each.do === 'cancel') {
          const id = ids[each.which];
          if (id === undefined) continue;
          heap.cancel(id);
          model = model.filter((timer) => timer.id !== id);
        } else if (each.do === 'crash') {
          heap.removeAll((name) => name % 3 === each.remainder);
          model = model.filter(({ name }) => name % 3 !== each.remainder);
        } else {
          now += each.time;
          const due = model.filter((timer) => timer.due <= now).sort((a, b) => a.due - b.due || a.name - b.name);
          model = model.filter((timer) => timer.due > now);
          for (const { name } of due) if (heap.takeDue(now) !== name) return false;
          if (heap.takeDue(now) !== undefined) return false;
        }
        if (heap.size !== model.length) return false;
        if (heap.nextMs !== Math.min(Infinity, ...model.map(({ due }) => due))) return false;
      }
      return new Set(ids).size === ids.length;
    }),
    property,
  );
  t.pass('for every history');
  t.end();
});

test('an outstanding request is found until it is closed, and never again', (t) => {
  const outstanding = new Outstanding(3);
  const cell = {} as ActorCell;
  const conversation = {} as never;
  const first = outstanding.open(cell, 1, 10, conversation);
  outstanding.open(cell, 1, 11, conversation);
  outstanding.open(cell, 1, 12, conversation);
  t.ok(outstanding.full);
  t.equal(outstanding.correlation[outstanding.find(first)], 10);
  outstanding.close(outstanding.find(first));
  t.equal(outstanding.find(first), -1);
  const second = outstanding.open(cell, 1, 13, conversation);
  t.equal(outstanding.indexOf(second), outstanding.indexOf(first), 'the index is used again');
  t.equal(outstanding.find(first), -1, 'under another generation');
  t.equal(outstanding.find(12_345), -1, 'a number from nowhere is not found');
  for (let i = 0; i < 70_000; i++) {
    const index = outstanding.find(second);
    if (i > 0 && index >= 0 && i % 65_536 !== 0) t.fail('a generation was used again too early');
    outstanding.close(outstanding.indexOf(second));
    const next = outstanding.open(cell, 1, i, conversation);
    if (next < 0 || next > 0xffff_ffff) t.fail('a number is an unsigned 32-bit integer');
  }
  t.end();
});

test('supervision backs off, escalates, and forgets', (t) => {
  const policy = { backoffMs: 10, maxBackoffMs: 35, maxRestarts: 4, windowMs: 1_000 };
  const supervision = new Supervision(policy);
  t.same(
    [0, 1, 2, 3].map((now) => supervision.failed(now)),
    [10, 20, 35, 35].map((delayMs) => ({ type: 'restart', delayMs })),
  );
  t.same(supervision.failed(4), { type: 'escalate' });
  t.same(supervision.failed(1_002), { type: 'restart', delayMs: 20 }, 'three of the four are forgotten');
  supervision.reset();
  t.same(supervision.failed(1_003), { type: 'restart', delayMs: 10 });
  t.same(new Supervision({ ...policy, maxRestarts: 0 }).failed(0), { type: 'escalate' });
  t.throws(() => new Supervision({ ...policy, maxBackoffMs: 1 }), { name: 'InvariantError' });
  t.end();
});
