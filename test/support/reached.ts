/** Waits for what no event tells: looks at it every few milliseconds. */
import assert from 'node:assert/strict';

const DEADLINE_MS = 30_000;

/** Resolves once `condition` holds; rejects if it does not come about. @param what - names it in the error */
export async function reached(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    assert(performance.now() < deadline, `this did not come about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
