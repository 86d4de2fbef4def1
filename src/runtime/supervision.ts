/**
 * Supervision: what becomes of an actor, or of a whole thread, that failed. Pure: it is told the time, and decides.
 *
 *     failed ──▶ restart after a back-off, doubled by each restart within the window
 *            └─▶ escalate: too many restarts within the window
 *
 * An escalating actor fails its thread; an escalating thread is left down, loudly. Both hosts and the thread group use it.
 * Source: the restart intensity of Erlang/OTP supervisors, with exponential back-off.
 */
import { assert } from '../base/assert.js';
import { DEFAULT_SUPERVISION, type SupervisionPolicy } from './actor.js';

export type SupervisionDecision =
  /** Start it anew, `delayMs` after the failure. */
  { readonly type: 'restart'; readonly delayMs: number } | { readonly type: 'escalate' };

const ESCALATE: SupervisionDecision = { type: 'escalate' };

/** The memory of one supervised thing: the times of its restarts within the window, at most `maxRestarts` of them. */
export class Supervision {
  private readonly policy: SupervisionPolicy;
  private restarts: number[] = [];

  constructor(policy: SupervisionPolicy = DEFAULT_SUPERVISION) {
    assert(policy.backoffMs >= 0 && policy.maxBackoffMs >= policy.backoffMs, 'back-off must be from 0 to its maximum');
    assert(policy.maxRestarts >= 0 && policy.windowMs > 0, 'restarts must be counted within a window');
    this.policy = policy;
  }

  /**
   * Decides about a failure at `nowMs` (monotonic milliseconds). A decision to restart is remembered as made now;
   * the failure is forgotten `windowMs` later.
   */
  failed(nowMs: number): SupervisionDecision {
    const { backoffMs, maxBackoffMs, maxRestarts, windowMs } = this.policy;
    this.restarts = this.restarts.filter((at) => nowMs - at < windowMs);
    const before = this.restarts.length;
    if (before >= maxRestarts) return ESCALATE;
    this.restarts.push(nowMs);
    return { type: 'restart', delayMs: Math.min(maxBackoffMs, backoffMs * 2 ** before) };
  }

  /** Forgets every failure: for a thing that was started anew by request. */
  reset(): void {
    this.restarts = [];
  }
}
