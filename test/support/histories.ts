/** Random histories for `VersionWorld`, as fast-check arbitraries. */
import fc from 'fast-check';
import { STEP_KINDS, type Step } from './version-world.js';

const FREQUENCY: Record<(typeof STEP_KINDS)[number], number> = {
  put: 8,
  retry: 3,
  'late attempt': 3,
  get: 4,
  deliver: 6,
  exchange: 2,
  commit: 5,
  crash: 1,
  'hand over': 1,
  damage: 1,
};

export const choice = fc.nat({ max: 0xffff });

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(...STEP_KINDS.map((kind) => ({ weight: FREQUENCY[kind], arbitrary: fc.constant(kind) }))),
  a: choice,
  b: choice,
  c: choice,
  d: choice,
});

export const historyOfSteps = fc.array(step, { maxLength: 60, size: 'max' });
