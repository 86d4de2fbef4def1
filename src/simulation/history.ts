/**
 * What the clients of a simulated cluster did and were told, in the words of the checkers: puts by number, and for each
 * the numbers of the puts that its token had seen. This is bookkeeping by the clients' own observations; it looks into
 * no causal context, so that it can be held against them.
 */
import type { Attempt, Dot } from '../clocks/event-id.js';
import type { Timestamp } from '../clocks/timestamp.js';
import { decodeRecord } from '../codec/record.js';
import type { Ack, OperationFailure } from '../messages/coordinator-messages.js';

/** A causal context as a client keeps it, and the puts that it is known to have seen: all of them, transitively. */
export interface Token {
  readonly text: string;
  readonly puts: ReadonlySet<number>;
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
  /** The puts that its token had seen. */
  readonly past: ReadonlySet<number>;
  readonly w: number;
  readonly dw: number;
  readonly timeoutMs: number;
  /** Virtual milliseconds. */
  readonly startedAt: number;
  endedAt: number;
  end: PutEnd | undefined;
  /** How often its client was told an outcome. */
  told: number;
}

/** One sibling of an object as read: the put that made it, and when by its own timestamp. */
export interface ReadSibling {
  readonly put: number;
  readonly timestamp: Timestamp;
}

export type GetEnd =
  | { readonly type: 'got'; readonly siblings: readonly ReadSibling[]; readonly token: Token | undefined }
  | { readonly type: 'failed'; readonly failure: OperationFailure }
  | { readonly type: 'abandoned' };

export interface GetOperation {
  readonly id: number;
  readonly client: number;
  readonly key: string;
  readonly r: number;
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
}

export class History {
  readonly puts: PutOperation[] = [];
  readonly gets: GetOperation[] = [];
  readonly destructions: Destruction[] = [];
  /** Acknowledged puts whose last holder was destroyed by a fault: nothing can be asked of them any more. */
  readonly destroyed = new Set<number>();
  /** What contradicted itself while it was being written down: each is a violation. */
  readonly contradictions: string[] = [];
  private readonly putOfAttempt = new Map<string, number>();
  private readonly attemptOfDot = new Map<string, string>();
  private readonly mintedPuts = new Set<number>();

  /** `put` is tried under `attempt`. */
  noteAttempt(put: number, attempt: Attempt): void {
    this.putOfAttempt.set(nameOf(attempt), put);
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

  /** A vnode minted `attempt`. */
  noteMinted(dot: Dot, attempt: Attempt): void {
    this.noteDot(dot, attempt, 'a minting');
    const put = this.putOf(attempt);
    if (put !== undefined) this.mintedPuts.add(put);
  }

  wasMinted(put: number): boolean {
    return this.mintedPuts.has(put);
  }

  putOf(attempt: Attempt): number | undefined {
    return this.putOfAttempt.get(nameOf(attempt));
  }

  /** The siblings of a record, tombstones included, by the puts that made them. */
  siblingsOf(record: Uint8Array, where: string): ReadSibling[] {
    if (record.length === 0) return [];
    const siblings: ReadSibling[] = [];
    for (const { dot, attempt, timestamp } of decodeRecord(record).siblings) {
      this.noteDot(dot, attempt, where);
      const put = this.putOf(attempt);
      if (put === undefined) this.contradictions.push(`${where}: a sibling that nobody put, dot ${nameOf(dot)}`);
      else siblings.push({ put, timestamp });
    }
    return siblings;
  }

  /** All that someone has seen who saw these siblings. */
  seenIn(siblings: readonly ReadSibling[]): ReadonlySet<number> {
    const seen = new Set<number>();
    for (const { put } of siblings) {
      seen.add(put);
      for (const earlier of this.puts[put]!.past) seen.add(earlier);
    }
    return seen;
  }

  /** True if `later` was made by someone who had seen `earlier`. */
  isBefore(earlier: number, later: number): boolean {
    return this.puts[later]!.past.has(earlier);
  }

  *acknowledged(): Generator<AcknowledgedPut> {
    for (const put of this.puts) if (put.end?.type === 'acknowledged') yield put as AcknowledgedPut;
  }

  /** True if between the two moments data of one of the nodes was destroyed. */
  wasDestroyed(nodes: readonly number[], from: number, to: number): boolean {
    return this.destructions.some(
      (one) => one.time >= from && one.time <= to && one.nodes.some((node) => nodes.includes(node)),
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
