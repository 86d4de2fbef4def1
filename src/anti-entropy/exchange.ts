/**
 * An exchange: finds the keys on which two replicas of a partition differ, and hands them over to be merged on both sides.
 *
 *     root ──equal──▶ done                                  one question
 *      └ branches ⟲ ──▶ segments that differ                sixteen sums for each branch that differs
 *          └ wait, sums ──▶ segments that still differ      what was being written meanwhile is equal now
 *              └ keys ⟲ ──▶ keys that differ                both replicas list the segments' keys
 *                  └ wait, leaves ──▶ still different, and as they were on both sides ──▶ repair
 *              └ sums ──▶ no key differs, yet the segment does, and did not change: a tree is wrong ──▶ rebuild
 *
 * Pure: every question is put to both replicas alike, wherever they are, so that whoever leads need not be one of them.
 * `next` says what to do, and is called when the rate of background work allows; answers come by their question's number,
 * so that one that is late or comes twice changes nothing. An exchange that failed says up to where it was through, and
 * another can begin there.
 * Bounded: so many nodes, segments, keys a question; what it holds does not grow with the number of differences.
 * Source: Dynamo (SOSP 2007), §4.7.
 */
import { assert } from '../base/assert.js';
import { answerBytes, askBytes, type ExchangeAnswer, type ExchangeAsk, LEAF_STRIDE } from './exchange-asks.js';
import { type DifferentKey, KeyComparison, type Leaf } from './key-comparison.js';
import { WIDTH } from './merkle-tree.js';
import { placeAfter, TreeDescent } from './tree-descent.js';

export interface ExchangeOptions {
  /** Where to begin: the `position` of an exchange that did not come to its end (default 0). */
  readonly from?: number;
  /** Branches a question (default 256), segments a pass through the records (default 16,384). */
  readonly maxBranches?: number;
  readonly maxSegments?: number;
  /** Keys that are looked at again at a time (default 512), and handed over for repair (default 64). */
  readonly maxKeys?: number;
  readonly repairBatch?: number;
  /** How often a question is put before the exchange fails (default 3). */
  readonly maxAttempts?: number;
}

export type ExchangeStep =
  /** Put this question to both replicas, under this number. */
  | { readonly type: 'ask'; readonly number: number; readonly ask: ExchangeAsk }
  /** Call `waited` after twice the p99 of a write: what is being written has arrived by then. */
  | { readonly type: 'wait' }
  /** Merge these keys' objects on both sides, by the normal way of a write. */
  | { readonly type: 'repair'; readonly keys: readonly Uint8Array[] }
  /** The tree of the first or the second replica, or both, does not fit its records: build it anew. */
  | { readonly type: 'rebuild'; readonly first: boolean; readonly second: boolean }
  /** Nothing until an answer comes. */
  | { readonly type: 'none' }
  | { readonly type: 'done'; readonly outcome: ExchangeOutcome };

export type ExchangeOutcome =
  /** The roots were equal. */
  | 'equal'
  /** All differences were found. */
  | 'compared'
  /** A replica has no tree yet; or is in another exchange. */
  | 'not-ready'
  | 'busy'
  /** A replica did not answer, or its tree changed its size again and again. */
  | 'failed';

export interface ExchangeFigures {
  /** Sums of one replica that were compared with the other's. */
  hashes: number;
  /** Leaves of keys that the replicas listed. */
  keysListed: number;
  keysDifferent: number;
  keysRepaired: number;
  /** Of all questions and answers. */
  bytes: number;
  asks: number;
}

type Phase = 'root' | 'branches' | 'settling' | 'sums' | 'keys' | 'confirming' | 'leaves' | 'verify' | 'done';

const MAX_RESTARTS = 3;
const NONE: ExchangeStep = { type: 'none' };
const NOTHING = new Uint32Array(0);

export class Exchange {
  readonly figures: ExchangeFigures = {
    hashes: 0,
    keysListed: 0,
    keysDifferent: 0,
    keysRepaired: 0,
    bytes: 0,
    asks: 0,
  };
  /** Everything before this place is through; in segments of the deepest tree there can be. */
  position: number;
  private readonly options: Required<ExchangeOptions>;
  private phase: Phase = 'root';
  private outcome: ExchangeOutcome = 'compared';
  /** The level of the segments: the last that both trees have. */
  private level = 0;
  private descent = new TreeDescent(0, 0);
  /** Segments that differ, ascending; and both replicas' sums of them, once those were asked for again. */
  private wanted: Uint32Array = NOTHING;
  private sums: [Uint32Array, Uint32Array] = [NOTHING, NOTHING];
  private keys = new KeyComparison(0);
  /** Keys that were found different, and are to be looked at again. */
  private candidates: DifferentKey[] = [];
  private confirmed: Uint8Array[] = [];
  private rebuild = { first: false, second: false };
  private question: ExchangeAsk | undefined;
  private number = 0;
  private asked = false;
  private answers: [ExchangeAnswer | undefined, ExchangeAnswer | undefined] = [undefined, undefined];
  private attempts = 0;
  private restarts = 0;

  constructor(options: ExchangeOptions = {}) {
    this.options = {
      from: options.from ?? 0,
      maxBranches: options.maxBranches ?? 256,
      maxSegments: options.maxSegments ?? 16_384,
      maxKeys: options.maxKeys ?? 512,
      repairBatch: options.repairBatch ?? 64,
      maxAttempts: options.maxAttempts ?? 3,
    };
    this.position = this.options.from;
    this.question = { type: 'root' };
  }

  /** What to do now. */
  next(): ExchangeStep {
    if (this.confirmed.length > 0) {
      const keys = this.confirmed.splice(0, this.options.repairBatch);
      this.figures.keysRepaired += keys.length;
      return { type: 'repair', keys };
    }
    if (this.rebuild.first || this.rebuild.second) {
      const { first, second } = this.rebuild;
      this.rebuild = { first: false, second: false };
      return { type: 'rebuild', first, second };
    }
    if (this.phase === 'done') return { type: 'done', outcome: this.outcome };
    if (this.phase === 'settling' || this.phase === 'confirming') return { type: 'wait' };
    if (this.asked || this.question === undefined) return NONE;
    this.asked = true;
    this.answers = [undefined, undefined];
    this.figures.asks++;
    this.figures.bytes += 2 * askBytes(this.question);
    return { type: 'ask', number: ++this.number, ask: this.question };
  }

  /** The wait that `next` asked for is over. */
  waited(): void {
    if (this.phase === 'settling') {
      this.wanted = this.descent.take();
      this.ask('sums', { type: 'sums', level: this.level, nodes: this.wanted });
    } else if (this.phase === 'confirming') {
      this.ask('leaves', { type: 'leaves', keys: this.candidates.map(({ key }) => key) });
    }
  }

  /** What replica 0 or 1 says to the question of that number. */
  answered(number: number, replica: 0 | 1, answer: ExchangeAnswer): void {
    if (!this.asked || number !== this.number || this.answers[replica] !== undefined) return;
    this.answers[replica] = answer;
    const [first, second] = this.answers;
    if (answer.type === 'not-ready' || answer.type === 'busy') this.end(answer.type);
    if (this.phase === 'done' || first === undefined || second === undefined) return;
    this.asked = false;
    this.figures.bytes += answerBytes(first) + answerBytes(second);
    if (first.type === 'resized' || second.type === 'resized') this.restart();
    else if (this.fits(first) && this.fits(second)) this.compare(first, second);
    else this.retry();
  }

  /** A replica will not answer the question of that number. */
  failed(number: number): void {
    if (this.asked && number === this.number) this.retry();
  }

  /** True if the answer is one to the question, and as long as it must be. */
  private fits(answer: ExchangeAnswer): boolean {
    const { question } = this;
    switch (question?.type) {
      case 'root':
        return answer.type === 'root';
      case 'branches':
        return answer.type === 'sums' && answer.sums.length === 2 * WIDTH * question.parents.length;
      case 'sums':
        return answer.type === 'sums' && answer.sums.length === 2 * question.nodes.length;
      case 'keys':
        return answer.type === 'keys';
      default:
        return answer.type === 'leaves' && answer.leaves.length === LEAF_STRIDE * (question?.keys.length ?? 0);
    }
  }

  private compare(first: ExchangeAnswer, second: ExchangeAnswer): void {
    this.attempts = 0;
    if (first.type === 'root' && second.type === 'root') {
      this.figures.hashes++;
      if (first.low === second.low && first.high === second.high) this.end('equal');
      else this.descendFrom(Math.min(first.depth, second.depth));
    } else if (first.type === 'sums' && second.type === 'sums') {
      this.figures.hashes += first.sums.length / 2;
      const { question } = this;
      if (question?.type === 'branches') {
        this.descent.compare(question, first.sums, second.sums);
        this.descend();
      } else if (this.phase === 'sums') this.sumsCame(first.sums, second.sums);
      else this.verified(first.sums, second.sums);
    } else if (first.type === 'keys' && second.type === 'keys') {
      this.candidates.push(...this.keys.pages(first, second));
      this.figures.keysListed += this.keys.compared;
      this.keys.compared = 0;
      this.confirmOrGoOn();
    } else if (first.type === 'leaves' && second.type === 'leaves') this.leavesCame(first.leaves, second.leaves);
  }

  private descendFrom(level: number): void {
    this.level = level;
    this.descent = new TreeDescent(level, this.position);
    this.descend();
  }

  /** Looks into the next branches; into the segments found so far if they are many, or all. */
  private descend(): void {
    const { descent, options } = this;
    const branches = descent.found < options.maxSegments ? descent.next(options.maxBranches) : undefined;
    if (branches !== undefined) this.ask('branches', { type: 'branches', ...branches });
    else if (descent.found > 0) this.phase = 'settling';
    else this.end('compared');
  }

  private sumsCame(first: Uint32Array, second: Uint32Array): void {
    const kept: number[] = [];
    for (let i = 0; i < this.wanted.length; i++) if (!sameSum(first, second, i)) kept.push(i);
    const pick = (sums: Uint32Array): Uint32Array => {
      return Uint32Array.from(kept.flatMap((i) => [sums[2 * i]!, sums[2 * i + 1]!]));
    };
    const last = this.wanted.at(-1)!;
    this.wanted = Uint32Array.from(kept, (i) => this.wanted[i]!);
    this.sums = [pick(first), pick(second)];
    if (kept.length === 0) this.passed(last);
    else {
      this.keys = new KeyComparison(this.wanted.length);
      this.askKeys();
    }
  }

  private askKeys(): void {
    this.ask('keys', { type: 'keys', level: this.level, segments: this.wanted, from: this.keys.from });
  }

  private confirmOrGoOn(): void {
    if (this.candidates.length >= this.options.maxKeys || (this.keys.ended && this.candidates.length > 0)) {
      this.phase = 'confirming';
    } else if (!this.keys.ended) this.askKeys();
    else {
      const agreed = this.wanted.filter((_segment, place) => this.keys.agree(place));
      if (agreed.length > 0) this.ask('verify', { type: 'sums', level: this.level, nodes: agreed });
      else this.passed(this.wanted.at(-1)!);
    }
  }

  private leavesCame(first: Uint32Array, second: Uint32Array): void {
    const { candidates } = this;
    this.candidates = [];
    for (let i = 0; i < candidates.length; i++) {
      const { key, first: before, second: beforeSecond } = candidates[i]!;
      this.figures.keysDifferent++;
      if (isLeaf(before, first, i) && isLeaf(beforeSecond, second, i)) this.confirmed.push(key);
    }
    this.confirmOrGoOn();
  }

  /** Segments on whose keys the replicas agree: if the trees said all along that they differ, a tree is wrong. */
  private verified(first: Uint32Array, second: Uint32Array): void {
    const { question, wanted, sums } = this;
    assert(question?.type === 'sums', 'sums were asked for');
    for (let i = 0, at = 0; i < question.nodes.length; i++) {
      const segment = question.nodes[i]!;
      while (wanted[at] !== segment) at++;
      if (!sameSumAt(first, i, sums[0], at) || !sameSumAt(second, i, sums[1], at)) continue;
      if (!this.keys.addsUp(0, at, first[2 * i]!, first[2 * i + 1]!)) this.rebuild.first = true;
      if (!this.keys.addsUp(1, at, second[2 * i]!, second[2 * i + 1]!)) this.rebuild.second = true;
    }
    this.passed(wanted.at(-1)!);
  }

  /** All that differed up to this segment was seen to. */
  private passed(segment: number): void {
    this.position = Math.max(this.position, placeAfter(this.level, segment));
    this.descend();
  }

  private ask(phase: Phase, question: ExchangeAsk): void {
    this.phase = phase;
    this.question = question;
    this.asked = false;
  }

  private retry(): void {
    this.asked = false;
    if (++this.attempts >= this.options.maxAttempts) this.end('failed');
  }

  /** A tree is of another size than it was: from the root again, less what is through. */
  private restart(): void {
    if (++this.restarts > MAX_RESTARTS) {
      this.end('failed');
      return;
    }
    this.candidates = [];
    this.ask('root', { type: 'root' });
  }

  private end(outcome: ExchangeOutcome): void {
    this.phase = 'done';
    this.outcome = outcome;
    this.asked = false;
  }
}

function sameSum(a: Uint32Array, b: Uint32Array, index: number): boolean {
  return sameSumAt(a, index, b, index);
}

function sameSumAt(a: Uint32Array, i: number, b: Uint32Array, j: number): boolean {
  return a[2 * i] === b[2 * j] && a[2 * i + 1] === b[2 * j + 1];
}

function isLeaf({ there, low, high }: Leaf, leaves: Uint32Array, index: number): boolean {
  const at = LEAF_STRIDE * index;
  return leaves[at] === there && leaves[at + 1] === low && leaves[at + 2] === high;
}
