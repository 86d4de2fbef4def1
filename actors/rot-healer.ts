/**
 * Fetches what a node cannot read any more from the other replicas, key by key, and has it merged into the one here, by
 * the normal way of a write. Which keys, its vnodes and the builds of its trees tell (`rotten-keys.ts`).
 *
 *     key ──read──▶ vnode of one other primary after the other ──object──▶ write to the own vnode
 */
import type { BackgroundBudget } from '../src/admission/background-budget.js';
import { partitionOf } from '../src/codec/key.js';
import type { VnodeAnswer } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { PreferenceList } from '../src/ring/preference-list.js';
import type { ActorContext } from '../src/runtime/actor.js';
import type { ExchangePeers, Hearer } from './exchange-peers.js';
import type { RottenKeys } from './rotten-keys.js';

export interface RotHealerOptions {
  /** This node's index in the ring. */
  readonly node: number;
  readonly preferenceLists: readonly PreferenceList[];
  readonly rotten: RottenKeys;
  readonly counters: NodeCounters;
  /** Of the node: each key takes a slice. */
  readonly budget: BackgroundBudget;
}

/** Keys that are being healed at a time. */
const MAX_UNDER_WAY = 8;

export class RotHealer {
  private readonly options: RotHealerOptions;
  private readonly peers: ExchangePeers;
  private underWay = 0;
  /** Keys for which somebody was out of reach: they wait for the next tick. */
  private later: Uint8Array[] = [];

  constructor(options: RotHealerOptions, peers: ExchangePeers) {
    this.options = options;
    this.peers = peers;
    // What an earlier healer of the node had in hand when it failed.
    options.rotten.retake();
  }

  /** True if there is something to do as soon as there is a slice for it. */
  get isWaiting(): boolean {
    return this.options.rotten.size > 0 && this.underWay < MAX_UNDER_WAY;
  }

  /** Now and then: tries again what failed. */
  tick(): void {
    const { later } = this;
    this.later = [];
    for (const key of later) this.options.rotten.note(key);
  }

  /** Begins what there is room and time for. */
  work(context: ActorContext): void {
    const { rotten, budget, preferenceLists, node } = this.options;
    while (this.isWaiting && budget.take(context.now())) {
      const key = rotten.take()!;
      const { primaries } = preferenceLists[partitionOf(key)]!;
      this.underWay++;
      this.ask(
        key,
        primaries.filter((other) => other !== node),
        true,
        context,
      );
    }
  }

  /** @param sure - nobody was out of reach so far */
  private ask(key: Uint8Array, others: readonly number[], sure: boolean, context: ActorContext): void {
    const [other, ...rest] = others;
    if (other === undefined) {
      // If nobody has it, it stays as it is: unreadable, and not served.
      this.end(key, sure);
      return;
    }
    const hearer: Hearer = {
      answered: (answer, now) => {
        if (answer.type === 'object') this.write(key, answer, now);
        else this.ask(key, rest, sure, now);
      },
      failed: (now) => this.ask(key, rest, false, now),
    };
    const message = { type: 'read', key, digestOnly: false } as const;
    this.peers.askVnode(other, partitionOf(key), message, hearer, context);
  }

  private write(key: Uint8Array, { record, tag }: VnodeAnswer & { type: 'object' }, context: ActorContext): void {
    const hearer: Hearer = {
      answered: (answer) => {
        const isHealed = answer.type === 'wrote';
        if (isHealed) this.options.counters.rotHealed++;
        this.end(key, isHealed);
      },
      failed: () => this.end(key, false),
    };
    const message = { type: 'write', key, record, durable: false, tag } as const;
    this.peers.askVnode(this.options.node, partitionOf(key), message, hearer, context);
  }

  /** @param forGood - false: it is tried again with the next tick */
  private end(key: Uint8Array, forGood: boolean): void {
    this.underWay--;
    this.options.rotten.ended(key);
    if (!forGood) this.later.push(key);
  }
}
