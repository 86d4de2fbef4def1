/**
 * A small world of replicas, stand-ins and clients that runs the real versions code (records, minting, merging,
 * tokens) through histories of puts, retries, late and repeated messages, crashes and handovers, and after every step
 * compares what a replica shows with the causal oracle.
 *
 * What is modelled around that code is what the actors do: when a writer draws a new id, what is sent when, which
 * attempts are remembered. Each rule of it can be broken by name (`PLANTED_BUGS`): the oracle must notice.
 */
import { InvalidArgumentError } from '../../src/base/errors.js';
import type { CausalContext } from '../../src/clocks/causal-context.js';
import { EMPTY_CONTEXT, joinContexts, withDotAndAllBefore } from '../../src/clocks/causal-context.js';
import type { Attempt, Dot, EventId, WriterId } from '../../src/clocks/event-id.js';
import { laterOf, type Timestamp, ZERO_TIMESTAMP } from '../../src/clocks/timestamp.js';
import { encodeLocatedKey, type KeyHash, keyHash } from '../../src/codec/key.js';
import { decodeRecord, encodeRecord } from '../../src/codec/record.js';
import { mergeRecords, mintRecord, outcomeIn } from '../../src/codec/record-update.js';
import { decodeToken, encodeToken } from '../../src/codec/token.js';
import { type MintedDot, receiptContext } from '../../src/objects/mint.js';
import { highestTimestamp, lastWrite } from '../../src/objects/resolution.js';
import { CausalOracle, type History, NOTHING_SEEN, type Seen, union, Violation } from './causal-oracle.js';

/** Rules of semantics §1 that can be broken; each by a name that says how. */
export const PLANTED_BUGS = [
  'same writer, counter set back, after an escaped dot',
  'same writer, counter going on, after an escaped dot',
  'a hint record keeps its writer after an escaped dot',
  'a fallback mints by its vnode id',
  'a record that is unreadable is minted upon under the same writer',
  "the receipt is the whole object's context",
  "the receipt's dot is folded into the vector",
  'last-write-wins inside merge',
  'a retry does not cover its earlier attempt',
  'the receipt of a retry does not cover its earlier attempt',
  'a token of another key is accepted',
  'an attempt is minted twice after it was superseded',
  'a put without a token covers what is there',
] as const;

/** Those that replicas cannot see, and a sequential client must. */
export const PLANTED_CLIENT_BUGS = [
  'a late acknowledgement of a voided attempt is counted',
  'a retry does not cover its earlier attempt',
  'the receipt of a retry does not cover its earlier attempt',
] as const;

export type PlantedBug = (typeof PLANTED_BUGS)[number] | (typeof PLANTED_CLIENT_BUGS)[number];

export interface WorldOptions {
  readonly bug?: PlantedBug | undefined;
  /**
   * One client, which retries a put until it is answered, and passes the join of all the tokens that it received:
   * it must never see siblings (semantics §7, promise 3).
   */
  readonly sequential?: boolean;
}

export const STEP_KINDS = [
  'put',
  'retry',
  'late attempt',
  'get',
  'deliver',
  'exchange',
  'commit',
  'crash',
  'hand over',
  'damage',
] as const;

/** One step; the numbers choose among what is possible at that moment. */
export interface Step {
  readonly kind: (typeof STEP_KINDS)[number];
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

const PRIMARIES = 3;
const FALLBACKS = 2;
const CLIENTS = 3;
const KEYS = 2;

/** A record, and the history that the oracle says it stands for. */
interface Held {
  readonly record: Uint8Array;
  readonly history: History;
}

/** One place that mints and merges: a vnode's record of each key, or one hint record. */
interface Writer {
  id: WriterId;
  counter: number;
}

/** A node's data: what is written, and what of it is committed. Slots are `key` in a vnode, `owner/key` among hints. */
interface Site {
  readonly name: string;
  readonly fallback: boolean;
  vnode: Writer;
  /** Of the hint records, by slot. */
  hintWriters: Map<string, Writer>;
  written: Map<string, Held>;
  committed: Map<string, Held>;
  /** The vnode's counter as of the last commit. */
  committedCounter: number;
  /** Attempts minted here in this incarnation. */
  remembered: Map<string, Dot>;
  /** Receipts that wait for the commit. */
  receipts: (() => void)[];
  incarnation: number;
}

interface Token {
  readonly text: string;
  readonly seen: Seen;
}

interface Put {
  readonly client: number;
  readonly key: number;
  readonly token: string | undefined;
  readonly seen: Seen;
  readonly lastWriteWins: boolean;
  readonly tombstone: boolean;
  /** Every attempt so far, the present one last. */
  attempts: Attempt[];
  answered: boolean;
}

interface AttemptMessage {
  readonly put: Put;
  readonly attempt: Attempt;
  readonly earlier: readonly Attempt[];
  readonly site: Site;
  readonly incarnation: number;
  readonly slot: string;
}

interface WriteMessage {
  readonly to: Site;
  readonly slot: string;
  readonly held: Held;
}

export class VersionWorld {
  /** How often each thing happened: a history in which nothing happens proves nothing. */
  readonly counts = new Map<string, number>();
  private readonly bug: PlantedBug | undefined;
  private readonly sequential: boolean;
  private readonly oracle = new CausalOracle();
  private readonly sites: Site[] = [];
  private readonly hashes: KeyHash[] = [];
  private readonly tokens: Token[][][] = [];
  private readonly open: (Put | undefined)[] = [];
  private readonly acknowledged: { readonly key: number; readonly event: number }[] = [];
  private attemptMessages: AttemptMessage[] = [];
  private writeMessages: WriteMessage[] = [];
  private destroyed = false;
  private drawn = 0;
  private sequence = 0;
  private clockMs = 1_000;

  constructor({ bug, sequential = false }: WorldOptions = {}) {
    this.bug = bug;
    this.sequential = sequential;
    for (let i = 0; i < PRIMARIES + FALLBACKS; i++) {
      this.sites.push({
        name: String.fromCharCode(97 + i),
        fallback: i >= PRIMARIES,
        vnode: this.newWriter(),
        hintWriters: new Map(),
        written: new Map(),
        committed: new Map(),
        committedCounter: 0,
        remembered: new Map(),
        receipts: [],
        incarnation: 1,
      });
    }
    for (let key = 0; key < KEYS; key++) {
      const [type, bucket] = [Buffer.from('t'), Buffer.from('b')];
      this.hashes.push(keyHash(encodeLocatedKey(0, { type, bucket, key: Buffer.from([65 + key]) })));
    }
    for (let client = 0; client < CLIENTS; client++) {
      this.tokens.push(Array.from({ length: KEYS }, () => []));
      this.open.push(undefined);
    }
  }

  take(step: Step): void {
    const at = (sites: readonly Site[]) => sites[step.a % sites.length]!;
    if (step.kind === 'put') this.put(step);
    else if (step.kind === 'retry') this.retry(step);
    else if (step.kind === 'late attempt') this.lateAttempt(step);
    else if (step.kind === 'get') this.get(step);
    else if (step.kind === 'deliver') this.deliver(step);
    else if (step.kind === 'exchange') this.exchange(step);
    else if (step.kind === 'commit') this.commit(at(this.sites));
    else if (step.kind === 'crash') this.crash(at(this.sites));
    else if (step.kind === 'hand over') this.handOver(step);
    else this.damage(step);
  }

  /** Everything reaches everybody, in an order of the numbers' choosing; then all must show what the oracle says. */
  heal(order: readonly number[]): void {
    for (const site of this.sites) this.commit(site);
    let turn = 0;
    const draw = (bound: number) => (order[turn++ % order.length]! + turn) % bound;
    while (this.writeMessages.length > 0) this.merge(take(this.writeMessages, draw(this.writeMessages.length)));
    for (const site of this.sites.slice(PRIMARIES))
      for (const slot of [...site.written.keys()]) this.handOverSlot(site, slot);
    for (let key = 0; key < KEYS; key++) this.converge(key, draw);
  }

  private converge(key: number, draw: (bound: number) => number): void {
    const slot = `${key}`;
    const primaries = this.sites.slice(0, PRIMARIES);
    for (let i = 0; i < PRIMARIES; i++) this.mergeInto(primaries[draw(PRIMARIES)]!, primaries[draw(PRIMARIES)]!, slot);
    for (let round = 0; round < 2; round++) {
      for (const from of primaries) for (const to of primaries) this.mergeInto(from, to, slot);
    }
    const first = primaries[0]!.written.get(slot);
    for (const { written, name } of primaries) {
      const held = written.get(slot);
      if (held === undefined && first === undefined) continue;
      if (held === undefined || first === undefined || Buffer.compare(held.record, first.record) !== 0) {
        throw new Violation(`After healing, ${name} does not have the bytes of the first primary`);
      }
      if (lastWrite(decodeRecord(held.record), 0) === undefined) throw new Violation('The key was emptied');
    }
    if (this.destroyed) return;
    for (const { key: ofKey, event } of this.acknowledged) {
      if (ofKey === key && !first?.history.has(event)) throw new Violation('An acknowledged write is nowhere');
    }
  }

  /** Every record of the first key that stands or travels somewhere: objects that can be reached, and so may meet. */
  reachableRecords(): Uint8Array[] {
    const records = this.writeMessages.filter(({ slot }) => slot.endsWith('0')).map(({ held }) => held.record);
    for (const site of this.sites) {
      for (const [slot, held] of [...site.written, ...site.committed])
        if (slot.endsWith('0')) records.push(held.record);
    }
    return records;
  }

  // What clients do.

  private put({ a, b, c, d }: Step): void {
    if (this.sequential) {
      this.putInSequence(a, b, d);
      return;
    }
    const client = a % CLIENTS;
    const key = b % 4 === 0 ? 1 : 0;
    const own = this.tokens[client]![key]!;
    const foreign = this.tokens[client]![1 - key]!;
    let token: string | undefined;
    let seen = NOTHING_SEEN;
    if (c % 8 === 0 && foreign.length > 0) {
      // A client's mistake. It has seen nothing of this key by that token.
      token = foreign[d % foreign.length]!.text;
    } else if (c % 8 > 1 && own.length > 0) {
      // Mostly the latest; but any earlier one is allowed.
      const chosen = c % 8 > 4 ? own.at(-1)! : own[d % own.length]!;
      ({ text: token, seen } = chosen);
    }
    const lastWriteWins = (a >> 4) % 6 === 0;
    const put: Put = {
      client,
      key,
      token,
      seen,
      lastWriteWins,
      tombstone: (a >> 4) % 5 === 1,
      attempts: [],
      answered: false,
    };
    this.open[client] = put;
    this.send(put, b >> 2, d >> 4);
  }

  private putInSequence(a: number, b: number, d: number): void {
    const before = this.open[0];
    if (before !== undefined && !before.answered) {
      this.send(before, b >> 2, d >> 4);
      return;
    }
    let seen = NOTHING_SEEN;
    let context: CausalContext = EMPTY_CONTEXT;
    let timestamp = ZERO_TIMESTAMP;
    for (const token of this.tokens[0]![0]!) {
      const decoded = decodeToken(token.text, this.hashes[0]!);
      seen = union(seen, token.seen);
      context = joinContexts(context, decoded.context);
      timestamp = laterOf(timestamp, decoded.highestTimestamp);
    }
    const token = encodeToken(this.hashes[0]!, context, timestamp);
    const tombstone = (a >> 4) % 5 === 1;
    const put = {
      client: 0,
      key: 0,
      token,
      seen,
      lastWriteWins: a % 6 === 0,
      tombstone,
      attempts: [],
      answered: false,
    };
    this.open[0] = put;
    this.send(put, b >> 2, d >> 4);
  }

  private retry({ a, b, c }: Step): void {
    const put = this.open[this.sequential ? 0 : a % CLIENTS];
    if (put !== undefined && !put.answered) this.send(put, b, c);
  }

  /** Sends one more attempt of the put: now, late, or both. */
  private send(put: Put, where: number, when: number): void {
    const earlier = put.attempts.slice();
    const attempt = { high: 0xffff_0000, low: put.client, counter: ++this.sequence };
    put.attempts.push(attempt);
    const site = this.sites[where % this.sites.length]!;
    const slot = site.fallback ? `${(where >> 4) % PRIMARIES}/${put.key}` : `${put.key}`;
    const message = { put, attempt, earlier, site, incarnation: site.incarnation, slot };
    if (earlier.length > 0) this.count('retry');
    if (when % 4 !== 0) this.attempt(message);
    if (when % 4 < 2) this.attemptMessages.push(message);
  }

  private lateAttempt({ a, b }: Step): void {
    if (this.attemptMessages.length === 0) return;
    const index = a % this.attemptMessages.length;
    const message = this.attemptMessages[index]!;
    if (b % 2 === 0) take(this.attemptMessages, index);
    // A message to an old incarnation fails.
    if (message.site.incarnation === message.incarnation) this.attempt(message);
  }

  private get({ a, b, c }: Step): void {
    const client = this.sequential ? 0 : a % CLIENTS;
    const key = !this.sequential && b % 4 === 0 ? 1 : 0;
    let merged: Held | undefined;
    for (let i = 0; i < this.sites.length; i++) {
      if (((c >> i) & 1) === 0) continue;
      const site = this.sites[i]!;
      for (const [slot, held] of site.written) {
        if (slot === `${key}` || slot.endsWith(`/${key}`))
          merged = merged === undefined ? held : this.merged(merged, held);
      }
    }
    if (merged === undefined) return;
    this.count('get');
    const object = decodeRecord(merged.record);
    this.give(client, key, object.context, highestTimestamp(object), this.oracle.seenBy(merged.history));
    const repaired = merged;
    // Read repair of one of the primaries.
    if (b % 3 === 0) this.writeMessages.push({ to: this.sites[(b >> 4) % PRIMARIES]!, slot: `${key}`, held: repaired });
  }

  private give(client: number, key: number, context: CausalContext, timestamp: Timestamp, seen: Seen): void {
    this.tokens[client]![key]!.push({ text: encodeToken(this.hashes[key]!, context, timestamp), seen });
  }

  // What nodes do.

  private attempt(message: AttemptMessage): void {
    const { put, attempt, site, slot } = message;
    const earlier = this.bug === 'a retry does not cover its earlier attempt' ? [] : message.earlier;
    let token = { context: EMPTY_CONTEXT, highestTimestamp: ZERO_TIMESTAMP };
    if (put.token !== undefined) {
      try {
        token = decodeToken(put.token, this.hashFor(put));
      } catch (error) {
        if (!(error instanceof InvalidArgumentError)) throw error;
        this.count('foreign token refused');
        return;
      }
    }
    const local = site.written.get(slot);
    if (this.bug === 'a put without a token covers what is there' && put.token === undefined && local !== undefined) {
      token = { ...token, context: decodeRecord(local.record).context };
    }
    const writer = this.writerOf(site, slot);
    const dot = { ...writer.id, counter: writer.counter + 1 };
    const forgets = this.bug === 'an attempt is minted twice after it was superseded';
    const known = forgets ? undefined : site.remembered.get(text(attempt));
    const outcome = outcomeIn(local?.record, attempt, known);
    if (outcome !== 'unknown') {
      this.count(outcome);
      return;
    }
    this.count('minted');
    const minted = mintRecord(local?.record, {
      dot,
      attempt,
      earlierAttempts: earlier,
      token: token.context,
      tokenTimestamp: token.highestTimestamp,
      clock: { ms: ++this.clockMs - (dot.counter % 3) * 5, logical: 0 },
      lastWriteWins: put.lastWriteWins,
      tombstone: put.tombstone,
      expiresAtMs: 0,
      body: put.tombstone ? new Uint8Array(0) : Buffer.from(text(dot)),
    });
    writer.counter++;
    site.remembered.set(text(attempt), dot);

    const mine: Seen = { events: new Set(), attempts: new Set(message.earlier.map(text)) };
    let supersedes = union(put.seen, mine);
    if (put.lastWriteWins && local !== undefined) {
      const here = new Set(this.oracle.visibleEvents(local.history));
      supersedes = union(supersedes, { events: here, attempts: new Set() });
    }
    const event = this.oracle.add({ dot: text(dot), attempt: text(attempt), supersedes });
    const held = { record: minted.record, history: new Set([...(local?.history ?? []), event]) };
    this.write(site, slot, held);
    this.replicate(site, slot, held, event);
    const before = minted.dot.alone ? this.ownBefore(local?.history, held.history, dot) : NOTHING_SEEN;
    site.receipts.push(() => this.acknowledge(message, minted.dot, event, before, minted.record, token));
  }

  /** A dot needs no commit before it travels; some of the messages are lost. */
  private replicate(site: Site, slot: string, held: Held, luck: number): void {
    const key = slot.at(-1)!;
    for (let i = 0; i < PRIMARIES; i++) {
      const to = this.sites[i]!;
      if (to !== site && (luck + i) % 3 !== 0) this.writeMessages.push({ to, slot: key, held });
    }
    if (luck % 4 === 0) {
      const fallback = this.sites[PRIMARIES + (luck % FALLBACKS)]!;
      if (fallback !== site) this.writeMessages.push({ to: fallback, slot: `${luck % PRIMARIES}/${key}`, held });
    }
  }

  /** What the receipt of a dot that is alone covers as well: all of its writer's before it, which must be replaced. */
  private ownBefore(local: History | undefined, now: History, dot: Dot): Seen {
    const own = this.oracle.eventsBy(local ?? new Set(), text({ ...dot, counter: 0 }).slice(0, -1));
    const visible = new Set(this.oracle.visibleEvents(now));
    for (const event of own) if (visible.has(event)) throw new Violation('A dot that is alone has a sibling beside it');
    this.count('alone');
    return { events: own, attempts: new Set() };
  }

  /** After the commit, and only if it answers the client's present attempt. */
  private acknowledge(
    { put, attempt, earlier }: AttemptMessage,
    dot: MintedDot,
    event: number,
    before: Seen,
    record: Uint8Array,
    token: { context: CausalContext; highestTimestamp: Timestamp },
  ): void {
    this.acknowledged.push({ key: put.key, event });
    const voided = put.attempts.at(-1) !== attempt;
    if (put.answered || (voided && this.bug !== 'a late acknowledgement of a voided attempt is counted')) return;
    put.answered = true;
    this.count('receipt');
    const object = decodeRecord(record);
    const timestamp = laterOf(token.highestTimestamp, highestTimestamp(object));
    const own = { events: new Set([event]), attempts: new Set(earlier.map(text)) };
    const seen = union(union(put.seen, own), before);
    this.give(put.client, put.key, this.receipt(token.context, dot, earlier, object.context), timestamp, seen);
  }

  private receipt(
    token: CausalContext,
    dot: MintedDot,
    earlier: readonly Attempt[],
    whole: CausalContext,
  ): CausalContext {
    switch (this.bug) {
      case "the receipt is the whole object's context":
        return whole;
      case "the receipt's dot is folded into the vector":
        return withDotAndAllBefore(receiptContext(token, dot, earlier), dot);
      case 'the receipt of a retry does not cover its earlier attempt':
        return receiptContext(token, dot, []);
      default:
        return receiptContext(token, dot, earlier);
    }
  }

  private deliver({ a, b }: Step): void {
    if (this.writeMessages.length === 0) return;
    const index = a % this.writeMessages.length;
    // Repeated, as often as it stays.
    this.merge(b % 3 === 0 ? this.writeMessages[index]! : take(this.writeMessages, index));
  }

  private merge({ to, slot, held }: WriteMessage): void {
    this.count('delivered');
    const local = to.written.get(slot);
    this.write(to, slot, local === undefined ? held : this.merged(local, held));
  }

  private exchange({ a, b, c }: Step): void {
    this.mergeInto(this.sites[a % PRIMARIES]!, this.sites[b % PRIMARIES]!, c % 4 === 0 ? '1' : '0');
  }

  private mergeInto(from: Site, to: Site, slot: string): void {
    const held = from.written.get(slot);
    if (held !== undefined && from !== to) this.merge({ to, slot, held });
  }

  private commit(site: Site): void {
    site.committed = new Map(site.written);
    site.committedCounter = site.vnode.counter;
    const { receipts } = site;
    site.receipts = [];
    for (const release of receipts) release();
  }

  /** What was not committed is lost, though its dots may have escaped: so every writer of the site is a new one. */
  private crash(site: Site): void {
    this.count('crash');
    const escaped = site.receipts.length > 0;
    if (escaped) this.count('crash with escaped dots');
    site.written = new Map(site.committed);
    site.receipts = [];
    site.remembered = new Map();
    site.incarnation++;
    if (this.bug === 'same writer, counter set back, after an escaped dot') site.vnode.counter = site.committedCounter;
    else if (this.bug !== 'same writer, counter going on, after an escaped dot') site.vnode = this.newWriter();
    site.committedCounter = site.vnode.counter;
    if (this.bug !== 'a hint record keeps its writer after an escaped dot') site.hintWriters.clear();
  }

  private handOver({ a, b }: Step): void {
    const site = this.sites[PRIMARIES + (a % FALLBACKS)]!;
    const slots = [...site.written.keys()];
    if (slots.length > 0) this.handOverSlot(site, slots[b % slots.length]!);
  }

  /** The owner commits the hint, then it is deleted, and its writer with it. */
  private handOverSlot(site: Site, slot: string): void {
    const owner = this.sites[Number(slot[0])]!;
    this.count('handed over');
    this.merge({ to: owner, slot: slot.at(-1)!, held: site.written.get(slot)! });
    this.commit(owner);
    this.commit(site);
    site.written.delete(slot);
    site.committed.delete(slot);
    site.hintWriters.delete(slot);
  }

  /** A record turns out to be unreadable: the vnode goes on without it, as a new writer. */
  private damage({ a, b, c }: Step): void {
    const site = this.sites[a % PRIMARIES]!;
    const slot = b % 4 === 0 ? '1' : '0';
    if (c % 3 !== 0 || !site.written.has(slot)) return;
    this.count('damage');
    this.commit(site);
    site.written.delete(slot);
    site.committed.delete(slot);
    this.destroyed = true;
    if (this.bug !== 'a record that is unreadable is minted upon under the same writer') site.vnode = this.newWriter();
  }

  private write(site: Site, slot: string, held: Held): void {
    this.check(site.name, held);
    site.written.set(slot, held);
  }

  /** Exactly the siblings that the oracle would show, tombstones included. */
  private check(name: string, { record, history }: Held): void {
    const shown = decodeRecord(record)
      .siblings.map(({ dot }) => text(dot))
      .sort();
    const expected = this.oracle.visible(history);
    if (shown.join() !== expected.join()) {
      throw new Violation(`${name} shows [${shown}] where the oracle says [${expected}]`);
    }
    if (this.sequential && shown.length > 1) throw new Violation(`${name} shows a sequential client [${shown}]`);
  }

  private merged(a: Held, b: Held): Held {
    let record = mergeRecords(a.record, b.record);
    if (this.bug === 'last-write-wins inside merge') {
      const object = decodeRecord(record);
      record = encodeRecord({ context: object.context, siblings: [lastWrite(object, 0)!] });
    }
    const held = { record, history: new Set([...a.history, ...b.history]) };
    this.check('A merge', held);
    return held;
  }

  private hashFor(put: Put): KeyHash {
    if (this.bug !== 'a token of another key is accepted') return this.hashes[put.key]!;
    const isForeign = this.tokens[put.client]![1 - put.key]!.some(({ text }) => text === put.token);
    return this.hashes[isForeign ? 1 - put.key : put.key]!;
  }

  private writerOf(site: Site, slot: string): Writer {
    if (!site.fallback || this.bug === 'a fallback mints by its vnode id') return site.vnode;
    let writer = site.hintWriters.get(slot);
    if (writer === undefined) {
      writer = this.newWriter();
      site.hintWriters.set(slot, writer);
    }
    return writer;
  }

  /** Ids in no order, as random ones are. */
  private newWriter(): Writer {
    const number = ++this.drawn;
    return {
      id: { high: Math.imul(number, 0x9e37_79b1) >>> 0, low: Math.imul(number, 0x85eb_ca6b) >>> 0 },
      counter: 0,
    };
  }

  private count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

function take<T>(from: T[], index: number): T {
  return from.splice(index, 1)[0]!;
}

function text(id: EventId): string {
  return `${id.high.toString(16)}.${id.low.toString(16)}:${id.counter}`;
}
