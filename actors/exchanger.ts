/**
 * The exchanger: compares its node's replicas with those of the other nodes, and has what differs merged. When which two
 * are compared, how, and how a tree is kept is decided in `src/anti-entropy`.
 *
 *     leader: schedule ──pair──▶ exchange ──questions──▶ exchangers of both nodes ──▶ their trees and records
 *                                         ──repairs────▶ vnodes of both nodes
 *
 * Everything that is more than a look at a tree takes a slice of the node's background budget. While nothing is due it
 * wakes up about once a second, to see whether something is.
 *
 * Lives once per node. Hears `ExchangeRequest`; asks other exchangers and vnodes.
 * Source: Dynamo (SOSP 2007), §4.7 (replica synchronisation).
 */
import type { BackgroundBudget } from '../src/admission/background-budget.js';
import { type ExchangeAnswer, type ExchangeAsk, leavesOf } from '../src/anti-entropy/exchange-asks.js';
import { ExchangeSchedule, type Pair } from '../src/anti-entropy/schedule.js';
import { InFlight } from '../src/base/in-flight.js';
import { FailureDetector } from '../src/membership/failure-detector.js';
import { exchangerRef, vnodeRef } from '../src/messages/addresses.js';
import type { ExchangeReply, ExchangeRequest, Root } from '../src/messages/exchange-messages.js';
import type { VnodeAnswer } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { PreferenceList } from '../src/ring/preference-list.js';
import type { Actor, ActorContext, ActorRef, Failure, Incoming } from '../src/runtime/actor.js';
import type { Storage } from '../src/storage/storage.js';
import { ExchangeLead, type LeadAsked, type LeadSpeaker } from './exchange-lead.js';
import { type ExchangeRecord, nameOf } from './exchange-record.js';
import type { NodeIdentity } from './node-identity.js';
import type { ReplicaTree, ReplicaTrees } from './replica-tree.js';

export interface ExchangerOptions {
  /** This node's index in the ring. */
  readonly node: number;
  readonly preferenceLists: readonly PreferenceList[];
  readonly objects: Storage;
  readonly identity: NodeIdentity;
  readonly trees: ReplicaTrees;
  readonly record: ExchangeRecord;
  readonly counters: NodeCounters;
  /** Of the node: an ask, a batch of repairs, and a slice of a build take one each. */
  readonly budget: BackgroundBudget;
  /** Every pair of replicas is compared at least so often, in milliseconds. */
  readonly intervalMs: number;
}

/** How often it looks whether something is due, in milliseconds: at most, and at least. */
const MAX_TICK_MS = 1_000;
const MIN_TICK_MS = 20;
/** While nothing is due the other nodes are looked at once in so many ticks: a look wakes their threads. */
const TICKS_PER_LOOK = 10;
/** How soon it looks again for what hashing has to bring. */
const SOON_MS = 5;
/** A question waits for hashing so long at most: less than a node that stops waits for what it has in hand. */
const HELD_MS = 500;
/** An exchange that has heard nothing for so long is given up. */
const SILENCE_MS = 10_000;
/** What is being written has arrived after so long at least. */
const MIN_SETTLE_MS = 20;
/** Requests under way: two questions, or two for each repair; and those of exchanges that were given up. */
const MAX_REQUESTS = 4_096;
const TICK = 'tick';
const RESUME = 'resume';

/** What was asked, in which exchange; undefined: the answer does not matter. */
interface Asked {
  readonly node: number;
  readonly lead: ExchangeLead | undefined;
  readonly what: LeadAsked | undefined;
}

/** A question that cannot be answered before hashing has come so far. */
interface Held {
  readonly incoming: Incoming<ExchangeReply>;
  /** When it is answered as not ready. */
  readonly untilMs: number;
  answer(nowMs: number): ExchangeReply | undefined;
}

export class Exchanger implements Actor<ExchangeRequest, ExchangeReply, ExchangeReply | VnodeAnswer> {
  private readonly options: ExchangerOptions;
  private readonly schedule: ExchangeSchedule;
  private ticksUntilLook = 0;
  private readonly detector: FailureDetector;
  private readonly nodes: number;
  private readonly asked = new InFlight<Asked>(MAX_REQUESTS);
  private readonly tickMs: number;
  private readonly speaker: LeadSpeaker;
  private held: Held[] = [];
  private lead: ExchangeLead | undefined;
  /** The record's `calls` when the exchange began. */
  private leadSince = 0;
  private progressMs = 0;
  /** Until then the exchange waits for what is being written. */
  private settledMs = 0;
  /** By pair: where an exchange that failed has come to. */
  private readonly positions = new Map<string, number>();
  /** When a timer will resume what is under way; undefined: none is set. */
  private resumeMs: number | undefined;

  constructor(options: ExchangerOptions, context: ActorContext) {
    this.options = options;
    const { node: self, preferenceLists, intervalMs } = options;
    const primaries = preferenceLists.map((list) => list.primaries);
    this.nodes = Math.max(self, ...preferenceLists.flatMap(({ primaries: a, fallbacks: b }) => [...a, ...b])) + 1;
    this.detector = new FailureDetector(this.nodes);
    this.schedule = new ExchangeSchedule({ self, primaries, intervalMs, nowMs: context.now() });
    this.tickMs = Math.max(MIN_TICK_MS, Math.min(MAX_TICK_MS, intervalMs / 64));
    this.speaker = {
      toExchanger: (lead, node, message, what) => {
        this.request(exchangerRef(node), message, { node, lead, what }, context);
      },
      toVnode: (lead, node, message, what) => {
        this.request(vnodeRef(node, lead.pair.partition), message, { node, lead, what }, context);
      },
    };
  }

  start(context: ActorContext): void {
    this.tick(context);
  }

  receive(message: ExchangeRequest, incoming: Incoming<ExchangeReply>, context: ActorContext): void {
    const tree = this.options.trees.get(message.partition);
    switch (message.type) {
      case 'exchange':
        if (tree === undefined) this.reply(incoming, { type: 'not-ready' }, context);
        else if (!tree.lease.admits(message.leader, context.now())) this.reply(incoming, { type: 'busy' }, context);
        else this.answer(message, tree, incoming, context);
        break;
      case 'rebuild':
        tree?.rebuild();
        this.reply(incoming, { type: 'noted' }, context);
        break;
      case 'equal':
        if (tree !== undefined && sameRoot(tree.told.get(message.leader), message.root)) {
          this.foundEqual(message.partition, message.other, tree);
        }
        this.reply(incoming, { type: 'noted' }, context);
        break;
    }
    this.work(context);
  }

  answered(correlation: number, answer: ExchangeReply | VnodeAnswer, _interim: boolean, context: ActorContext): void {
    const asked = this.take(correlation);
    if (asked === undefined) return;
    if (asked.node !== this.options.node) this.detector.answered(asked.node);
    const { lead, what } = asked;
    if (lead === undefined || what === undefined || lead !== this.lead) return;
    this.progressMs = context.now();
    if (what.type === 'ask') lead.askAnswered(what.number, what.side, answer as ExchangeAnswer);
    else lead.repairAnswered(what, answer as VnodeAnswer);
    this.conduct(context);
  }

  failed(correlation: number, failure: Failure, context: ActorContext): void {
    const asked = this.take(correlation);
    if (asked === undefined) return;
    if (asked.node !== this.options.node) {
      if (failure === 'died') this.detector.unanswered(asked.node, context.now());
      else if (failure === 'unreachable') this.detector.unreachable(asked.node, context.now());
    }
    if (asked.lead === undefined || asked.what === undefined || asked.lead !== this.lead) return;
    asked.lead.failed(asked.what);
    this.conduct(context);
  }

  timer(message: unknown, context: ActorContext): void {
    if (message === TICK) this.tick(context);
    else {
      this.resumeMs = undefined;
      this.work(context);
      this.conduct(context);
    }
  }

  private tick(context: ActorContext): void {
    const { node, record } = this.options;
    const now = context.now();
    const awaited = record.takeAwaited();
    if (awaited !== undefined) this.schedule.hurry(now, awaited);
    if (--this.ticksUntilLook <= 0 || this.lead !== undefined || this.isDue(context)) {
      this.ticksUntilLook = TICKS_PER_LOOK;
      for (let other = 0; other < this.nodes; other++) {
        if (other !== node) this.detector.observe(other, context.pulse(other), now);
      }
    }
    if (this.lead !== undefined && now - this.progressMs > SILENCE_MS) {
      this.lead.abandon();
      this.end(this.lead, context);
    }
    this.work(context);
    this.conduct(context);
    context.after(this.tickMs, TICK);
  }

  // ── What a replica answers ─────────────────────────────────────────────────────────────────────────────────────

  private answer(
    { ask, leader }: ExchangeRequest & { type: 'exchange' },
    tree: ReplicaTree,
    incoming: Incoming<ExchangeReply>,
    context: ActorContext,
  ): void {
    const { noted } = tree;
    let listed: ExchangeAnswer | undefined;
    if (ask.type === 'keys') {
      tree.list(ask, (answer) => {
        listed = answer;
      });
    }
    const untilMs = context.now() + HELD_MS;
    const held: Held = { incoming, untilMs, answer: (nowMs) => listed ?? this.look(ask, leader, tree, noted, nowMs) };
    const answer = held.answer(context.now());
    if (answer === undefined) this.held.push(held);
    else this.reply(incoming, answer, context);
  }

  private look(
    ask: ExchangeAsk,
    leader: number,
    tree: ReplicaTree,
    noted: number,
    nowMs: number,
  ): ExchangeAnswer | undefined {
    if (ask.type === 'keys') return undefined;
    if (ask.type === 'leaves') return leavesOf(ask.keys, (key) => this.options.objects.get(key));
    const answer = tree.answer(ask, noted, nowMs);
    if (answer?.type === 'root') tree.told.set(leader, { high: answer.high, low: answer.low });
    return answer;
  }

  /** What shows a write of this turn is held back until that is stored. */
  private reply(incoming: Incoming<ExchangeReply>, answer: ExchangeReply, context: ActorContext): void {
    context.reply(incoming, answer, this.options.objects.pending ? 'stored' : 'now');
  }

  /** A replica that was found equal to all others lacks nothing that any of them has. */
  private foundEqual(partition: number, other: number, tree: ReplicaTree): void {
    const { identity, node, preferenceLists } = this.options;
    if (!identity.refilling.has(partition)) return;
    tree.equalWith.add(other);
    const { primaries } = preferenceLists[partition]!;
    if (primaries.every((one) => one === node || tree.equalWith.has(one))) identity.refilled(partition);
  }

  /** Answers what can be answered now, and goes on building trees. */
  private work(context: ActorContext): void {
    const { trees, budget } = this.options;
    const now = context.now();
    if (this.held.length > 0) {
      const { held } = this;
      this.held = [];
      for (const one of held) {
        const answer = one.answer(now) ?? (now > one.untilMs ? ({ type: 'not-ready' } as const) : undefined);
        if (answer === undefined) this.held.push(one);
        else this.reply(one.incoming, answer, context);
      }
    }
    const { buildable } = trees;
    if (buildable !== undefined && budget.take(now)) buildable.build(context);
    if (trees.builds.size > 0 || this.held.length > 0) this.resumeAt(now + SOON_MS, context);
  }

  // ── What a leader does ─────────────────────────────────────────────────────────────────────────────────────────

  /** Goes on with the exchange that is under way, or begins the next one that is due. */
  private conduct(context: ActorContext): void {
    const { budget } = this.options;
    const now = context.now();
    for (;;) {
      const lead = this.lead ?? this.begin(context);
      if (lead === undefined) return;
      if (now < this.settledMs) {
        this.resumeAt(this.settledMs, context);
        return;
      }
      if (lead.needsSlice && !budget.take(now)) {
        this.resumeAt(budget.nextMs, context);
        return;
      }
      const step = lead.step();
      if (step === 'done') this.end(lead, context);
      else if (step === 'wait') this.settledMs = now + Math.max(MIN_SETTLE_MS, 2 * budget.usualMs);
      else return;
    }
  }

  private isDue(context: ActorContext): boolean {
    const now = context.now();
    return this.schedule.isDue(now, minuteOf(context), (other) => this.isUp(other, now));
  }

  private isUp(node: number, now: number): boolean {
    return node === this.options.node || this.detector.state(node, now) === 'up';
  }

  private begin(context: ActorContext): ExchangeLead | undefined {
    const now = context.now();
    const { node } = this.options;
    const pair = this.schedule.next(now, minuteOf(context), (other) => this.isUp(other, now));
    if (pair === undefined) return undefined;
    const lead = new ExchangeLead(pair, node, this.speaker, this.positions.get(nameOf(pair)) ?? 0);
    this.lead = lead;
    this.leadSince = this.options.record.calls;
    this.progressMs = now;
    this.settledMs = 0;
    return lead;
  }

  private end(lead: ExchangeLead, context: ActorContext): void {
    const { counters, record, node } = this.options;
    const { pair, foundEqual, position } = lead;
    this.lead = undefined;
    this.settledMs = 0;
    counters.exchanges++;
    counters.exchangeKeysFound += lead.keysFound;
    counters.exchangeKeysRepaired += lead.keysRepaired;
    counters.exchangeBytes += lead.bytes;
    counters.lastExchangeAtMs = context.wallClock();
    if (position > 0) this.positions.set(nameOf(pair), position);
    else this.positions.delete(nameOf(pair));
    // Those that differed are looked at again soon: until they are equal.
    this.schedule.ended(pair, context.now(), foundEqual);
    if (!foundEqual) return;
    counters.exchangesEqual++;
    record.foundEqual(pair, this.leadSince);
    const [first, second] = lead.roots;
    if (first !== undefined) this.tellEqual(pair.first, pair.second, pair, first, node, context);
    if (second !== undefined) this.tellEqual(pair.second, pair.first, pair, second, node, context);
  }

  private tellEqual(
    to: number,
    other: number,
    { partition }: Pair,
    root: Root,
    leader: number,
    context: ActorContext,
  ): void {
    const message = { type: 'equal', partition, leader, other, root } as const;
    this.request(exchangerRef(to), message, { node: to, lead: undefined, what: undefined }, context);
  }

  private request<Request>(
    to: ActorRef<Request, ExchangeReply | VnodeAnswer>,
    message: Request,
    asked: Asked,
    context: ActorContext,
  ): void {
    const ticket = this.asked.add(asked);
    if (ticket >= 0) context.request(to, message, ticket);
    else if (asked.what !== undefined) asked.lead?.failed(asked.what);
  }

  private resumeAt(ms: number, context: ActorContext): void {
    if (this.resumeMs !== undefined && this.resumeMs <= ms) return;
    this.resumeMs = ms;
    context.after(Math.max(1, ms - context.now()), RESUME);
  }

  private take(ticket: number): Asked | undefined {
    const asked = this.asked.get(ticket);
    this.asked.remove(ticket);
    return asked;
  }
}

function sameRoot(a: Root | undefined, b: Root): boolean {
  return a !== undefined && a.high === b.high && a.low === b.low;
}

/** Of the day. */
function minuteOf(context: ActorContext): number {
  return Math.floor(context.wallClock() / 60_000) % 1_440;
}
