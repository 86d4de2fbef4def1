/**
 * Reaping: forgetting a deletion only when nothing in the system can bring the deleted value back. One round, as its
 * initiator leads it, any primary of the partition:
 *
 *     ask ──all ready, one ring──▶ exchange ×2 ──▶ collect ──▶ vote ──some held by all──▶ census ──all clear──▶ commit
 *      │ g = the highest tag       with each other  tombstones   flushed; tags rise        hints delivered;      floors rise,
 *      │                           primary          past grace   above g                   older ones refused    then removed
 *      └── an answer is missing, at any step: abandoned, harmlessly
 *
 * What makes it safe are the tags (`fence.ts`): after the vote no primary sends anything above g that was read without the
 * tombstones, and after the commit none takes anything that is not above g. What the census adds is that no hint which
 * was acknowledged to a client is refused for ever.
 * A commit that is missed lets a tombstone come back, and another round takes it. Rounds may overlap, and their messages
 * come late or twice: tags and floors only rise, and a record goes only if it is still the one that was voted for.
 * Objects that live ride along where their contexts have grown: what keeps a forgotten deletion's victims out keeps out, too,
 * what a writer that is left out of a context had written before.
 *
 * Pure: `next` says what to do; answers come by their question's number. Model-checked in `test/property/anti-entropy`.
 */
import { digestHigh, digestLow } from '../codec/record.js';
import { contextEntriesIn, deadFromMsIn, newestMsIn, reducedRecord, voidsAttempts } from '../codec/record-update.js';

/** How a vnode's fence stands (`fence.ts`), and of which partition it is. */
export interface PartitionFence {
  readonly partition: number;
  readonly tag: number;
  readonly floor: number;
  /** False: the vnode has lost what it knew of it. */
  readonly isKnown: boolean;
}

/**
 * What a commit does with a record. Its initiator says which, so that it is the same on all primaries, whatever their
 * clocks: the record is removed, or its context reduced to what its siblings need (`objects/reduction.ts`), with or
 * without the attempts that it voids.
 */
export type ReapVerb = 'remove' | 'reduce' | 'reduce-but-attempts';

/** A tombstone that may go, or an object whose context may: the key, and the digest of the record that is there. */
export interface ReapCandidate {
  readonly key: Uint8Array;
  readonly high: number;
  readonly low: number;
  readonly verb: ReapVerb;
}

export type ReapAsk =
  /** To every member: how the ring and the fence stand. */
  | { readonly type: 'ask' }
  /**
   * To every primary: flush these, and raise the tag above `g`. `floor`: the highest of all primaries. One whose tag is
   * below it was taken back to an older state, and must not vote: its tag would speak for data that it has not seen.
   */
  | {
      readonly type: 'vote';
      readonly g: number;
      readonly floor: number;
      readonly candidates: readonly ReapCandidate[];
    }
  /** To every member: deliver the partition's hints with a tag up to `g`, and take no more of them. */
  | { readonly type: 'census'; readonly g: number }
  /** To every primary: raise the floor above `g`, then remove or reduce these. */
  | { readonly type: 'commit'; readonly g: number; readonly candidates: readonly ReapCandidate[] };

export type ReapAnswer =
  /** `tag`, `floor`: of the node's vnode of the partition; 0 if it has none. */
  | {
      readonly type: 'ready';
      readonly ringVersion: number;
      readonly pendingOwner: boolean;
      readonly tag: number;
      readonly floor: number;
    }
  /** For each candidate 1 if the very record is held, and flushed; else 0. */
  | { readonly type: 'voted'; readonly held: Uint8Array }
  | { readonly type: 'clear' }
  /** Some hints could not be delivered. */
  | { readonly type: 'not-clear' }
  /** To a vote: another round has had this vnode vote meanwhile. */
  | { readonly type: 'late' }
  /** To a vote or a commit: this vnode was taken back to an older state, and sets its data aside. */
  | { readonly type: 'behind' }
  | { readonly type: 'reaped'; readonly count: number };

export type ReapStep =
  /** Put this question to these nodes, under this number. */
  | { readonly type: 'ask'; readonly number: number; readonly to: readonly number[]; readonly ask: ReapAsk }
  /** Exchange with these primaries, one after another; then call `exchanged`. */
  | { readonly type: 'exchange'; readonly with: readonly number[] }
  /** Look for what may be reaped, and give it to `collected`. */
  | { readonly type: 'collect' }
  /** Nothing until an answer comes. */
  | { readonly type: 'none' }
  | { readonly type: 'done'; readonly outcome: ReapOutcome; readonly reaped: number };

export type ReapOutcome =
  | 'reaped'
  /** There was nothing that all primaries agree on. */
  | 'nothing'
  /** A node did not answer, said no, or the ring is about to change: nothing was removed by this round. */
  | 'abandoned';

export interface ReapOptions {
  readonly self: number;
  readonly primaries: readonly number[];
  /** All nodes, primaries included: any may hold hints. */
  readonly members: readonly number[];
}

type Phase = ReapAsk['type'] | 'exchange' | 'collect' | 'done';

const EXCHANGES = 2;
const NONE: ReapStep = { type: 'none' };

export class ReapRound {
  private readonly options: ReapOptions;
  private phase: Phase = 'ask';
  private outcome: ReapOutcome = 'reaped';
  private g = 0;
  private floor = 0;
  private exchanges = 0;
  private candidates: readonly ReapCandidate[] = [];
  /** Where each of them stood in the vote. */
  private places: readonly number[] = [];
  private reaped = 0;
  private number = 0;
  /** Who has not answered the question that was put. */
  private readonly awaited = new Set<number>();
  private asked = false;
  private ringVersion: number | undefined;

  constructor(options: ReapOptions) {
    this.options = options;
  }

  /** What to do now. Asking again before it is done gives 'none', but for an exchange or a collection. */
  next(): ReapStep {
    const { phase, options } = this;
    if (phase === 'done') return { type: 'done', outcome: this.outcome, reaped: this.reaped };
    if (phase === 'collect') return { type: 'collect' };
    if (phase === 'exchange')
      return { type: 'exchange', with: options.primaries.filter((node) => node !== options.self) };
    if (this.asked) return NONE;
    this.asked = true;
    const to = phase === 'ask' || phase === 'census' ? options.members : options.primaries;
    for (const node of to) this.awaited.add(node);
    return { type: 'ask', number: ++this.number, to, ask: this.question(phase) };
  }

  /** True while somebody has not answered what was asked last. */
  get isAwaiting(): boolean {
    return this.awaited.size > 0;
  }

  /** An exchange with every other primary is through; `complete` if all that differed was merged on both sides. */
  exchanged(complete: boolean): void {
    if (this.phase !== 'exchange') return;
    if (!complete) this.end('abandoned');
    else if (++this.exchanges === EXCHANGES) this.phase = 'collect';
  }

  /** What may be reaped (`mayBeReaped`), as it stands at the initiator. */
  collected(candidates: readonly ReapCandidate[]): void {
    if (this.phase !== 'collect') return;
    this.candidates = candidates;
    if (candidates.length === 0) this.end('nothing');
    else this.begin('vote');
  }

  answered(number: number, node: number, answer: ReapAnswer): void {
    if (number !== this.number || !this.awaited.delete(node)) return;
    switch (answer.type) {
      case 'ready':
        this.ready(answer);
        break;
      case 'voted':
        this.candidates = this.candidates.filter((_, i) => answer.held[this.places[i]!] === 1);
        this.places = this.places.filter((place) => answer.held[place] === 1);
        break;
      case 'not-clear':
      case 'behind':
      case 'late':
        if (this.phase !== 'commit') this.end('abandoned');
        break;
      case 'reaped':
        this.reaped += answer.count;
        break;
      case 'clear':
        break;
    }
    if (this.awaited.size === 0 && this.phase !== 'done') this.proceed();
  }

  /** A node will not answer the question of that number. */
  failed(number: number, node: number): void {
    if (number !== this.number || !this.awaited.delete(node)) return;
    // What a commit says is for the statistics: who missed it gets the tombstone back by an exchange, or keeps it.
    if (this.phase !== 'commit') this.end('abandoned');
    else if (this.awaited.size === 0) this.proceed();
  }

  private question(phase: ReapAsk['type']): ReapAsk {
    const { g, candidates } = this;
    switch (phase) {
      case 'ask':
      case 'census':
        return phase === 'ask' ? { type: 'ask' } : { type: 'census', g };
      case 'vote':
        this.places = candidates.map((_, i) => i);
        return { type: 'vote', g, floor: this.floor, candidates };
      case 'commit':
        return { type: 'commit', g, candidates };
    }
  }

  private ready(answer: ReapAnswer & { type: 'ready' }): void {
    this.ringVersion ??= answer.ringVersion;
    this.g = Math.max(this.g, answer.tag);
    this.floor = Math.max(this.floor, answer.floor);
    if (answer.pendingOwner || answer.ringVersion !== this.ringVersion) this.end('abandoned');
  }

  /** Everyone has answered. */
  private proceed(): void {
    switch (this.phase) {
      case 'ask':
        this.phase = 'exchange';
        return;
      case 'vote':
        if (this.candidates.length === 0) this.end('nothing');
        else this.begin('census');
        return;
      case 'census':
        this.begin('commit');
        return;
      default:
        this.end('reaped');
    }
  }

  private begin(phase: ReapAsk['type']): void {
    this.phase = phase;
    this.asked = false;
  }

  private end(outcome: ReapOutcome): void {
    this.phase = 'done';
    this.outcome = outcome;
    this.awaited.clear();
  }
}

/** A context of more entries is worth a round: a few for each replica, and for each of their lives, that wrote the key. */
export const MAX_CONTEXT_ENTRIES = 16;

/** When records are taken up. */
export interface ReapLimits {
  /** How long deletions are kept at least, in milliseconds. */
  readonly graceMs: number;
  /**
   * How long after a record was written an attempt that it voids may still be minted somewhere: as long as puts take at
   * most, and clocks are apart. Such a record is not forgotten before.
   */
  readonly attemptMs: number;
  /** The context of an object that lives is reduced once it names more writers, dots and attempts than this. */
  readonly maxContextEntries: number;
}

/**
 * The record under `key` as a candidate; copies nothing. A record goes if nothing of it is alive, and has not been for
 * the grace time: only tombstones, and values that expired. The context of any other is reduced if it has grown past the limit, and
 * would become smaller. Attempts stay while one of them may still be under way: what it mints would come back.
 * @param record - its checksum was checked before
 * @returns undefined if it stays as it is
 */
export function candidateOf(
  key: Uint8Array,
  record: Uint8Array,
  wallMs: number,
  limits: ReapLimits,
): ReapCandidate | undefined {
  const as = (verb: ReapVerb) => ({ key, high: digestHigh(record), low: digestLow(record), verb });
  if (ripeInMs(record, wallMs, limits) <= 0) return as('remove');
  if (contextEntriesIn(record) <= limits.maxContextEntries) return undefined;
  const keepsAttempts = newestMsIn(record) + attemptGraceMs(limits) > wallMs;
  if (reducedRecord(record, keepsAttempts) === record) return undefined;
  return as(keepsAttempts ? 'reduce-but-attempts' : 'reduce');
}

/** In how many milliseconds the record may be removed, 0 or less if it may be now; Infinity: not while it is as it is. */
export function ripeInMs(record: Uint8Array, wallMs: number, limits: ReapLimits): number {
  const graceEndsMs = deadFromMsIn(record) + limits.graceMs;
  if (!voidsAttempts(record)) return graceEndsMs - wallMs;
  return Math.max(graceEndsMs, newestMsIn(record) + limits.attemptMs) - wallMs;
}

/** How long after a record was last written the attempts that it voids stay in it. */
export function attemptGraceMs({ graceMs, attemptMs }: Pick<ReapLimits, 'graceMs' | 'attemptMs'>): number {
  return Math.max(graceMs, attemptMs);
}

/** True if the record is the very one that the candidate names. */
export function isCandidate(candidate: ReapCandidate, record: Uint8Array | undefined): boolean {
  return record !== undefined && digestHigh(record) === candidate.high && digestLow(record) === candidate.low;
}
