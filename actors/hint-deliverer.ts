/**
 * The hint deliverer: hands the hints that its node keeps to their owners, and finds out whether others keep hints for
 * its own node. How a delivery goes, and when everything is known, is decided in `src/hinted-handoff`.
 *
 * It tries no owner that is down, and turns to one at once when that is back: when its pulse is seen again, or when it
 * asks what there is for it.
 *
 * Lives once per node. Hears `HoldingRequest`; asks the owners' vnodes, and the other nodes' hint deliverers.
 * Source: Dynamo (SOSP 2007), §4.6 (hinted handoff).
 */
import type { BackgroundBudget } from '../src/admission/background-budget.js';
import { InFlight } from '../src/base/in-flight.js';
import { batchesPerSecond, Delivery, type HeldHint, MAX_BATCH_BYTES } from '../src/hinted-handoff/delivery.js';
import { locatedKeyOf, partitionOfHint } from '../src/hinted-handoff/hint-key.js';
import { Inquiry } from '../src/hinted-handoff/inquiry.js';
import { FailureDetector, type NodeHealth } from '../src/membership/failure-detector.js';
import { hintDelivererRef, vnodeRef } from '../src/messages/addresses.js';
import type { TaggedEntry } from '../src/messages/entries.js';
import type { HoldingAnswer, HoldingRequest } from '../src/messages/hint-delivery-messages.js';
import type { VnodeAnswer } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { PreferenceList } from '../src/ring/preference-list.js';
import {
  type Actor,
  type ActorContext,
  type Failure,
  type Incoming,
  type TimerId,
  wasLost,
} from '../src/runtime/actor.js';
import type { Arrears } from './arrears.js';
import type { HintStore } from './hint-store.js';

export interface HintDelivererOptions {
  /** This node's index in the ring. */
  readonly node: number;
  readonly preferenceLists: readonly PreferenceList[];
  readonly hints: HintStore;
  readonly arrears: Arrears;
  readonly counters: NodeCounters;
  /** Of the node: a batch takes a slice. */
  readonly budget: BackgroundBudget;
}

/**
 * How often it looks for hints to deliver, in milliseconds: while there is somebody to take them; while all who should are
 * out of reach; and else. A look wakes this thread, and those it looks at: on one that is idle that is nearly all it costs.
 */
const TICK_MS = 20;
const WATCH_MS = 100;
const IDLE_TICK_MS = 1_000;
const TICK = 'tick';
/**
 * How long after a question it is answered, in milliseconds: in a later turn. Where this thread stood still, a hint that was
 * sent before the question is read in the same turn, and maybe after it; and the put that it is for may have been acknowledged.
 */
const ANSWER_AFTER_MS = 1;
/**
 * Hints that their owners have taken are deleted together, for fewer commits of hints. At the latest after so many
 * milliseconds, or when they are so many, or so large, or at the end of a pass.
 */
const DELETE_AFTER_MS = 20;
const MOST_TAKEN = 512;
const MOST_TAKEN_BYTES = 512 * 1_024;
/** Requests under way: a batch for each owner, to each of its recipients, and a question to each node. */
const MAX_REQUESTS = 65_536;

/** What was asked: an owner's vnode to take a batch, or a node what it holds. */
type Asked =
  | {
      readonly type: 'batch';
      readonly node: number;
      readonly owner: number;
      readonly delivery: Delivery;
      readonly entries: readonly TaggedEntry[];
    }
  | { readonly type: 'question'; readonly node: number; readonly question: number };

export class HintDeliverer implements Actor<HoldingRequest, HoldingAnswer, VnodeAnswer | HoldingAnswer> {
  private readonly node: number;
  private readonly preferenceLists: readonly PreferenceList[];
  private readonly hints: HintStore;
  private readonly arrears: Arrears;
  private readonly counters: NodeCounters;
  private readonly budget: BackgroundBudget;
  private readonly deliveries = new Map<number, Delivery>();
  private readonly inquiry: Inquiry;
  /** Of `arrears`: the one that the inquiry is about. */
  private question: number;
  private readonly asked = new InFlight<Asked>(MAX_REQUESTS);
  /** Questions that are yet to be answered, in order; a node asks again only once it was answered. */
  private readonly heard: {
    readonly from: number;
    readonly incoming: Incoming<HoldingAnswer>;
    readonly dueMs: number;
  }[] = [];
  private readonly nodes: number;
  private readonly detector: FailureDetector;
  /** Hints that their owners have, and that are to be deleted; of how many bytes, and since when they are there. */
  private taken: { readonly owner: number; readonly hint: HeldHint }[] = [];
  private takenBytes = 0;
  private takenSinceMs = Number.POSITIVE_INFINITY;
  /** By owner with hints: how many there were, at most, since it had none. */
  private readonly backlogs = new Map<number, number>();
  /** Which owner is first in the next tick. */
  private first = 0;
  /** By owner, as the last tick found it. */
  private readonly health: NodeHealth[] = [];
  /** The next tick, and when it is. */
  private nextTick: TimerId | undefined = undefined;
  private tickAtMs = Number.POSITIVE_INFINITY;

  constructor(options: HintDelivererOptions) {
    this.node = options.node;
    this.preferenceLists = options.preferenceLists;
    this.hints = options.hints;
    this.arrears = options.arrears;
    this.counters = options.counters;
    this.budget = options.budget;
    const others = othersIn(options);
    this.inquiry = new Inquiry(others);
    this.nodes = others.size + 1;
    this.detector = new FailureDetector(this.nodes);
    this.question = this.arrears.question;
    if (!this.arrears.isOpen) this.inquiry.end();
  }

  start(context: ActorContext): void {
    this.tick(context);
  }

  receive(message: HoldingRequest, incoming: Incoming<HoldingAnswer>, context: ActorContext): void {
    const { from, holds } = message;
    if (holds > 0) {
      this.inquiry.onTold(from);
      this.ask(context);
    }
    this.heard.push({ from, incoming, dueMs: context.now() + ANSWER_AFTER_MS });
    this.tickInTime(context);
  }

  answered(correlation: number, answer: VnodeAnswer | HoldingAnswer, _interim: boolean, context: ActorContext): void {
    const asked = this.take(correlation);
    if (asked === undefined) return;
    this.detector.answered(asked.node);
    if (asked.type === 'question') {
      if (answer.type !== 'holding') throw new TypeError(`a hint deliverer was answered with '${answer.type}'`);
      if (asked.question === this.question) this.inquiry.onAnswer(asked.node, answer, context.now());
      this.ask(context);
      this.tickInTime(context);
      return;
    }
    const { owner, delivery } = asked;
    switch (answer.type) {
      case 'took': {
        const refused = [...answer.stale, ...answer.unmerged];
        this.counters.hintsUndeliverable += refused.length;
        for (const place of answer.stale) this.hints.setAsideStale(owner, asked.entries[place]!.key);
        this.deleteSoon(owner, delivery.onTook(refused, context.now()), context);
        break;
      }
      case 'no-storage':
      case 'not-ready':
        this.deleteSoon(owner, delivery.onFailed(false, context.now()), context);
        break;
      default:
        throw new TypeError(`a delivery of hints was answered with '${answer.type}'`);
    }
    this.deliver(owner, context);
    this.tickInTime(context);
  }

  failed(correlation: number, failure: Failure, context: ActorContext): void {
    const asked = this.take(correlation);
    if (asked === undefined) return;
    if (wasLost(failure)) this.detector.unanswered(asked.node, context.now());
    else if (failure === 'unreachable') this.detector.unreachable(asked.node, context.now());
    if (asked.type === 'batch') {
      this.deleteSoon(asked.owner, asked.delivery.onFailed(failure === 'died', context.now()), context);
    } else {
      if (asked.question === this.question) {
        if (failure === 'refused' || failure === 'stale') this.inquiry.onRefused(asked.node, context.now());
        else this.inquiry.onFailed(asked.node, context.now());
      }
      this.ask(context);
    }
    this.tickInTime(context);
  }

  timer(_message: unknown, context: ActorContext): void {
    this.nextTick = undefined;
    this.tickAtMs = Number.POSITIVE_INFINITY;
    this.tick(context);
  }

  stop(): void {
    this.deleteTaken();
  }

  private tick(context: ActorContext): void {
    if (this.arrears.question !== this.question) {
      this.question = this.arrears.question;
      this.inquiry.begin();
    }
    this.ask(context);
    if (this.takenSinceMs + DELETE_AFTER_MS <= context.now()) this.deleteTaken();
    if (this.hints.gate.probeDue(context.now())) this.hints.writeProbe();
    const { owners } = this.hints;
    this.lookAtOwners(context);
    this.answerHeard(context);
    for (const owner of this.backlogs.keys()) if (!owners.has(owner)) this.backlogs.delete(owner);
    // Another one is first each time: where slices are few, they go round.
    const all = [...owners.keys()];
    for (let i = 0; i < all.length; i++) this.deliver(all[(this.first + i) % all.length]!, context);
    this.first++;
    this.tickInTime(context);
  }

  /** Tells those whose questions are due what there is for them. */
  private answerHeard(context: ActorContext): void {
    while (this.heard.length > 0 && this.heard[0]!.dueMs <= context.now()) {
      const { from, incoming } = this.heard.shift()!;
      const { begun, clean } = this.hints.passesOf(from);
      const count = this.hints.heldFor(from);
      context.reply(incoming, { type: 'holding', count, session: this.hints.session, begun, clean });
      if (count === 0) continue;
      // Whoever asks is there.
      this.health[from] = 'up';
      this.deliveryTo(from).kick();
    }
  }

  /** Sees to it that the next tick is not too late for anything. */
  private tickInTime(context: ActorContext): void {
    const now = context.now();
    let atMs = Math.min(now + IDLE_TICK_MS, Math.max(now + 1, this.inquiry.nextMs));
    if (!this.hints.gate.open) atMs = Math.min(atMs, now + TICK_MS);
    atMs = Math.min(atMs, this.takenSinceMs + DELETE_AFTER_MS, this.heard[0]?.dueMs ?? atMs);
    atMs = Math.max(now + 1, atMs);
    for (const owner of this.hints.owners.keys()) {
      atMs = Math.min(atMs, now + (this.isOutOfReach(owner) ? WATCH_MS : TICK_MS));
      const readyAtMs = this.deliveries.get(owner)?.readyAtMs ?? now;
      if (readyAtMs > now) atMs = Math.min(atMs, readyAtMs);
    }
    if (atMs >= this.tickAtMs) return;
    if (this.nextTick !== undefined) context.cancel(this.nextTick);
    this.nextTick = context.after(atMs - now, TICK);
    this.tickAtMs = atMs;
  }

  /** Asks whoever is due, and notes whether anything is left to be known. */
  private ask(context: ActorContext): void {
    for (const node of this.inquiry.due(context.now())) {
      const ticket = this.asked.add({ type: 'question', node, question: this.question });
      const holds = this.hints.owners.get(node)?.count ?? 0;
      context.request(hintDelivererRef(node), { type: 'what-for-me', from: this.node, holds }, ticket);
    }
    if (this.question === this.arrears.question) this.arrears.setHintsMayWait(this.inquiry.isOpen);
  }

  /** Who is back gets its hints now, whatever was tried before. */
  private lookAtOwners(context: ActorContext): void {
    const now = context.now();
    for (const node of this.hints.owners.keys()) {
      // A node that has left has no thread.
      if (node === this.node || node >= this.nodes) continue;
      this.detector.observe(node, context.pulse(node), now);
      const health = this.detector.state(node, now);
      if (health === 'up' && this.health[node] !== 'up') this.deliveries.get(node)?.kick();
      this.health[node] = health;
    }
  }

  /** Who is down, stands still, or is on the other side of a split, would not take anything. */
  private isOutOfReach(owner: number): boolean {
    return this.health[owner] === 'down' || this.health[owner] === 'suspect';
  }

  /** Sends the owner's next batch, if it is time for it and there is one. */
  private deliver(owner: number, context: ActorContext): void {
    const { hints } = this;
    const delivery = this.deliveryTo(owner);
    const now = context.now();
    if (!hints.gate.open || !delivery.isReady(now)) return;
    if (this.isOutOfReach(owner)) return;
    const perSecond = this.batchesPerSecond();
    const backlog = this.budget.isServing ? (this.backlogs.get(owner) ?? 0) : Number.POSITIVE_INFINITY;
    if (!this.budget.takeUrgent(now, 'hints', perSecond)) {
      delivery.rest(this.budget.nextMs);
      return;
    }
    const { after, limit } = delivery.next(hints.isGathering(owner), backlog, now);
    const page = hints.page(owner, after, limit, MAX_BATCH_BYTES);
    // The pass ends: what was taken in it is not to be met in the next.
    if (page.length === 0) this.deleteTaken();
    const found: HeldHint[] = [];
    let skipped = false;
    for (const { key, value } of page) {
      const hint = hints.read(key, value);
      if (hint === 'newer') skipped = true;
      else if (hint !== undefined) {
        const { record, tag } = hint;
        found.push({ key, located: locatedKeyOf(key), partition: partitionOfHint(key), record, tag });
      }
    }
    const batch = delivery.read(found, page[page.length - 1]?.key, skipped, now);
    if (batch === undefined) return;
    const entries = batch.entries.map(({ located, record, tag }) => ({ key: located, record, tag }));
    const recipients = this.recipientsFor(owner, batch.partition);
    delivery.sent(recipients.length, now);
    delivery.rest(now + this.budget.paceMs('hints', perSecond));
    for (const recipient of recipients) {
      const ticket = this.asked.add({ type: 'batch', node: recipient, owner, delivery, entries });
      context.request(vnodeRef(recipient, batch.partition), { type: 'hand-off', entries }, ticket);
    }
  }

  /** As many as it takes to have all owners who can take their hints have them in time. */
  private batchesPerSecond(): number {
    let batches = 0;
    for (const [owner, { count }] of this.hints.owners) {
      const most = Math.max(this.backlogs.get(owner) ?? 0, count);
      this.backlogs.set(owner, most);
      if (!this.isOutOfReach(owner)) batches += batchesPerSecond(most, this.deliveryTo(owner).perBatch);
    }
    return batches;
  }

  /** Only now, upon the owner's answer, which is as durable as it can be. */
  private deleteSoon(owner: number, hints: readonly HeldHint[], context: ActorContext): void {
    if (hints.length === 0) return;
    if (this.taken.length === 0) this.takenSinceMs = context.now();
    for (const hint of hints) {
      this.taken.push({ owner, hint });
      this.takenBytes += hint.key.length + hint.located.length + hint.record.length;
    }
    if (this.taken.length >= MOST_TAKEN || this.takenBytes >= MOST_TAKEN_BYTES) this.deleteTaken();
  }

  /** Only what is still as it was sent. */
  private deleteTaken(): void {
    const { taken } = this;
    this.taken = [];
    this.takenBytes = 0;
    this.takenSinceMs = Number.POSITIVE_INFINITY;
    for (const { owner, hint } of taken) {
      if (this.hints.removeIfUnchanged(owner, hint.located, hint.record)) this.counters.hintsDelivered++;
    }
  }

  /** The owner; or, if it does not keep that partition any more, everybody who does. */
  private recipientsFor(owner: number, partition: number): readonly number[] {
    const { primaries } = this.preferenceLists[partition]!;
    return primaries.includes(owner) ? [owner] : primaries;
  }

  private deliveryTo(owner: number): Delivery {
    let delivery = this.deliveries.get(owner);
    if (delivery === undefined) {
      delivery = new Delivery(this.hints.passesOf(owner));
      this.deliveries.set(owner, delivery);
    }
    return delivery;
  }

  private take(ticket: number): Asked | undefined {
    const asked = this.asked.get(ticket);
    this.asked.remove(ticket);
    return asked;
  }
}

function othersIn({ node, preferenceLists }: HintDelivererOptions): Set<number> {
  const others = new Set<number>();
  for (const { primaries, fallbacks } of preferenceLists) {
    for (const other of primaries) others.add(other);
    for (const other of fallbacks) others.add(other);
  }
  others.delete(node);
  return others;
}
