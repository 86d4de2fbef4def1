/**
 * One exchange as its leader conducts it: puts the questions of `src/anti-entropy/exchange.ts` to both replicas, waits
 * where it says so, and has the keys that it found merged on both sides, each with the other's object and the tag with
 * which that was read.
 *
 *     ask ──▶ exchangers of both nodes        repair ──read──▶ vnodes of both nodes
 *                                                     ◀─object─
 *                                                     ──write of the other's object──▶
 */
import { Exchange, type ExchangeOutcome } from '../src/anti-entropy/exchange.js';
import type { ExchangeAnswer, ExchangeAsk } from '../src/anti-entropy/exchange-asks.js';
import type { Pair } from '../src/anti-entropy/schedule.js';
import type { ExchangeRequest, Root } from '../src/messages/exchange-messages.js';
import type { VnodeAnswer, VnodeRequest } from '../src/messages/vnode-messages.js';

/** Keys that are being repaired at a time. */
const MAX_REPAIRS = 8;

/** What an answer is to. */
export type LeadAsked =
  | { readonly type: 'ask'; readonly number: number; readonly side: 0 | 1 }
  | { readonly type: 'read'; readonly repair: Repair; readonly side: 0 | 1 }
  | { readonly type: 'write'; readonly repair: Repair };

/** A key that is being repaired. */
interface Repair {
  readonly key: Uint8Array;
  readonly found: [VnodeAnswer | undefined, VnodeAnswer | undefined];
  /** Requests that are unanswered. */
  open: number;
  failed: boolean;
}

/** How a lead speaks to others: outcomes come to `answered` and `failed`. */
export interface LeadSpeaker {
  toExchanger(lead: ExchangeLead, node: number, message: ExchangeRequest, asked: LeadAsked): void;
  toVnode(lead: ExchangeLead, node: number, message: VnodeRequest, asked: LeadAsked): void;
}

export type LeadStep =
  /** Has sent something: answers will come. */
  | 'sent'
  /** Nothing to do before answers come. */
  | 'awaiting'
  /** Call again when the time of a write under way is over. */
  | 'wait'
  | 'done';

export class ExchangeLead {
  readonly pair: Pair;
  /** Of the replicas, as they answered the first question last. */
  readonly roots: [Root | undefined, Root | undefined] = [undefined, undefined];
  /** Bytes of objects that were moved. */
  repairBytes = 0;
  outcome: ExchangeOutcome | undefined;
  private readonly leader: number;
  private readonly speaker: LeadSpeaker;
  private readonly exchange: Exchange;
  private readonly from: number;
  private readonly nodes: readonly [number, number];
  private queue: Uint8Array[] = [];
  private repairs = 0;
  private readonly asksOpen = new Set<0 | 1>();
  private askNumber = 0;
  private ask: ExchangeAsk['type'] = 'root';
  private waiting = false;
  private unmerged = 0;
  private rebuilt = false;

  /** @param from - the position of an exchange of this pair that did not come to its end */
  constructor(pair: Pair, leader: number, speaker: LeadSpeaker, from: number) {
    this.pair = pair;
    this.leader = leader;
    this.speaker = speaker;
    this.from = from;
    this.exchange = new Exchange({ from });
    this.nodes = [pair.first, pair.second];
  }

  /** Up to where all was seen to, for the next exchange of the pair; 0: it is to begin at the beginning. */
  get position(): number {
    return this.outcome === 'failed' && this.unmerged === 0 ? this.exchange.position : 0;
  }

  get keysFound(): number {
    return this.exchange.figures.keysDifferent;
  }

  get keysRepaired(): number {
    return this.exchange.figures.keysRepaired - this.unmerged - this.queue.length;
  }

  get bytes(): number {
    return this.exchange.figures.bytes + this.repairBytes;
  }

  /** True if it came to its end: all that differed was found, if not merged. */
  get hasCompared(): boolean {
    return this.outcome === 'equal' || this.outcome === 'compared';
  }

  /** True if every key was found equal: neither replica lacks what the other has had since the exchange began. */
  get foundEqual(): boolean {
    if (this.outcome === 'equal') return true;
    return this.outcome === 'compared' && this.from === 0 && this.keysFound === 0 && !this.rebuilt;
  }

  /** True if the next step is a piece of work of its own, and not the rest of one. */
  get needsSlice(): boolean {
    return this.asksOpen.size === 0 && this.repairs === 0 && this.queue.length === 0;
  }

  /** Does what is to be done now. */
  step(): LeadStep {
    if (this.queue.length > 0 || this.repairs > 0) return this.startRepairs();
    if (this.asksOpen.size > 0) return 'awaiting';
    if (this.waiting) {
      this.waiting = false;
      this.exchange.waited();
    }
    const step = this.exchange.next();
    switch (step.type) {
      case 'ask':
        this.put(step.number, step.ask);
        return 'sent';
      case 'wait':
        this.waiting = true;
        return 'wait';
      case 'repair':
        this.queue = [...step.keys];
        return this.startRepairs();
      case 'rebuild':
        this.rebuilt = true;
        // Nothing depends on the answer: a tree that stays wrong is found again.
        if (step.first) this.rebuild(0);
        if (step.second) this.rebuild(1);
        return 'sent';
      case 'none':
        return 'awaiting';
      case 'done':
        this.outcome = step.outcome;
        return 'done';
    }
  }

  /** It took too long, cannot go on, or is to stop. */
  abandon(): void {
    this.outcome = 'failed';
  }

  askAnswered(number: number, side: 0 | 1, answer: ExchangeAnswer): void {
    if (number !== this.askNumber) return;
    this.asksOpen.delete(side);
    if (this.ask === 'root' && answer.type === 'root') this.roots[side] = { high: answer.high, low: answer.low };
    if (answer.type === 'not-ready' || answer.type === 'busy') this.asksOpen.clear();
    this.exchange.answered(number, side, answer);
  }

  repairAnswered(asked: LeadAsked & { type: 'read' | 'write' }, answer: VnodeAnswer): void {
    const { repair } = asked;
    repair.open--;
    if (asked.type === 'read') repair.found[asked.side] = answer;
    else if (answer.type !== 'wrote') repair.failed = true;
    this.goOn(repair, asked.type);
  }

  /** A question or a request will have no answer. */
  failed(asked: LeadAsked): void {
    if (asked.type === 'ask') {
      if (asked.number !== this.askNumber) return;
      this.asksOpen.clear();
      this.exchange.failed(asked.number);
      return;
    }
    asked.repair.open--;
    asked.repair.failed = true;
    this.goOn(asked.repair, asked.type);
  }

  private put(number: number, ask: ExchangeAsk): void {
    this.askNumber = number;
    this.ask = ask.type;
    this.asksOpen.add(0).add(1);
    const { pair, leader } = this;
    for (const side of [0, 1] as const) {
      const message = { type: 'exchange', partition: pair.partition, leader, ask } as const;
      this.speaker.toExchanger(this, this.nodes[side], message, { type: 'ask', number, side });
    }
  }

  private rebuild(side: 0 | 1): void {
    const message = { type: 'rebuild', partition: this.pair.partition } as const;
    this.speaker.toExchanger(this, this.nodes[side], message, { type: 'ask', number: 0, side });
  }

  private startRepairs(): LeadStep {
    while (this.repairs < MAX_REPAIRS) {
      const key = this.queue.shift();
      if (key === undefined) break;
      const repair: Repair = { key, found: [undefined, undefined], open: 2, failed: false };
      this.repairs++;
      for (const side of [0, 1] as const) {
        this.send(side, { type: 'read', key, digestOnly: false }, { type: 'read', repair, side });
      }
    }
    return 'sent';
  }

  /** Both replicas have shown what they have: each is sent what the other has. Or both have stored it. */
  private goOn(repair: Repair, what: 'read' | 'write'): void {
    if (repair.open > 0) return;
    if (what === 'read' && !repair.failed) {
      for (const side of [0, 1] as const) {
        const theirs = repair.found[side === 0 ? 1 : 0];
        if (theirs?.type !== 'object') continue;
        const { record, tag } = theirs;
        repair.open++;
        this.repairBytes += record.length;
        this.send(side, { type: 'write', key: repair.key, record, durable: false, tag }, { type: 'write', repair });
      }
      if (repair.open > 0) return;
      // Nobody has it in a form that can be read: it waits for another replica.
      repair.failed = true;
    }
    if (repair.failed) this.unmerged++;
    this.repairs--;
  }

  private send(side: 0 | 1, message: VnodeRequest, asked: LeadAsked): void {
    this.speaker.toVnode(this, this.nodes[side], message, asked);
  }
}
