/**
 * A causal context `{ vv, extra }`: which events something has seen. `vv` is a version vector: for each writer the
 * highest counter seen, all below it included. `extra` holds a few exact ids beyond it: dots, and attempts.
 * Both are flat, sorted, immutable arrays: one allocation each, and equal contexts have equal arrays.
 * Sources: Preguiça et al., "Dotted Version Vectors" (2012); Almeida, Shoker, Baquero, delta-CRDTs (2018).
 */
import type { Dot, EventId } from './event-id.js';

export const DOT = 0;
export const ATTEMPT = 1;

export interface CausalContext {
  /** `[high, low, counter]` repeated, ascending by (high, low), each writer once, counters ≥ 1. */
  readonly vv: readonly number[];
  /** `[kind, high, low, counter]` repeated, ascending, no dot that `vv` reaches, none twice. Kind: `DOT` or `ATTEMPT`. */
  readonly extra: readonly number[];
}

export const EMPTY_CONTEXT: CausalContext = { vv: [], extra: [] };

export declare function counterOf(context: CausalContext, high: number, low: number): number;
export declare function coversDot(context: CausalContext, dot: Dot): boolean;
export declare function coversAttempt(context: CausalContext, attempt: EventId): boolean;
export declare function joinContexts(a: CausalContext, b: CausalContext): CausalContext;
