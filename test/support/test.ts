/**
 * tap's `test` for tests that check with `node:assert`: tap calls a test without checks of its own skipped,
 * so the whole story counts as one check, passed if it ends, or skipped if it says that it cannot be told here.
 */
import { test as tapTest } from 'tap';

/** What a story ends with whose needs are not met here. */
export class Skipped {
  /** What is missing. */
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

type Story = (() => Promise<void> | void) | (() => Promise<Skipped | undefined>);

export function test(name: string, story: Story): void {
  void tapTest(name, async (t) => {
    const end: unknown = await story();
    t.pass('to its end', end instanceof Skipped ? { skip: end.reason } : {});
  });
}
