/** When a node whose commits fail is given writes. */
import assert from 'node:assert/strict';
import { WriteGate } from '../../../src/admission/write-gate.js';
import { test } from '../../support/test.js';

test('a gate shuts with the first failure, and opens when a probe was stored', () => {
  const gate = new WriteGate();
  gate.commitEnded(undefined);
  assert.equal(gate.open, true);
  assert.equal(gate.probeDue(0), false, 'nothing to find out');
  gate.commitEnded('full');
  assert.equal(gate.open, false);
  assert.equal(gate.full, true);
  assert.equal(gate.probeDue(5), true, 'it may have been that once');
  assert.equal(gate.probeDue(5), false, 'one probe at a time');
  assert.equal(gate.probeDue(99_999), false, 'whose commit is still to end');
  gate.commitEnded(undefined);
  assert.equal(gate.open, true);
});

// Goal: however many writes come, a disk that stays full is tried about once a second.
test('probes of a disk that stays bad grow rare, and the first that holds opens the gate within a second', () => {
  const gate = new WriteGate();
  gate.commitEnded('failed');
  let probes = 0;
  let now = 0;
  for (; now < 60_000; now++) {
    if (!gate.probeDue(now)) continue;
    probes++;
    gate.commitEnded('failed');
    assert.equal(gate.open, false);
  }
  assert(probes > 60 && probes < 75, `${probes} probes in a minute`);
  const healed = now;
  while (!gate.probeDue(now)) now++;
  assert(now - healed <= 1_000);
  gate.commitEnded(undefined);
  assert.equal(gate.open, true);
});

// Goal: on a disk with room for the probe and for little else, writes do not fail at the rate at which they come.
test('a probe that holds is not yet a disk that is well: the back-off ends with the second commit that holds', () => {
  const gate = new WriteGate();
  gate.commitEnded('full');
  let failures = 1;
  for (let now = 0; now < 10_000; now++) {
    if (gate.open) {
      failures++;
      gate.commitEnded('full');
    } else if (gate.probeDue(now)) gate.commitEnded(undefined);
  }
  assert(failures < 25, `${failures} failed writes in ten seconds`);
  while (!gate.probeDue(20_000));
  gate.commitEnded(undefined);
  gate.commitEnded(undefined);
  gate.commitEnded('full');
  assert.equal(gate.probeDue(20_011), true, 'as after the first failure');
});
