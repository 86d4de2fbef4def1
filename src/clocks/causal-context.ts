/**
 * A causal context `{ vv, extra }`: which events something has seen. `vv` is a version vector: for each writer the
 * highest counter seen, all below it included. `extra` holds a few exact ids beyond it: dots, and attempts.
 * Both are flat, sorted, immutable arrays: one allocation each, and equal contexts have equal arrays.
 *
 * Contexts form a semilattice under `joinContexts`: vectors by maximum, extras by union, less the dots that the
 * vector reaches. A dot is never folded into the vector because it looks like the next one: what a context covers is
 * changed by minting and joining alone.
 * Sources: Preguiça et al., "Dotted Version Vectors" (2012); Almeida, Shoker, Baquero, delta-CRDTs (2018).
 */
import type { Attempt, Dot, EventId, WriterId } from './event-id.js';

export const DOT = 0;
export const ATTEMPT = 1;

export interface CausalContext {
  /** `[high, low, counter]` repeated, ascending by (high, low), each writer once, counters ≥ 1. */
  readonly vv: readonly number[];
  /** `[kind, high, low, counter]` repeated, ascending, no dot that `vv` reaches, none twice. Kind: `DOT` or `ATTEMPT`. */
  readonly extra: readonly number[];
}

/** Numbers per entry of `vv` and of `extra`. */
export const VV_STRIDE = 3;
export const EXTRA_STRIDE = 4;

export const EMPTY_CONTEXT: CausalContext = { vv: [], extra: [] };

/** The counter up to which the vector has seen the writer; 0 if it does not name it. */
export function counterOf(context: CausalContext, high: number, low: number): number {
  return counterIn(context.vv, high, low);
}

/** The highest counter of the writer that the context names, in the vector or beyond it; 0 if it does not name it. */
export function highestCounterOf(context: CausalContext, writer: WriterId): number {
  let highest = counterIn(context.vv, writer.high, writer.low);
  const { extra } = context;
  for (let i = 0; i < extra.length; i += EXTRA_STRIDE) {
    if (extra[i] !== DOT || extra[i + 1] !== writer.high || extra[i + 2] !== writer.low) continue;
    if (extra[i + 3]! > highest) highest = extra[i + 3]!;
  }
  return highest;
}

/** True if the context has seen this very dot. */
export function coversDot(context: CausalContext, dot: Dot): boolean {
  return (
    counterIn(context.vv, dot.high, dot.low) >= dot.counter ||
    (context.extra.length > 0 && isIn(context.extra, DOT, dot.high, dot.low, dot.counter))
  );
}

/** True if the context voids this attempt, whatever dot it was or will be minted under. */
export function coversAttempt(context: CausalContext, attempt: Attempt): boolean {
  return context.extra.length > 0 && isIn(context.extra, ATTEMPT, attempt.high, attempt.low, attempt.counter);
}

/** True if the context covers a sibling: by its dot, or by the attempt that made it. */
export function covers(context: CausalContext, dot: Dot, attempt: Attempt): boolean {
  return coversDot(context, dot) || coversAttempt(context, attempt);
}

/** True if `a` has all that `b` has, so that joining `b` to it changes nothing. */
export function contextCovers(a: CausalContext, b: CausalContext): boolean {
  if (a === b) return true;
  return vectorCovers(a.vv, b.vv) && (b.extra.length === 0 || extraCovered(a, b.extra));
}

export function equalContexts(a: CausalContext, b: CausalContext): boolean {
  return a === b || (equalNumbers(a.vv, b.vv) && equalNumbers(a.extra, b.extra));
}

/** What either has seen. Returns `a` or `b` itself where one covers the other. */
export function joinContexts(a: CausalContext, b: CausalContext): CausalContext {
  if (contextCovers(a, b)) return a;
  if (contextCovers(b, a)) return b;
  const vv = joinVectors(a.vv, b.vv);
  return { vv, extra: joinExtras(a.extra, b.extra, vv) };
}

/** The context and exactly this dot, not those before it. */
export function withDot(context: CausalContext, dot: Dot): CausalContext {
  if (counterIn(context.vv, dot.high, dot.low) >= dot.counter) return context;
  const one = [DOT, dot.high, dot.low, dot.counter];
  if (context.extra.length === 0) return { vv: context.vv, extra: one };
  return joinContexts(context, { vv: [], extra: one });
}

/** The context and these attempts, in any order. */
export function withAttempts(context: CausalContext, attempts: readonly Attempt[]): CausalContext {
  let joined = context;
  for (const attempt of attempts) {
    joined = joinContexts(joined, { vv: [], extra: [ATTEMPT, attempt.high, attempt.low, attempt.counter] });
  }
  return joined;
}

/**
 * The context and *all* dots of the writer up to this one. Right only for the writer itself, as it mints `dot` on an
 * object that holds or covers all its own earlier dots.
 */
export function withDotAndAllBefore(context: CausalContext, dot: Dot): CausalContext {
  const { vv } = context;
  let at = 0;
  while (at < vv.length && compareWriters(vv, at, dot.high, dot.low) < 0) at += VV_STRIDE;
  const named = at < vv.length && vv[at] === dot.high && vv[at + 1] === dot.low;
  if (named && vv[at + 2]! >= dot.counter) return context;
  const raised = vv.slice();
  if (named) raised[at + 2] = dot.counter;
  else raised.splice(at, 0, dot.high, dot.low, dot.counter);
  return { vv: raised, extra: context.extra.length === 0 ? context.extra : beyond(context.extra, raised) };
}

/** The attempts that the context voids, ascending. */
export function attemptsOf(context: CausalContext): EventId[] {
  return eventsOf(context, ATTEMPT);
}

/** The dots that the context has beyond its vector, ascending. */
export function dotsBeyondOf(context: CausalContext): EventId[] {
  return eventsOf(context, DOT);
}

function eventsOf(context: CausalContext, kind: number): EventId[] {
  const events: EventId[] = [];
  const { extra } = context;
  for (let i = 0; i < extra.length; i += EXTRA_STRIDE) {
    if (extra[i] === kind) events.push({ high: extra[i + 1]!, low: extra[i + 2]!, counter: extra[i + 3]! });
  }
  return events;
}

// Vectors and extras are a handful of entries long: walking them beats any search.

function counterIn(vv: readonly number[], high: number, low: number): number {
  for (let i = 0; i < vv.length; i += VV_STRIDE) {
    if (vv[i] === high && vv[i + 1] === low) return vv[i + 2]!;
  }
  return 0;
}

function isIn(extra: readonly number[], kind: number, high: number, low: number, counter: number): boolean {
  for (let i = 0; i < extra.length; i += EXTRA_STRIDE) {
    if (extra[i + 3] === counter && extra[i + 2] === low && extra[i + 1] === high && extra[i] === kind) return true;
  }
  return false;
}

function compareWriters(vv: readonly number[], at: number, high: number, low: number): number {
  return vv[at]! - high || vv[at + 1]! - low;
}

function vectorCovers(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  if (b.length > a.length) return false;
  let i = 0;
  for (let j = 0; j < b.length; j += VV_STRIDE) {
    const high = b[j]!;
    const low = b[j + 1]!;
    while (i < a.length && compareWriters(a, i, high, low) < 0) i += VV_STRIDE;
    if (i >= a.length || a[i] !== high || a[i + 1] !== low || a[i + 2]! < b[j + 2]!) return false;
    i += VV_STRIDE;
  }
  return true;
}

function extraCovered(context: CausalContext, extra: readonly number[]): boolean {
  if (context.extra === extra) return true;
  for (let i = 0; i < extra.length; i += EXTRA_STRIDE) {
    const high = extra[i + 1]!;
    const low = extra[i + 2]!;
    const counter = extra[i + 3]!;
    if (extra[i] === DOT && counterIn(context.vv, high, low) >= counter) continue;
    if (!isIn(context.extra, extra[i]!, high, low, counter)) return false;
  }
  return true;
}

function joinVectors(a: readonly number[], b: readonly number[]): readonly number[] {
  if (vectorCovers(a, b)) return a;
  if (vectorCovers(b, a)) return b;
  const joined: number[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const order = i >= a.length ? 1 : j >= b.length ? -1 : compareWriters(a, i, b[j]!, b[j + 1]!);
    if (order < 0) joined.push(a[i]!, a[i + 1]!, a[i + 2]!);
    else if (order > 0) joined.push(b[j]!, b[j + 1]!, b[j + 2]!);
    else joined.push(a[i]!, a[i + 1]!, Math.max(a[i + 2]!, b[j + 2]!));
    if (order <= 0) i += VV_STRIDE;
    if (order >= 0) j += VV_STRIDE;
  }
  return joined;
}

function joinExtras(a: readonly number[], b: readonly number[], vv: readonly number[]): readonly number[] {
  if (a.length === 0) return beyond(b, vv);
  if (b.length === 0) return beyond(a, vv);
  const joined: number[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const order = i >= a.length ? 1 : j >= b.length ? -1 : compareExtras(a, i, b, j);
    if (order <= 0) pushBeyond(joined, a, i, vv);
    else pushBeyond(joined, b, j, vv);
    if (order <= 0) i += EXTRA_STRIDE;
    if (order >= 0) j += EXTRA_STRIDE;
  }
  return joined;
}

function compareExtras(a: readonly number[], i: number, b: readonly number[], j: number): number {
  return a[i]! - b[j]! || a[i + 1]! - b[j + 1]! || a[i + 2]! - b[j + 2]! || a[i + 3]! - b[j + 3]!;
}

/** The entries of `extra` that the vector does not reach; `extra` itself if that is all of them. */
function beyond(extra: readonly number[], vv: readonly number[]): readonly number[] {
  if (extra.length === 0) return extra;
  const kept: number[] = [];
  for (let i = 0; i < extra.length; i += EXTRA_STRIDE) pushBeyond(kept, extra, i, vv);
  return kept.length === extra.length ? extra : kept;
}

function pushBeyond(to: number[], extra: readonly number[], at: number, vv: readonly number[]): void {
  const counter = extra[at + 3]!;
  if (extra[at] === DOT && counterIn(vv, extra[at + 1]!, extra[at + 2]!) >= counter) return;
  to.push(extra[at]!, extra[at + 1]!, extra[at + 2]!, counter);
}

function equalNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
