/**
 * Property tests with a budget of time instead of a number of runs. A failure prints its seed; give it to fast-check
 * to see it again.
 * QUORAL_PROPERTY_MS: how long each property is tried, in milliseconds (default 1,500).
 */
import fc from 'fast-check';
import { test } from 'tap';

const BUDGET = { interruptAfterTimeLimit: Number(process.env.QUORAL_PROPERTY_MS ?? 1_500), numRuns: 1_000_000 };

/** A test of `property`, tried until the budget is spent. Fails also if not even one run was made. */
export function testProperty<Ts>(name: string, property: fc.IProperty<Ts>): void {
  test(name, (t) => {
    const result = fc.check(property, BUDGET);
    if (result.failed) t.fail(fc.defaultReportMessage(result) ?? 'the property does not hold');
    else t.ok(result.numRuns > 0, `${result.numRuns} runs`);
    t.end();
  });
}
