/**
 * What the clients of a simulated cluster did and were told, in the words of the checkers. Each try of a put is a write
 * event with a number; each put knows the events that its token had seen. This is bookkeeping by the clients' own
 * observations: it looks into no causal context, so that it can be held against them.
 *
 * Why tries and not puts: whoever has read a put's first try and replaced it has not seen the second one, which its
 * client sends when the first one's coordinator dies. The second is then a write beside that later one.
 */
import { type CausalContext, coversDot } from '../clocks/causal-context.js';
import type { Attempt, Dot } from '../clocks/event-id.js';
import { compareTimestamps, type Timestamp } from '../clocks/timestamp.js';
import { decodeRecord } from '../codec/record.js';
import type { Ack, OperationFailure } from '../messages/coordinator-messages.js';
import type { StoredObject } from '../objects/stored-object.js';
import { MintLedger } from './mint-ledger.js';

/** A causal context as a client keeps it, and the events that it has seen: all of them, transitively. */
export interface Token {
  readonly text: string;
  readonly events: ReadonlySet<number>;
}

export type PutEnd =
  | {
      readonly type: 'acknowledged';
      readonly dot: Dot;
      readonly timestamp: Timestamp;
      readonly acks: readonly Ack[];
      readonly token: Token;
    }
  | { readonly type: 'failed'; readonly failure: OperationFailure }
  /** Its client died with the process before it was told. */
  | { readonly type: 'abandoned' };

export interface PutOperation {
  readonly id: number;
  readonly client: number;
  readonly key: string;
  /** What it wrote, unique among all puts; null for a delete. */
  readonly value: string | null;
  readonly lastWriteWins: boolean;
  /** How long its value lives, in milliseconds; 0: for good. */
  readonly ttlMs: number;
  /** The events that its token had seen. */
  readonly past: ReadonlySet<number>;
  /** Its tries, in order. */
  readonly events: number[];
  readonly w: number;
  readonly dw: number;
  readonly timeoutMs: number;
  /** Virtual milliseconds. */
  readonly startedAt: number;
  endedAt: number;
  end: PutEnd | undefined;
  /** It was sent with a condition. */
  conditional: boolean;
  /** How often its client was told an outcome. */
  told: number;
}

/** One sibling of an object as read: the event that made it, and when by its own timestamp. */
export interface ReadSibling {
  readonly event: number;
  readonly timestamp: Timestamp;
}

export type GetEnd =
  | {
      readonly type: 'got';
      readonly siblings: readonly ReadSibling[];
      readonly token: Token | undefined;
      readonly mayMissHints: boolean;
    }
  | { readonly type: 'failed'; readonly failure: OperationFailure }
  | { readonly type: 'abandoned' };

export interface GetOperation {
  readonly id: number;
  readonly client: number;
  readonly key: string;
  readonly r: number;
  /** So many of its answers were primaries'. */
  readonly pr: number;
  /** The events that its session had seen; undefined: it had none. */
  readonly session: ReadonlySet<number> | undefined;
  readonly timeoutMs: number;
  readonly startedAt: number;
  endedAt: number;
  end: GetEnd | undefined;
  told: number;
}

export type AcknowledgedPut = PutOperation & { readonly end: PutEnd & { type: 'acknowledged' } };

/** At this moment data of these nodes went back to an older state, or became unreadable. */
export interface Destruction {
  readonly time: number;
  readonly nodes: readonly number[];
  /** False: nothing of their replicas was touched. */
  readonly replicas: boolean;
  /** Whether the loss of a put is excused by it. */
  readonly excuses: (put: AcknowledgedPut) => boolean;
}

export class History {
  readonly puts: PutOperation[] = [];
  readonly gets: GetOperation[] = [];
  readonly destructions: Destruction[] = [];
  /** Acknowledged puts whose last holder was destroyed by a fault: nothing can be asked of them any more. */
  readonly destroyed = new Set<number>();
  /** What contradicted itself while it was being written down: each is a violation. */
  readonly contradictions: string[] = [];
  /** What was reaped before its time: each is a violation. */
  readonly forgottenEarly: string[] = [];
  readonly minting = new MintLedger();
  /** By dot: when what it wrote expires. */
  private readonly expiryOfDot = new Map<string, number>();
  /** By event: its put, and how many tries of that put came before. */
  private readonly events: { readonly put: PutOperation; readonly tries: number }[] = [];
  private readonly eventsOfKey = new Map<string, number[]>();
  private readonly eventOfAttempt = new Map<string, number>();
  private readonly attemptOfDot = new Map<string, string>();
  private readonly contextOfDot = new Map<string, CausalContext>();
  private readonly mintedPuts = new Set<number>();
  /** Deletions that were removed from a replica, by event: as they were there, and when that was first. */
  private readonly reaped = new Map<number, { readonly sibling: ReadSibling; readonly time: number }>();
  /** By key, when a round first came to the commit by which something of it is forgotten. */
  private readonly forgettings = new Map<string, number>();
  /** By event, when power first took a replica back to it. */
  private readonly takenBackTo = new Map<number, number>();
  /** By event: what the vnodes that minted it had seen with it. */
  private readonly contextsOfEvent = new Map<number, CausalContext[]>();
  /** By event: the dots under which it was minted. */
  private readonly dotsOfEvent = new Map<number, Dot[]>();

  /** `put` is tried under `attempt`; the same attempt may be sent to several coordinators. */
  noteAttempt(put: PutOperation, attempt: Attempt): void {
    const name = nameOf(attempt);
    if (this.eventOfAttempt.has(name)) return;
    this.eventOfAttempt.set(name, this.events.length);
    put.events.push(this.events.length);
    const ofKey = this.eventsOfKey.get(put.key);
    if (ofKey === undefined) this.eventsOfKey.set(put.key, [this.events.length]);
    else ofKey.push(this.events.length);
    this.events.push({ put, tries: put.events.length - 1 });
  }

  /** `dot` was seen to name `attempt`. */
  noteDot(dot: Dot, attempt: Attempt, where: string): void {
    const name = nameOf(dot);
    const known = this.attemptOfDot.get(name);
    if (known === undefined) this.attemptOfDot.set(name, nameOf(attempt));
    else if (known !== nameOf(attempt)) {
      this.contradictions.push(`dot ${name} names attempt ${known}, and in ${where} attempt ${nameOf(attempt)}`);
    }
  }

  /** A vnode minted `attempt` under `dot`, upon which its object had seen `context`. */
  noteMinted(dot: Dot, attempt: Attempt, context: CausalContext): void {
    this.noteDot(dot, attempt, 'a minting');
    this.contextOfDot.set(nameOf(dot), context);
    const event = this.eventOfAttempt.get(nameOf(attempt));
    if (event === undefined) return;
    this.mintedPuts.add(this.events[event]!.put.id);
    this.contextsOfEvent.set(event, [...(this.contextsOfEvent.get(event) ?? []), context]);
    this.dotsOfEvent.set(event, [...(this.dotsOfEvent.get(event) ?? []), dot]);
  }

  /** What the minting vnode's object had seen with this write. */
  contextAt(dot: Dot): CausalContext | undefined {
    return this.contextOfDot.get(nameOf(dot));
  }

  /** A vnode removes a record of which nothing is alive. */
  noteReaped(record: Uint8Array, time: number): void {
    for (const sibling of this.siblingsOf(record, 'a record that was reaped')) {
      if (!this.reaped.has(sibling.event)) this.reaped.set(sibling.event, { sibling, time });
    }
  }

  /** True if by then a deletion was forgotten somewhere that had replaced the put, or is the put. */
  wasReaped(put: AcknowledgedPut, time: number): boolean {
    for (const { sibling, time: reapedAt } of this.reaped.values()) {
      if (reapedAt > time || this.putBy(sibling.event).key !== put.key) continue;
      if (this.carries(sibling, put)) return true;
    }
    return false;
  }

  /** True if by then a deletion was forgotten somewhere that is this event, or whose author had seen it. */
  wasForgotten(event: number, time: number): boolean {
    for (const [deletion, { time: reapedAt }] of this.reaped) {
      if (reapedAt <= time && (deletion === event || this.isBefore(event, deletion))) return true;
    }
    return false;
  }

  /** Some replica is told to forget something of `key`: a deletion, or a part of what its object has seen. */
  noteForgetting(key: string, time: number): void {
    if (!this.forgettings.has(key)) this.forgettings.set(key, time);
  }

  /** Power took a replica back to where it showed `event`. */
  cameBack(event: number, time: number): void {
    if (!this.takenBackTo.has(event)) this.takenBackTo.set(event, time);
  }

  /**
   * True if by then a replica that had not flushed its vote was taken back to this event, and something of its key was
   * forgotten: of what has replaced it nobody may know any more.
   */
  mayBeBack(event: number, time: number): boolean {
    const takenBackAt = this.takenBackTo.get(event);
    const forgottenAt = this.forgettings.get(this.putBy(event).key);
    if (takenBackAt === undefined || forgottenAt === undefined) return false;
    return takenBackAt <= time && forgottenAt <= time;
  }

  wasMinted(put: PutOperation): boolean {
    return this.mintedPuts.has(put.id);
  }

  /** The event that `attempt` is. */
  eventOf(attempt: Attempt): number | undefined {
    return this.eventOfAttempt.get(nameOf(attempt));
  }

  /** The put that `attempt` is a try of. */
  putOf(attempt: Attempt): PutOperation | undefined {
    const event = this.eventOfAttempt.get(nameOf(attempt));
    return event === undefined ? undefined : this.events[event]!.put;
  }

  /** The put that `event` is a try of. */
  putBy(event: number): PutOperation {
    return this.events[event]!.put;
  }

  /** The siblings of a record, tombstones included. */
  siblingsOf(record: Uint8Array, where: string): ReadSibling[] {
    if (record.length === 0) return [];
    const siblings: ReadSibling[] = [];
    for (const { dot, attempt, timestamp, expiresAtMs } of decodeRecord(record).siblings) {
      this.noteDot(dot, attempt, where);
      const event = this.eventOfAttempt.get(nameOf(attempt));
      if (event === undefined) this.contradictions.push(`${where}: a sibling that nobody put, dot ${nameOf(dot)}`);
      else {
        siblings.push({ event, timestamp });
        this.noteExpiry(dot, this.putBy(event), expiresAtMs, where);
      }
    }
    return siblings;
  }

  /** When a value expires is fixed where it is minted, and the same wherever it is seen. */
  private noteExpiry(dot: Dot, put: PutOperation, expiresAtMs: number, where: string): void {
    const known = this.expiryOfDot.get(nameOf(dot));
    if (known === undefined) this.expiryOfDot.set(nameOf(dot), expiresAtMs);
    if ((known ?? expiresAtMs) === expiresAtMs && expiresAtMs > 0 === put.ttlMs > 0) return;
    this.contradictions.push(
      `${where}: ${describePut(put)} expires at ${expiresAtMs}, not ${known ?? 'as it was put'}`,
    );
  }

  /** All that someone has seen who saw these siblings. */
  seenIn(siblings: readonly ReadSibling[]): ReadonlySet<number> {
    const seen = new Set<number>();
    for (const { event } of siblings) {
      const { put, tries } = this.events[event]!;
      for (let i = 0; i <= tries; i++) seen.add(put.events[i]!);
      for (const earlier of put.past) seen.add(earlier);
    }
    return seen;
  }

  /** True if `later` replaces `earlier`: its author had seen it, or it is a later try of the same put. */
  isBefore(earlier: number, later: number): boolean {
    const { put, tries } = this.events[later]!;
    if (put.past.has(earlier)) return true;
    return tries > 0 && this.events[earlier]!.put === put && this.events[earlier]!.tries < tries;
  }

  /** True if the sibling is, or replaces, what `put` was acknowledged for. */
  carries(sibling: ReadSibling, put: AcknowledgedPut): boolean {
    const acknowledged = put.events[put.events.length - 1]!;
    if (sibling.event === acknowledged || this.isBefore(acknowledged, sibling.event)) return true;
    // Under last-write-wins a put beats what its coordinator had, seen or not, by a later timestamp.
    if (!put.lastWriteWins) return false;
    return compareTimestamps(sibling.timestamp, put.end.timestamp) > 0 || this.wasBeatenByATry(put, sibling);
  }

  /** True if the object has seen the put's dot, or, where a context was reduced since, shows what has replaced it. */
  isHeldIn({ context, siblings }: StoredObject, put: AcknowledgedPut): boolean {
    if (coversDot(context, put.end.dot)) return true;
    return siblings.some(({ attempt, timestamp }) => {
      const event = this.eventOfAttempt.get(nameOf(attempt));
      return event !== undefined && this.carries({ event, timestamp }, put);
    });
  }

  /**
   * True if a try of the sibling's put, up to this one, was minted over what `put` was acknowledged for. A try that was
   * voided since has handed that on: its put stands, whatever the clock of the vnode that minted the later try. And so has
   * a put whose tries did that, to whatever was minted over it.
   */
  private wasBeatenByATry(put: AcknowledgedPut, sibling: ReadSibling): boolean {
    const reached = new Map<PutOperation, number>();
    const queue = [sibling.event];
    for (let event = queue.pop(); event !== undefined; event = queue.pop()) {
      const { put: winner, tries } = this.events[event]!;
      if (winner === put || (reached.get(winner) ?? -1) >= tries) continue;
      reached.set(winner, tries);
      for (const one of winner.events.slice(0, tries + 1)) {
        for (const context of this.contextsOfEvent.get(one) ?? []) {
          if (coversDot(context, put.end.dot)) return true;
          for (const earlier of this.eventsOfKey.get(put.key) ?? []) {
            if (this.dotsOfEvent.get(earlier)?.some((dot) => coversDot(context, dot))) queue.push(earlier);
          }
        }
      }
    }
    return false;
  }

  /** True if the author of `put` had seen `sibling`, or the put is a later try of it. */
  replaces(put: AcknowledgedPut, sibling: ReadSibling): boolean {
    return this.isBefore(sibling.event, put.events[put.events.length - 1]!);
  }

  *acknowledged(): Generator<AcknowledgedPut> {
    for (const put of this.puts) if (put.end?.type === 'acknowledged') yield put as AcknowledgedPut;
  }

  /** True if since the put began, whatever acknowledged it has had its data destroyed: the acknowledgements were still on their way. */
  wasOvertaken(put: AcknowledgedPut): boolean {
    const since = this.destructions.filter(({ time, excuses }) => time >= put.startedAt && excuses(put));
    return put.end.acks.every(({ node }) => since.some(({ nodes }) => nodes.includes(node)));
  }

  /** True if between the two moments a replica of one of the nodes was destroyed, or taken back. */
  wasDestroyed(nodes: readonly number[], from: number, to: number): boolean {
    return this.destructions.some(
      (one) => one.replicas && one.time >= from && one.time <= to && one.nodes.some((node) => nodes.includes(node)),
    );
  }
}

export function nameOf({ high, low, counter }: Dot | Attempt): string {
  return `${high.toString(16)}${low.toString(16).padStart(8, '0')}:${counter}`;
}

/** How a put is called in reports. */
export function describePut(put: PutOperation): string {
  const what = put.value === null ? `delete of ${put.key}` : `put ${put.key} = ${put.value}`;
  return `#${put.id} (${what}, client ${put.client}, w ${put.w}, at ${put.startedAt.toFixed(1)} ms)`;
}
