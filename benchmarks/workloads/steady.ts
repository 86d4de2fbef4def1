/**
 * How long after it was opened a store under load is in steady use, in milliseconds: code is compiled, each node has
 * rehearsed a failure, one after the other, and a thread stands by (`actors/node-rehearsals.ts`).
 */
export const STEADY_AFTER_MS = 28_000;
