/**
 * The exchanges that a node leads: one after another, each when its pair is due, at the rate of the background budget.
 *
 *     schedule ──pair──▶ lead (`exchange-lead.ts`) ──▶ found equal: both replicas are told
 *                                                  └──▶ differed: looked at again soon, until they are equal
 */
import type { BackgroundBudget } from '../src/admission/background-budget.js';
import type { ExchangeAnswer } from '../src/anti-entropy/exchange-asks.js';
import { ExchangeSchedule, type ExchangeWindow, type Pair } from '../src/anti-entropy/schedule.js';
import type { Root } from '../src/messages/exchange-messages.js';
import type { VnodeAnswer } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { PreferenceList } from '../src/ring/preference-list.js';
import type { ActorContext } from '../src/runtime/actor.js';
import { ExchangeLead, type LeadAsked, type LeadSpeaker } from './exchange-lead.js';
import { type ExchangePeers, type Hearer, NOBODY, type PeerAnswer } from './exchange-peers.js';
import { type ExchangeRecord, nameOf } from './exchange-record.js';

export interface ExchangeLeaderOptions {
  /** This node's index in the ring. */
  readonly node: number;
  readonly preferenceLists: readonly PreferenceList[];
  readonly record: ExchangeRecord;
  readonly counters: NodeCounters;
  /** Of the node: a question, or a batch of repairs, takes a slice. */
  readonly budget: BackgroundBudget;
  /** Every pair of replicas is compared at least so often, in milliseconds. */
  readonly intervalMs: number;
  /** When exchanges run that nobody waits for: minutes of the day, UTC. Undefined: always. */
  readonly window: ExchangeWindow | undefined;
}

/** An exchange that has heard nothing for so long is given up. */
const SILENCE_MS = 10_000;
/** What is being written has arrived after so long at least. */
const MIN_SETTLE_MS = 20;

export class ExchangeLeader {
  private readonly options: ExchangeLeaderOptions;
  private readonly peers: ExchangePeers;
  private readonly resumeAt: (ms: number) => void;
  private readonly schedule: ExchangeSchedule;
  private readonly speaker: LeadSpeaker;
  private lead: ExchangeLead | undefined;
  /** The record's `calls` when the exchange began. */
  private leadSince = 0;
  private progressMs = 0;
  /** When it takes its next slice: they are spread over the interval. */
  private readyMs = 0;
  /** Until then the exchange waits for what is being written. */
  private settledMs = 0;
  /** Pairs of which one replica was lost. */
  private readonly refills = new Set<string>();
  /** By pair: where an exchange that failed, or was stopped, has come to. */
  private readonly positions = new Map<string, number>();

  /** @param resumeAt - has `conduct` called at that time */
  constructor(
    options: ExchangeLeaderOptions,
    peers: ExchangePeers,
    resumeAt: (ms: number) => void,
    context: ActorContext,
  ) {
    this.options = options;
    this.peers = peers;
    this.resumeAt = resumeAt;
    const { node: self, preferenceLists, intervalMs, window } = options;
    const primaries = preferenceLists.map((list) => list.primaries);
    this.schedule = new ExchangeSchedule({ self, primaries, intervalMs, window, nowMs: context.now() });
    this.speaker = {
      toExchanger: (lead, node, message, what) => {
        peers.askExchanger(node, message, this.hearerOf(lead, what), context);
      },
      toVnode: (lead, node, message, what) => {
        peers.askVnode(node, lead.pair.partition, message, this.hearerOf(lead, what), context);
      },
    };
  }

  /** True while it matters who is up. */
  isActive(context: ActorContext): boolean {
    const now = context.now();
    return (
      this.lead !== undefined || this.schedule.isDue(now, minuteOf(context), (other) => this.peers.isUp(other, now))
    );
  }

  /** These pairs are due now: somebody waits for them. */
  hurry(context: ActorContext, wanted: (pair: Pair) => boolean): void {
    this.schedule.hurry(context.now(), wanted);
  }

  /** As `hurry`, for replicas that were lost: what these have to be given has slices of its own. */
  refill(context: ActorContext, wanted: (pair: Pair) => boolean): void {
    this.schedule.hurry(context.now(), (pair) => {
      if (!wanted(pair)) return false;
      this.refills.add(nameOf(pair));
      return true;
    });
  }

  /** Now and then: gives up an exchange that gets nowhere. */
  tick(context: ActorContext): void {
    if (this.lead === undefined || context.now() - this.progressMs <= SILENCE_MS) return;
    this.lead.abandon();
    this.end(this.lead, context);
  }

  /** Goes on with the exchange that is under way, or begins the next one that is due. */
  conduct(context: ActorContext): void {
    const { budget } = this.options;
    const now = context.now();
    for (;;) {
      const lead = this.lead ?? this.begin(context);
      if (lead === undefined) {
        const urgentMs = this.schedule.urgentMs((other) => this.peers.isUp(other, now));
        if (urgentMs !== undefined) this.resumeAt(urgentMs);
        return;
      }
      if (lead.needsSlice && !this.schedule.mayGoOn(lead.pair, minuteOf(context))) {
        // The window has ended: the next exchange of the pair begins where this one was.
        lead.abandon();
        this.end(lead, context, true);
        continue;
      }
      if (now < this.settledMs) {
        this.resumeAt(this.settledMs);
        return;
      }
      if (lead.needsSlice && !this.takesSlice(lead.pair, now)) {
        this.resumeAt(Math.max(this.readyMs, now + 1));
        return;
      }
      const step = lead.step();
      if (step === 'done') this.end(lead, context);
      else if (step === 'wait') this.settledMs = now + Math.max(MIN_SETTLE_MS, 2 * budget.usualMs);
      else return;
    }
  }

  private takesSlice(pair: Pair, nowMs: number): boolean {
    if (nowMs < this.readyMs) return false;
    const { budget } = this.options;
    const isRefill = this.refills.has(nameOf(pair));
    if (!(isRefill ? budget.takeUrgent(nowMs, 'refill') : budget.take(nowMs))) {
      this.readyMs = budget.nextMs;
      return false;
    }
    this.readyMs = nowMs + budget.distanceMs(isRefill);
    return true;
  }

  private hearerOf(lead: ExchangeLead, what: LeadAsked): Hearer {
    return {
      answered: (answer: PeerAnswer, context) => {
        if (lead !== this.lead) return;
        this.progressMs = context.now();
        if (what.type === 'ask') lead.askAnswered(what.number, what.side, answer as ExchangeAnswer);
        else lead.repairAnswered(what, answer as VnodeAnswer);
        this.conduct(context);
      },
      failed: (context) => {
        if (lead !== this.lead) return;
        lead.failed(what);
        this.resumeAt(context.now());
      },
    };
  }

  private begin(context: ActorContext): ExchangeLead | undefined {
    const now = context.now();
    const { node, record } = this.options;
    const pair = this.schedule.next(now, minuteOf(context), (other) => this.peers.isUp(other, now));
    if (pair === undefined) return undefined;
    const lead = new ExchangeLead(pair, node, this.speaker, this.positions.get(nameOf(pair)) ?? 0);
    this.lead = lead;
    this.leadSince = record.calls;
    this.progressMs = now;
    this.settledMs = 0;
    return lead;
  }

  /** @param isStopped - its window has ended */
  private end(lead: ExchangeLead, context: ActorContext, isStopped = false): void {
    const { counters, record } = this.options;
    const { pair, foundEqual, position } = lead;
    this.lead = undefined;
    this.settledMs = 0;
    counters.exchanges++;
    counters.exchangeKeysFound += lead.keysFound;
    counters.exchangeKeysRepaired += lead.keysRepaired;
    counters.exchangeBytes += lead.bytes;
    if (lead.hasCompared) counters.lastExchangeAtMs = context.wallClock();
    if (position > 0) this.positions.set(nameOf(pair), position);
    else this.positions.delete(nameOf(pair));
    // Those that differed are looked at again soon: until they are equal.
    if (isStopped) this.schedule.stopped(pair, context.now());
    else this.schedule.ended(pair, context.now(), foundEqual);
    if (!foundEqual) return;
    this.refills.delete(nameOf(pair));
    counters.exchangesEqual++;
    record.foundEqual(pair, this.leadSince);
    const [first, second] = lead.roots;
    if (first !== undefined) this.tellEqual(pair, pair.first, pair.second, first, context);
    if (second !== undefined) this.tellEqual(pair, pair.second, pair.first, second, context);
  }

  private tellEqual({ partition }: Pair, to: number, other: number, root: Root, context: ActorContext): void {
    const message = { type: 'equal', partition, leader: this.options.node, other, root } as const;
    this.peers.askExchanger(to, message, NOBODY, context);
  }
}

/** Of the day, UTC. */
export function minuteOf(context: ActorContext): number {
  return Math.floor(context.wallClock() / 60_000) % 1_440;
}
