/** Where the time of a thread went, as its profile has it. */
import assert from 'node:assert/strict';
import { addSteps, type CpuProfile, stepsOf } from '../../../benchmarks/profile/steps.js';
import { test } from '../../support/test.js';

function node(id: number, functionName: string, url: string): CpuProfile['nodes'][number] {
  return { id, callFrame: { functionName, url } };
}

const PROFILE: CpuProfile = {
  nodes: [
    node(1, '(idle)', ''),
    node(2, '(program)', ''),
    node(3, 'mint', 'file:///x/dist/actors/vnode.js'),
    node(4, 'transactionSync', 'file:///x/node_modules/lmdb/write.js'),
    node(5, 'getBinaryFast', 'file:///x/node_modules/lmdb/read.js'),
    node(6, 'answered', 'file:///x/dist/actors/coordinator/put-operation.js'),
    node(7, 'set', ''),
    node(8, 'theirs', 'file:///elsewhere.js'),
  ],
  startTime: 1_000,
  samples: [3, 1, 4, 2, 5, 6, 7, 8, 3],
  timeDeltas: [10, 100, 200, 300, 400, 500, 600, 700, 800],
};

test('each sample counts until the next, for the step of its file, and idleness for none', () => {
  assert.deepEqual(Object.fromEntries(stepsOf(PROFILE, 0, 1e9)), {
    vnode: 100,
    'LMDB: write, commit': 300,
    'native: system calls, waking, V8': 400,
    'LMDB: read': 500,
    coordinator: 600,
    'built-in functions': 700,
    other: 800,
  });
});

test('only what was sampled within the time counts, and threads are summed', () => {
  // At 1,310 and 1,610.
  const some = stepsOf(PROFILE, 1_310, 2_010);
  assert.deepEqual(Object.fromEntries(some), {
    'LMDB: write, commit': 300,
    'native: system calls, waking, V8': 400,
  });
  addSteps(
    some,
    new Map([
      ['vnode', 5],
      ['LMDB: write, commit', 1],
    ]),
  );
  assert.deepEqual(Object.fromEntries(some), {
    'LMDB: write, commit': 301,
    'native: system calls, waking, V8': 400,
    vnode: 5,
  });
});
