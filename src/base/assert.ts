/** A broken invariant: a mistake of this package's, never of its user's. Lets the actor crash and restart. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Asserts what must hold if the code is right. Expected failures are values, not assertions. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
