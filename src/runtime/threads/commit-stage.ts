/**
 * The end of a turn: one commit of all that its actors wrote, then the replies that were held back for it.
 *
 *     commit ─┬─▶ release 'stored' ─▶ publish ─▶ flush ─┬─▶ release 'durable'
 *             └─▶ fails: all of them fail               └─▶ fails: these fail
 */
import { assert } from '../../base/assert.js';
import type { CommitEnded, Committer, Failure, Release } from '../actor.js';
import { commitFailureOf } from '../commit-failure.js';
import type { Doorbell } from './doorbell.js';
import type { Envelope } from './envelope.js';
import { HeldAnswers } from './held-answers.js';
import type { HostEvents } from './host-events.js';

const CONDEMNED = 'the thread is condemned: it did not stop in time, or the process is about to end';

/** Where held replies go. */
export interface HeldOutlet {
  sendHeld(request: Envelope): void;
  fail(request: Envelope, failure: Failure): void;
  /** Tells the actors that held these replies, each once. */
  commitFailed(held: readonly Envelope[], error: unknown): void;
  publish(): void;
}

export class CommitStage {
  private readonly bell: Doorbell;
  private readonly outlet: HeldOutlet;
  private readonly events: HostEvents;
  private readonly committers: Committer[] = [];
  /** By committer. */
  private readonly ended: (CommitEnded | undefined)[] = [];
  private readonly answers = new HeldAnswers();
  private held: Envelope[] = [];

  constructor(bell: Doorbell, outlet: HeldOutlet, events: HostEvents) {
    this.bell = bell;
    this.outlet = outlet;
    this.events = events;
  }

  add(committer: Committer, ended?: CommitEnded): void {
    this.committers.push(committer);
    this.ended.push(ended);
  }

  /** Holds a reply back until the end of the turn. */
  hold(request: Envelope, answer: unknown, release: Release): void {
    // Encoded now: an answer's bytes may be a storage's, valid only until its next call.
    request.payload = request.link === undefined ? answer : this.answers.keep(request, answer);
    request.release = release;
    this.held.push(request);
  }

  endTurn(): void {
    if (this.held.length === 0 && !this.anyPending()) return;
    const { held, outlet } = this;
    this.held = [];
    const error = this.guarded(this.commit);
    if (error !== undefined) {
      this.fail(held, error.cause);
    } else {
      let durable = 0;
      for (const reply of held) {
        if (reply.release === 'durable') durable++;
        else outlet.sendHeld(reply);
      }
      if (durable > 0) this.endDurable(held.filter((reply) => reply.release === 'durable'));
    }
    this.answers.clear();
  }

  private readonly commit = (committer: Committer, index: number): void => {
    if (!committer.pending) return;
    try {
      committer.commit();
    } catch (cause) {
      this.ended[index]?.({ cause });
      throw cause;
    }
    this.ended[index]?.(undefined);
  };

  /** Flushes everything; throws what a flush throws. */
  flushAll(): void {
    const error = this.guarded(flush);
    if (error !== undefined) throw error.cause;
  }

  /** Runs `work` on a storage outside of turns; see `ThreadHost.shielded`. */
  async shielded<T>(work: () => T | Promise<T>): Promise<T> {
    assert(this.bell.enterCommit(), CONDEMNED);
    try {
      return await work();
    } finally {
      this.bell.leaveCommit();
    }
  }

  private endDurable(held: readonly Envelope[]): void {
    // What is stored need not wait for the disk.
    this.outlet.publish();
    const error = this.guarded(flush);
    if (error !== undefined) this.fail(held, error.cause);
    else for (const reply of held) this.outlet.sendHeld(reply);
  }

  private fail(held: readonly Envelope[], error: unknown): void {
    this.events.trouble?.('commit-failed', error);
    const failure = commitFailureOf(error);
    for (const reply of held) this.outlet.fail(reply, failure);
    this.outlet.commitFailed(held, error);
  }

  private anyPending(): boolean {
    for (const committer of this.committers) if (committer.pending) return true;
    return false;
  }

  /**
   * Runs a step of all committers, in order, while the thread must not be terminated. Gives the first error, if any:
   * the others take the step all the same, so that no write is left for the next turn.
   */
  private guarded(step: (committer: Committer, index: number) => void): { readonly cause: unknown } | undefined {
    if (this.committers.length === 0) return undefined;
    assert(this.bell.enterCommit(), CONDEMNED);
    let first: { readonly cause: unknown } | undefined;
    for (let index = 0; index < this.committers.length; index++) {
      try {
        step(this.committers[index]!, index);
      } catch (cause) {
        first ??= { cause };
      }
    }
    this.bell.leaveCommit();
    return first;
  }
}

function flush(committer: Committer): void {
  if (!committer.commitIsDurable) committer.flush();
}
