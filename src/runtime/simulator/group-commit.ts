/**
 * The end of a turn: the storages that its actors wrote to, and the replies that wait for their commit. One commit for
 * all; if it fails, so does every reply that waits for it.
 */
import type { CommitEnded, Committer, Release } from '../actor.js';
import type { Request } from './mail.js';

/** A reply that waits. */
export interface HeldReply {
  readonly request: Request;
  readonly release: Release;
  /** The answer as it is, for a requester on the same thread, else its bytes. */
  readonly message: unknown;
  readonly body: Uint8Array | undefined;
}

/** What the storages threw, if they did. */
export interface CommitOutcome {
  readonly commitError: { readonly cause: unknown } | undefined;
  readonly flushError: { readonly cause: unknown } | undefined;
}

export const NOTHING_THROWN: CommitOutcome = { commitError: undefined, flushError: undefined };

/** Why this reply cannot be sent, or undefined if it can. */
export function errorOf(reply: HeldReply, outcome: CommitOutcome): { readonly cause: unknown } | undefined {
  return outcome.commitError ?? (reply.release === 'durable' ? outcome.flushError : undefined);
}

export class GroupCommit {
  readonly #committers: Committer[] = [];
  readonly #ended = new Map<Committer, CommitEnded>();
  #held: HeldReply[] = [];

  /** How many replies wait. */
  get holding(): number {
    return this.#held.length;
  }

  add(committer: Committer, ended?: CommitEnded): void {
    this.#committers.push(committer);
    if (ended !== undefined) this.#ended.set(committer, ended);
  }

  hold(reply: HeldReply): void {
    this.#held.push(reply);
  }

  /** How long the commit takes, and the flush if it needs one; undefined if there is nothing to do. */
  drawMs(): number | undefined {
    let ms: number | undefined;
    for (const committer of this.#committers) {
      if (committer.pending) ms = (ms ?? 0) + (committer.commitMs?.() ?? 0);
    }
    for (const committer of this.#toFlush()) ms = (ms ?? 0) + (committer.flushMs?.() ?? 0);
    return ms;
  }

  commit(): CommitOutcome {
    // Every storage commits, so that no write of this turn stays behind for the next; the first error is told to all.
    const commitError = attempt(this.#committers, (committer) => {
      if (!committer.pending) return;
      try {
        committer.commit();
      } catch (cause) {
        this.#ended.get(committer)?.({ cause });
        throw cause;
      }
      this.#ended.get(committer)?.(undefined);
    });
    const flushError =
      commitError === undefined ? attempt(this.#toFlush(), (committer) => committer.flush()) : undefined;
    return { commitError, flushError };
  }

  /** The thread dies within its commit: as many storages, in order, have done theirs as `goesOn` says. */
  commitHalfway(goesOn: () => boolean): void {
    for (const committer of this.#committers) {
      if (!committer.pending) continue;
      if (!goesOn()) return;
      try {
        committer.commit();
      } catch {
        // The outcome is open anyway, and nobody is left to be told.
        return;
      }
    }
  }

  takeHeld(): HeldReply[] {
    const held = this.#held;
    this.#held = [];
    return held;
  }

  clear(): void {
    this.#committers.length = 0;
    this.#ended.clear();
    this.#held = [];
  }

  #toFlush(): Committer[] {
    if (!this.#held.some((held) => held.release === 'durable')) return [];
    return this.#committers.filter((committer) => !committer.commitIsDurable);
  }
}

/** Does `step` for all of them, and gives the first error. */
function attempt(
  committers: readonly Committer[],
  step: (committer: Committer) => void,
): { readonly cause: unknown } | undefined {
  let error: { readonly cause: unknown } | undefined;
  for (const committer of committers) {
    try {
      step(committer);
    } catch (cause) {
      error ??= { cause };
    }
  }
  return error;
}
