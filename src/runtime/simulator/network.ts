/**
 * How the network between simulated threads behaves: delay, loss, duplication, reordering and splits, per link or for
 * all links, changeable at any time. A link is an ordered pair of threads. This file knows no frames: it draws fates.
 */
import { assert } from '../../base/assert.js';
import { type Random, unit } from '../../base/random.js';

export interface LinkBehaviour {
  /** No frame is faster, in milliseconds. */
  readonly minDelayMs: number;
  /** Added to it, exponentially distributed: its mean, in milliseconds. */
  readonly meanExtraDelayMs: number;
  /** How much longer each further byte takes, in milliseconds. */
  readonly perByteMs: number;
  /** The chance that a frame never arrives. */
  readonly loss: number;
  /** The chance that a request arrives twice. */
  readonly duplication: number;
  /** The chance that a frame is held up by up to `reorderMs`, so that later ones overtake it. */
  readonly reordering: number;
  readonly reorderMs: number;
}

/** About what lanes between threads do: fast, whole, and still in no promised order. */
export const CALM_NETWORK: LinkBehaviour = {
  minDelayMs: 0.005,
  meanExtraDelayMs: 0.02,
  perByteMs: 1e-6,
  loss: 0,
  duplication: 0,
  reordering: 0.01,
  reorderMs: 0.5,
};

export class Network {
  readonly #threads: number;
  readonly #random: Random;
  #common: LinkBehaviour = CALM_NETWORK;
  /** By from * threads + to. */
  readonly #own: (LinkBehaviour | undefined)[];
  readonly #cut: Uint8Array;

  constructor(threads: number, random: Random) {
    this.#threads = threads;
    this.#random = random;
    this.#own = new Array(threads * threads);
    this.#cut = new Uint8Array(threads * threads);
  }

  behaviour(from: number, to: number): LinkBehaviour {
    return this.#own[this.#link(from, to)] ?? this.#common;
  }

  /** Changes how all links behave that have no behaviour of their own. */
  setAll(change: Partial<LinkBehaviour>): void {
    this.#common = { ...this.#common, ...change };
  }

  /** Changes how one link behaves, from now on apart from the others. */
  setLink(from: number, to: number, change: Partial<LinkBehaviour>): void {
    this.#own[this.#link(from, to)] = { ...this.behaviour(from, to), ...change };
  }

  /** Lets frames from `from` to `to` get lost until `heal`; the other direction stays as it is. */
  cut(from: readonly number[], to: readonly number[]): void {
    for (const one of from) for (const other of to) if (one !== other) this.#cut[this.#link(one, other)] = 1;
  }

  /** Heals every cut and split. Delays, loss and duplication stay as they were set. */
  heal(): void {
    this.#cut.fill(0);
  }

  /** Back to a calm network without cuts. */
  calm(): void {
    this.heal();
    this.#common = CALM_NETWORK;
    this.#own.fill(undefined);
  }

  isCut(from: number, to: number): boolean {
    return this.#cut[this.#link(from, to)] === 1;
  }

  /** Draws whether a frame gets lost on its way. */
  loses(from: number, to: number): boolean {
    return this.#happens(this.behaviour(from, to).loss);
  }

  /** Draws whether a request arrives twice. */
  duplicates(from: number, to: number): boolean {
    return this.#happens(this.behaviour(from, to).duplication);
  }

  /** Draws how long a frame of `bytes` bytes is under way, in milliseconds. */
  delayMs(from: number, to: number, bytes: number): number {
    const link = this.behaviour(from, to);
    let delay = link.minDelayMs + bytes * link.perByteMs;
    if (link.meanExtraDelayMs > 0) delay -= link.meanExtraDelayMs * Math.log(1 - unit(this.#random));
    if (this.#happens(link.reordering)) delay += link.reorderMs * unit(this.#random);
    return delay;
  }

  /** Draws only for a chance that there is: a calm network must not cost a draw per frame and fault. */
  #happens(chance: number): boolean {
    return chance > 0 && unit(this.#random) < chance;
  }

  #link(from: number, to: number): number {
    assert(from < this.#threads && to < this.#threads, 'a link joins two threads of the simulation');
    return from * this.#threads + to;
  }
}
