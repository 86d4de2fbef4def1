/**
 * The reaper: has tombstones, and values that have expired, forgotten once nothing can bring back what they deleted. It
 * leads the rounds of the partitions of which its node is the first primary, one at a time, and answers for its node in
 * the rounds of others. How a round goes is decided in `src/anti-entropy/reaping.ts`; vnodes vote and remove.
 *
 *     schedule ──partition──▶ lead: scan ──▶ ask ──▶ exchange ×2 ──▶ vote ──▶ census ──▶ commit
 *                                     reapers│ (exchanger)   vnodes│  reapers│   vnodes│
 *
 * A slice of a scan, and each step of a round, takes a slice of the node's background budget.
 *
 * Lives once per node. Hears `ReapRequest`; asks other reapers, and vnodes.
 */
import type { BackgroundBudget } from '../src/admission/background-budget.js';
import { ReapSchedule } from '../src/anti-entropy/reap-schedule.js';
import type { ReapAnswer, ReapAsk, ReapLimits } from '../src/anti-entropy/reaping.js';
import { InFlight } from '../src/base/in-flight.js';
import { reaperRef, vnodeRef } from '../src/messages/addresses.js';
import type { ReaperAnswer, ReapRequest } from '../src/messages/reap-messages.js';
import type { VnodeAnswer, VnodeRequest } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { PreferenceList } from '../src/ring/preference-list.js';
import type { Actor, ActorContext, Failure, Incoming } from '../src/runtime/actor.js';
import type { Storage } from '../src/storage/storage.js';
import type { Arrears } from './arrears.js';
import type { ExchangeRecord } from './exchange-record.js';
import type { NodeFences } from './fence.js';
import { FenceInquiry, type InquirySpeaker } from './fence-inquiry.js';
import { HintCensus } from './hint-census.js';
import type { HintStore } from './hint-store.js';
import { laterLife } from './lives.js';
import type { NodeIdentity } from './node-identity.js';
import type { OnUnreadable } from './own-records.js';
import { ReapLead, type ReapSpeaker } from './reap-lead.js';
import type { ReapRecord } from './reap-record.js';
import { Wakeup } from './wakeup.js';

export interface ReaperOptions {
  /** This node's index in the ring. */
  readonly node: number;
  readonly preferenceLists: readonly PreferenceList[];
  readonly objects: Storage;
  readonly fences: NodeFences;
  readonly system: Storage;
  readonly hints: HintStore;
  readonly identity: NodeIdentity;
  readonly arrears: Arrears;
  readonly record: ReapRecord;
  readonly exchanges: ExchangeRecord;
  readonly counters: NodeCounters;
  /** Of the node. */
  readonly budget: BackgroundBudget;
  readonly limits: ReapLimits;
  /** True if a flush, or each commit, makes objects durable. */
  readonly canBeDurable: boolean;
  readonly onUnreadable: OnUnreadable;
  /** Tells the operator. */
  readonly report: (what: string, error: Error) => void;
}

/** How often it looks whether something is due, in milliseconds; and while it waits for something. */
const TICK_MS = 1_000;
const SOON_MS = 20;
/** So long somebody who waits may be silent, in short ticks. */
const TICKS_OF_HASTE = 25;
/** Between two slices of a look, in milliseconds. */
const BETWEEN_SLICES_MS = 1;
/** A round that has come no further for so long is given up; exchanges take longer. */
const SILENCE_MS = 5_000;
const EXCHANGE_MS = 60_000;
/** So long a node that has started waits for the first word of another one: less than a put's usual timeout. */
const WORD_MS = 500;
const MAX_REQUESTS = 4_096;
const TICK = 'tick';
const RESUME = 'resume';
/** The ring is fixed when a directory is created. */
const RING_VERSION = 1;

/** What was asked. */
type Asked =
  | { readonly type: 'round'; readonly lead: ReapLead; readonly number: number; readonly node: number }
  | { readonly type: 'fences'; readonly node: number }
  | { readonly type: 'anew'; readonly partition: number };

export class Reaper implements Actor<ReapRequest, ReaperAnswer, ReaperAnswer | VnodeAnswer> {
  private readonly options: ReaperOptions;
  private readonly schedule: ReapSchedule;
  private readonly inquiry: FenceInquiry;
  private readonly members: readonly number[];
  private readonly own: readonly number[];
  private readonly asked = new InFlight<Asked>(MAX_REQUESTS);
  private readonly speaker: ReapSpeaker & InquirySpeaker;
  private lead: ReapLead | undefined;
  /** When the lead came a step further. */
  private progressMs = 0;
  private readonly census: HintCensus;
  private readonly resume = new Wakeup(RESUME);
  /** So many ticks to come are soon. */
  private haste = 0;
  /** Until then the first word of another node is waited for. */
  private readonly waitsUntilMs: number;

  constructor(options: ReaperOptions, context: ActorContext) {
    this.options = options;
    const { node, preferenceLists, limits } = options;
    const members = new Set(preferenceLists.flatMap(({ primaries, fallbacks }) => [...primaries, ...fallbacks]));
    this.members = [...members].sort((a, b) => a - b);
    const partitions = [...preferenceLists.keys()];
    this.own = partitions.filter((partition) => preferenceLists[partition]!.primaries.includes(node));
    const led = partitions.filter((partition) => preferenceLists[partition]!.primaries[0] === node);
    this.schedule = new ReapSchedule({ partitions: led, graceMs: limits.graceMs, nowMs: context.now() });
    this.inquiry = new FenceInquiry(options);
    this.waitsUntilMs = context.now() + WORD_MS;
    this.census = new HintCensus(options.hints, options.canBeDurable ? 'durable' : 'stored');
    this.speaker = {
      ask: (lead, number, to, ask) => this.askRound(lead, number, to, ask, context),
      exchange: (lead, others) => {
        const { partition } = lead;
        const { primaries } = preferenceLists[partition]!;
        const first = primaries.indexOf(node);
        options.exchanges.want(
          others.map((other) => {
            // A pair is named in the order of the preference list.
            return primaries.indexOf(other) < first
              ? { partition, first: other, second: node }
              : { partition, first: node, second: other };
          }),
        );
      },
      askFences: (other) => {
        const ticket = this.asked.add({ type: 'fences', node: other });
        const { lineage } = options.identity;
        if (ticket >= 0) context.request(reaperRef(other), { type: 'fences', from: node, lineage }, ticket);
      },
      askVnode: (partition, message) => {
        const ticket = this.asked.add({ type: 'anew', partition });
        if (ticket >= 0) context.request(vnodeRef(node, partition), message, ticket);
        else this.inquiry.vnodeAnswered(partition, undefined, this.speaker);
      },
    };
  }

  start(context: ActorContext): void {
    this.tick(context);
  }

  receive(message: ReapRequest, incoming: Incoming<ReaperAnswer>, context: ActorContext): void {
    if (message.type === 'fences') {
      const fences = this.own.map((partition) => {
        return { partition, ...this.fenceOf(partition), isKnown: this.options.fences.of(partition).isKnown };
      });
      const { system, hints, preferenceLists } = this.options;
      // Stored is durable there: the system storage is fully synced.
      const later = laterLife(system, message.from, message.lineage, this.options.onUnreadable);
      const refuseBelow = hints.fences.refusedBelow(preferenceLists.length);
      context.reply(incoming, { type: 'fences', fences, refuseBelow, laterLife: later }, 'stored');
      return;
    }
    const { partition, ask } = message;
    if (ask.type === 'ask') {
      // A replica that is set aside is about to change, as a pending owner's is.
      const pendingOwner = this.own.includes(partition) && this.options.fences.of(partition).isSetAside;
      const answer = { type: 'ready', ringVersion: RING_VERSION, pendingOwner } as const;
      context.reply(incoming, { ...answer, ...this.fenceOf(partition) });
      return;
    }
    this.census.begin(partition, ask.g, incoming, context);
    this.resumeCensus(context);
  }

  answered(correlation: number, answer: ReaperAnswer | VnodeAnswer, _interim: boolean, context: ActorContext): void {
    const asked = this.take(correlation);
    switch (asked?.type) {
      case 'round': {
        const { lead, number, node } = asked;
        if (lead !== this.lead) return;
        this.progressMs = context.now();
        const heard = (answer.type === 'reap' ? answer.answer : answer) as ReapAnswer;
        if (heard.type === 'ready') this.inquiry.compare([{ partition: lead.partition, floor: heard.floor }]);
        lead.answered(number, node, heard);
        this.conduct(context);
        return;
      }
      case 'fences':
        if (answer.type === 'fences') this.inquiry.heard(asked.node, answer, this.speaker);
        return;
      case 'anew':
        this.inquiry.vnodeAnswered(asked.partition, answer as VnodeAnswer, this.speaker);
        return;
      default:
        return;
    }
  }

  failed(correlation: number, _failure: Failure, context: ActorContext): void {
    const asked = this.take(correlation);
    if (asked?.type === 'anew') this.inquiry.vnodeAnswered(asked.partition, undefined, this.speaker);
    if (asked?.type !== 'round' || asked.lead !== this.lead) return;
    asked.lead.failed(asked.number, asked.node);
    this.conduct(context);
  }

  timer(message: unknown, context: ActorContext): void {
    if (message === TICK) this.tick(context);
    else {
      this.resume.came();
      this.census.goOn(context);
      this.resumeCensus(context);
      this.conduct(context);
    }
  }

  private tick(context: ActorContext): void {
    const awaited = this.options.record.takeAwaited();
    if (awaited !== undefined) this.schedule.hurry(context.now(), awaited);
    this.inquiry.tick(this.speaker);
    const { arrears } = this.options;
    const isWaitedFor = context.now() < this.waitsUntilMs;
    if (!isWaitedFor) arrears.heardNobody();
    this.conduct(context);
    // Whoever waits asks again and again.
    this.haste = awaited === undefined ? Math.max(0, this.haste - 1) : TICKS_OF_HASTE;
    const isSoon = this.haste > 0 || ((arrears.isUnheard || arrears.awaitsWord) && isWaitedFor);
    context.after(isSoon ? SOON_MS : TICK_MS, TICK);
  }

  // ── What a node answers ────────────────────────────────────────────────────────────────────────────────────────

  /** 0 if this node has no vnode of the partition. */
  private fenceOf(partition: number): { readonly tag: number; readonly floor: number } {
    if (!this.own.includes(partition)) return { tag: 0, floor: 0 };
    const { raised, floor } = this.options.fences.of(partition);
    return { tag: raised, floor };
  }

  private resumeCensus(context: ActorContext): void {
    const { nextMs } = this.census;
    if (nextMs < Number.POSITIVE_INFINITY) this.resume.at(nextMs, context);
  }

  // ── What a leader does ─────────────────────────────────────────────────────────────────────────────────────────

  private conduct(context: ActorContext): void {
    const { budget } = this.options;
    const now = context.now();
    for (;;) {
      const lead = this.lead ?? this.begin(context);
      if (lead === undefined) return;
      if (lead.isExchanging) this.lookAtExchange(lead, now);
      if (now - this.progressMs > (lead.isExchanging ? EXCHANGE_MS : SILENCE_MS)) this.abandon(lead);
      if (lead.isAwaiting) {
        this.resume.at(now + (lead.isExchanging ? SOON_MS : SILENCE_MS + 1), context);
        return;
      }
      if (!budget.take(now)) {
        this.resume.at(budget.nextMs, context);
        return;
      }
      const step = lead.step(context.wallClock());
      this.progressMs = now;
      if (step === 'round-ended') this.countRound(lead, context);
      else if (step === 'done') this.end(lead, now);
      else if (step === 'more') {
        // Clients have this thread between two slices, and other work some of them.
        this.resume.at(now + Math.max(BETWEEN_SLICES_MS, budget.distanceMs(false)), context);
        return;
      }
    }
  }

  private begin(context: ActorContext): ReapLead | undefined {
    const { node, preferenceLists, objects, limits, record } = this.options;
    const partition = this.schedule.next(context.now());
    if (partition === undefined) return undefined;
    const { primaries } = preferenceLists[partition]!;
    const since = record.calls;
    const { members, speaker } = this;
    // Whoever waits is to hear of what others have, too.
    const comparesFirst = record.lacks(partition);
    this.lead = new ReapLead({ node, partition, primaries, members, objects, limits, since, comparesFirst }, speaker);
    this.progressMs = context.now();
    return this.lead;
  }

  private lookAtExchange(lead: ReapLead, now: number): void {
    if (!this.options.exchanges.hasWanted) return;
    this.options.exchanges.want([]);
    this.progressMs = now;
    lead.exchanged(true);
  }

  private abandon(lead: ReapLead): void {
    const { exchanges, counters } = this.options;
    if (lead.isExchanging) exchanges.want([]);
    lead.abandon();
    counters.reapRounds++;
    counters.reapRoundsAbandoned++;
  }

  private countRound(lead: ReapLead, context: ActorContext): void {
    const { counters } = this.options;
    counters.reapRounds++;
    if (lead.outcome === 'abandoned') counters.reapRoundsAbandoned++;
    if (lead.outcome === 'reaped') counters.lastReapAtMs = context.wallClock();
  }

  private end(lead: ReapLead, now: number): void {
    this.lead = undefined;
    const { partition, outcome, foundRipe, ripeInMs, since } = lead;
    // One that was abandoned has not looked at everything.
    const isThrough = outcome !== 'abandoned';
    if (isThrough && !foundRipe) this.options.record.foundClean(partition, since);
    // What all have is gone; what not all have is yet to come to them.
    if (!isThrough || (foundRipe && outcome !== 'reaped')) this.schedule.postponed(partition, now);
    else this.schedule.looked(partition, now, ripeInMs);
  }

  private askRound(lead: ReapLead, number: number, to: readonly number[], ask: ReapAsk, context: ActorContext): void {
    for (const node of to) {
      const ticket = this.asked.add({ type: 'round', lead, number, node });
      if (ticket < 0) {
        lead.failed(number, node);
        continue;
      }
      if (ask.type === 'vote' || ask.type === 'commit') {
        const message: VnodeRequest = { type: 'reap', ask };
        context.request(vnodeRef(node, lead.partition), message, ticket);
      } else context.request(reaperRef(node), { type: 'reap', partition: lead.partition, ask }, ticket);
    }
  }

  private take(ticket: number): Asked | undefined {
    const asked = this.asked.get(ticket);
    this.asked.remove(ticket);
    return asked;
  }
}
