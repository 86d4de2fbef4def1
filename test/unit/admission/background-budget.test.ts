/** How many slices background work is given, as clients feel it or do not. */
import assert from 'node:assert/strict';
import { BackgroundBudget, type UrgentWork } from '../../../src/admission/background-budget.js';
import { test } from '../../support/test.js';

/** Runs intervals in which requests take `latencyMs`, and background work takes whatever it gets. Gives the last count. */
class Node {
  readonly budget = new BackgroundBudget();
  private now = 0;

  /** An interval as below, in which `others` takes a slice first, and each kind of urgent work whatever it gets. */
  urgently(latencyMs: number, others = 0, works: readonly UrgentWork[] = ['refill'], perSecond?: number): number {
    let taken = 0;
    this.now += 100;
    for (let i = 0; i < others; i++) assert(this.budget.take(this.now));
    for (const work of works) while (this.budget.takeUrgent(this.now, work, perSecond)) taken++;
    for (let i = 0; i < 1_000; i++) this.budget.requestTook(i % 50 === 0 ? latencyMs : 0.1);
    return taken;
  }

  interval(latencyMs: number, requests = 1_000, wanted = Number.POSITIVE_INFINITY): number {
    let taken = 0;
    this.now += 100;
    while (taken < wanted && this.budget.take(this.now)) taken++;
    assert(taken === wanted || this.budget.nextMs === this.now + 100);
    // One in 50 is the slow one, so that it is the 99th percentile that tells.
    for (let i = 0; i < requests; i++) this.budget.requestTook(i % 50 === 0 ? latencyMs : 0.1);
    return taken;
  }

  intervals(count: number, latencyMs: number, requests?: number, wanted?: number): number {
    let taken = 0;
    for (let i = 0; i < count; i++) taken = this.interval(latencyMs, requests, wanted);
    return taken;
  }
}

test('while clients feel nothing, background work is given more and more, up to a bound', () => {
  const node = new Node();
  node.intervals(20, 200);
  const least = node.interval(2);
  assert(node.intervals(3, 2) > least);
  assert.equal(node.intervals(50, 2), 16);
});

test('clients that become slow halve it at once, but never end it', () => {
  const node = new Node();
  node.intervals(50, 2);
  node.interval(200);
  assert.equal(node.interval(200), 8);
  assert.equal(node.intervals(20, 200), 1);
  assert.equal(node.intervals(10, 200), 1, 'a slice is its own, whatever clients feel');
  assert(node.intervals(3, 2) > 1, 'it recovers');
  assert(node.intervals(200, 200) > 1, 'clients that are as slow without it are not slow because of it');
});

test('urgent work has slices of its own beside the one that there always is, and shares the others', () => {
  const node = new Node();
  node.intervals(50, 2);
  node.intervals(20, 200);
  assert.equal(node.urgently(200), 4);
  assert.equal(node.interval(200), 1);
  assert.equal(node.urgently(200, 1), 3, "other work has the one slice that is everybody's");
  assert.equal(node.urgently(200, 1, ['hints']), 10);
  assert.equal(node.urgently(200, 1, ['hints', 'refill']), 13, 'neither takes those of the other');
  node.intervals(50, 2);
  assert.equal(node.urgently(2), 19);
});

test('urgent work that tells how much it needs to be done in time gets that, and no more while clients are served', () => {
  const node = new Node();
  assert.equal(node.urgently(2, 0, ['hints'], 150), 10 + 32, 'nobody is served yet: all that there is');
  node.intervals(50, 2);
  assert.equal(node.urgently(2, 0, ['hints'], 1), 10, 'a little is done soon');
  assert.equal(node.urgently(2, 0, ['hints'], 150), 15);
  assert.equal(node.urgently(2, 0, ['hints'], 320), 32);
  assert.equal(node.urgently(2, 0, ['hints'], 1_000), 32 + 16, 'whose own do not suffice takes what nobody else takes');
  node.intervals(20, 200);
  assert.equal(node.urgently(200, 1, ['hints'], 150), 15, 'whatever clients feel');
  assert.equal(node.budget.paceMs('hints', 150), 100 / 15, 'not all at once');
  assert.equal(node.budget.paceMs('hints', 1), 10);
  node.interval(2, 0);
  node.interval(2, 0);
  assert.equal(node.budget.paceMs('hints', 150), 0, 'but for when nobody is served');
});

test('what is slow is learnt from times without background work', () => {
  const slowDisk = new Node();
  slowDisk.intervals(40, 40, 1_000, 0);
  slowDisk.intervals(20, 50);
  assert.equal(slowDisk.interval(50), 16, 'on this disk, 50 ms are no more than usual');
  const fastDisk = new Node();
  fastDisk.intervals(40, 4, 1_000, 0);
  assert.equal(fastDisk.intervals(20, 50), 1, 'on this one they are slow');
  const refilling = new Node();
  refilling.intervals(40, 4, 1_000, 0);
  refilling.urgently(50, 0, ['refill']);
  const { usualMs } = refilling.budget;
  for (let i = 0; i < 300; i++) refilling.urgently(50, 0, ['refill']);
  assert.equal(refilling.budget.usualMs, usualMs, 'what urgent work makes of it is not how it is without');
});

test('hashing has a core for itself until somebody asks for something', () => {
  const node = new Node();
  assert.equal(node.budget.hashingShare, 1);
  node.interval(2, 1);
  node.interval(2, 0);
  assert(node.budget.hashingShare < 0.1, 'even if that is one client');
  node.interval(2, 0);
  assert.equal(node.budget.hashingShare, 1);
});

test('slices are spread over the interval while anybody is served', () => {
  const node = new Node();
  assert.equal(node.budget.distanceMs(false), 0);
  node.intervals(50, 2);
  assert.equal(node.budget.distanceMs(false), 100 / 16);
  assert.equal(node.budget.distanceMs(true), 100 / 19, 'those of its own are among them');
  node.intervals(20, 200);
  assert.equal(node.budget.distanceMs(false), 100);
});

test('with hardly a request there is room for all of it, until there are more', () => {
  const node = new Node();
  node.intervals(20, 200);
  assert.equal(node.intervals(8, 5_000, 10), 64);
  for (const latencyMs of [2, 200]) {
    assert.equal(node.intervals(8, 5_000, 10), 64);
    assert.equal(node.interval(latencyMs), 64, 'nobody knows of them yet');
    assert.equal(node.interval(latencyMs), 16, 'whether they are slow or not');
  }
});
