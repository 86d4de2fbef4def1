/** Short ways to write contexts, siblings and puts in tests. */
import { utf8 } from '../../src/base/bytes.js';
import {
  ATTEMPT,
  type CausalContext,
  DOT,
  EMPTY_CONTEXT,
  joinContexts,
  withAttempts,
  withDot,
} from '../../src/clocks/causal-context.js';
import type { EventId } from '../../src/clocks/event-id.js';
import { type Timestamp, ZERO_TIMESTAMP } from '../../src/clocks/timestamp.js';
import type { Write } from '../../src/objects/mint.js';
import type { Sibling, StoredObject } from '../../src/objects/stored-object.js';

/** The event `counter` of the writer or client named `id`; its halves differ, to tell them apart. */
export function event(id: number, counter: number): EventId {
  return { high: 0x8000_0000 + id, low: 0xffff_ff00 + id, counter };
}

/** A context from vector entries, dots beyond it, and attempts, in any order. */
export function context(vv: readonly EventId[], dots: readonly EventId[] = [], attempts: readonly EventId[] = []) {
  let made: CausalContext = EMPTY_CONTEXT;
  for (const { high, low, counter } of vv) made = joinContexts(made, { vv: [high, low, counter], extra: [] });
  for (const dot of dots) made = withDot(made, dot);
  return withAttempts(made, attempts);
}

export { ATTEMPT, DOT };

export function at(ms: number, logical = 0): Timestamp {
  return { ms, logical };
}

export function sibling(dot: EventId, fields: Partial<Sibling> = {}): Sibling {
  return {
    dot,
    attempt: event(100 + (dot.low & 0xff), dot.counter),
    timestamp: ZERO_TIMESTAMP,
    tombstone: false,
    expiresAtMs: 0,
    body: utf8(`${dot.low & 0xff}:${dot.counter}`),
    ...fields,
  };
}

export function write(dot: EventId, fields: Partial<Write> = {}): Write {
  return {
    dot,
    attempt: event(100 + (dot.low & 0xff), dot.counter),
    earlierAttempts: [],
    token: EMPTY_CONTEXT,
    tokenTimestamp: ZERO_TIMESTAMP,
    clock: ZERO_TIMESTAMP,
    lastWriteWins: false,
    tombstone: false,
    expiresAtMs: 0,
    body: utf8(`${dot.low & 0xff}:${dot.counter}`),
    ...fields,
  };
}

/** The dots of an object's siblings, as text. */
export function dotsOf(object: StoredObject | undefined): string[] {
  return (object?.siblings ?? []).map(({ dot }) => `${dot.low & 0xff}:${dot.counter}`);
}
