/** For tests in which nothing of what a node keeps for itself rots. */
import assert from 'node:assert/strict';

export function assertReadable(what: string): void {
  assert.fail(`${what} could not be read`);
}
