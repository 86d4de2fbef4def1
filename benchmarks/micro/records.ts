/**
 * What the record codec costs, in nanoseconds per call: the hot path of every put and get.
 * Run: `npm run build && node dist/benchmarks/micro/records.js`, with `--cpu-prof` to see where it goes.
 * Each figure is the best of several rounds, because a shared machine only ever makes a round slower.
 */
import { hash64 } from '../../src/base/hash.js';
import { EMPTY_CONTEXT } from '../../src/clocks/causal-context.js';
import type { EventId } from '../../src/clocks/event-id.js';
import { ZERO_TIMESTAMP } from '../../src/clocks/timestamp.js';
import { encodeBody } from '../../src/codec/body.js';
import { encodeLocatedKey, keyHash } from '../../src/codec/key.js';
import { decodeRecord, digestHigh, encodeRecord } from '../../src/codec/record.js';
import { mergeRecords, mintRecord, replacesRecord } from '../../src/codec/record-update.js';
import { decodeToken, encodeToken } from '../../src/codec/token.js';
import { merge } from '../../src/objects/merge.js';
import { mint, receiptContext, type Write } from '../../src/objects/mint.js';

const ROUNDS = 7;
const ROUND_MS = 60;

/** Keeps results alive, so that no call is optimised away. */
let sink: unknown;

function measure(name: string, call: (i: number) => unknown): void {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    let calls = 0;
    const start = process.hrtime.bigint();
    let elapsed = 0;
    while (elapsed < ROUND_MS * 1e6) {
      for (let i = 0; i < 1_000; i++) sink = call(i);
      calls += 1_000;
      elapsed = Number(process.hrtime.bigint() - start);
    }
    best = Math.min(best, elapsed / calls);
  }
  process.stdout.write(`${name.padEnd(58)} ${best.toFixed(0).padStart(7)} ns\n`);
}

/** Three writers and one client, with ids as random as real ones. */
const IDS: readonly EventId[] = [
  { high: 0x1234_5678, low: 0x9abc_def0, counter: 1 },
  { high: 0x8fed_cba9, low: 0x7654_3210, counter: 1 },
  { high: 0xc0ff_ee00, low: 0xdead_beef, counter: 1 },
  { high: 0x7777_7777, low: 0xf00d_f00d, counter: 1 },
];

const body = encodeBody({ contentType: 'application/json', metadata: {}, value: new Uint8Array(100).fill(65) });

function put(writer: number, counter: number, fields: Partial<Write> = {}): Write {
  return {
    dot: { ...IDS[writer]!, counter },
    attempt: { ...IDS[3]!, counter: counter * 4 + writer },
    earlierAttempts: [],
    token: EMPTY_CONTEXT,
    tokenTimestamp: ZERO_TIMESTAMP,
    clock: { ms: 1_700_000_000_000 + counter, logical: 0 },
    lastWriteWins: false,
    tombstone: false,
    expiresAtMs: 0,
    body,
    ...fields,
  };
}

/** A record that each of the first `writers` writers has written, each having seen the one before. */
function recordOf(writers: number): Uint8Array {
  let record: Uint8Array | undefined;
  for (let writer = 0; writer < writers; writer++) {
    const token = record === undefined ? EMPTY_CONTEXT : decodeRecord(record).context;
    record = mintRecord(record, put(writer, 1_000 + writer, { token })).record;
  }
  return record!;
}

for (const writers of [1, 3]) {
  const old = recordOf(writers);
  const decoded = decodeRecord(old);
  const next = put(0, 5_000, { token: decoded.context });
  const fresh = mintRecord(old, next).record;
  const decodedFresh = decodeRecord(fresh);
  const aside = mintRecord(undefined, put(2, 9_000)).record;
  const lww = put(0, 5_000, { lastWriteWins: true });
  process.stdout.write(`\n100-byte value, one sibling, ${writers} writers in the vector (${old.length} bytes)\n`);
  measure('hash64 of the record (the floor of each decode and encode)', () => hash64(old));
  measure('decodeRecord', () => decodeRecord(old));
  measure('encodeRecord', () => encodeRecord(decoded));
  measure('mint alone, with the token of the last read', () => mint(decoded, next));
  measure('merge alone, the incoming one replaces', () => merge(decoded, decodedFresh));
  measure('mintRecord, with the token of the last read', () => mintRecord(old, next));
  measure('mintRecord, last-write-wins', () => mintRecord(old, lww));
  measure('mergeRecords, the incoming one replaces', () => mergeRecords(old, fresh));
  measure('replacesRecord', () => replacesRecord(fresh, old));
  measure('mergeRecords, the local one is newer', () => mergeRecords(fresh, old));
  measure('mergeRecords, equal', () => mergeRecords(old, old));
  measure('mergeRecords, none there yet', () => mergeRecords(undefined, fresh));
  measure('mergeRecords, concurrent: two siblings', () => mergeRecords(fresh, aside));
  measure('digestHigh, twice', () => digestHigh(fresh) === digestHigh(old));
}

process.stdout.write('\nKeys, bodies, tokens\n');
const parts = { type: Buffer.from('default'), bucket: Buffer.from('carts'), key: Buffer.from('user-000000123456') };
const located = encodeLocatedKey(7, parts);
const hash = keyHash(located);
const seen = decodeRecord(recordOf(3)).context;
const token = encodeToken(hash, seen, { ms: 1_700_000_000_000, logical: 1 });
const value = new Uint8Array(100);
measure('encodeLocatedKey', () => encodeLocatedKey(7, parts));
measure('keyHash', () => keyHash(located));
measure('encodeBody', () => encodeBody({ contentType: 'application/json', metadata: {}, value }));
measure('receiptContext', () => receiptContext(seen, { ...IDS[0]!, counter: 7_000, alone: true }, []));
measure('encodeToken', () => encodeToken(hash, seen, { ms: 1_700_000_000_000, logical: 1 }));
measure('decodeToken', () => decodeToken(token, hash));

if (sink === undefined) throw new Error('Nothing was measured');
