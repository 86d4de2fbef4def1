/**
 * tap's `test` for tests that check with `node:assert`: tap calls a test without checks of its own skipped,
 * so the whole story counts as one check, passed if it ends.
 */
import { test as tapTest } from 'tap';

export function test(name: string, story: () => Promise<void> | void): void {
  void tapTest(name, async (t) => {
    await story();
    t.pass('to its end');
  });
}
