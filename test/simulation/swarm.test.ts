/** What the swarm draws, and what a seed of it is. */
import assert from 'node:assert/strict';
import { SeededRandom } from '../../src/base/random.js';
import { drawShape, EXCHANGE_INTERVALS_MS } from '../../src/simulation/swarm-shape.js';
import { test } from '../support/test.js';

// Goal: no property of a cluster hides what needs another one. Two that are drawn from one number never meet.
test('among a few hundred seeds every interval meets reaping and none, and there are as few and as many zones as can be', () => {
  const shapes = Array.from({ length: 300 }, (_, seed) => drawShape(new SeededRandom(seed)));
  for (const exchangeIntervalMs of EXCHANGE_INTERVALS_MS) {
    for (const reaps of [true, false]) {
      for (const sync of ['full', 'none']) {
        const met = shapes.filter((one) => {
          return one.exchangeIntervalMs === exchangeIntervalMs && one.reaps === reaps && one.sync === sync;
        });
        assert(met.length > 5, `${met.length} seeds with ${exchangeIntervalMs} ms, reaping ${reaps}, sync ${sync}`);
      }
    }
  }
  for (const nodes of [3, 4, 5, 7]) {
    const counts = new Set(shapes.filter((one) => one.nodes === nodes).map(({ zones }) => new Set(zones).size));
    assert.deepEqual(
      [...counts].sort(),
      Array.from({ length: nodes }, (_, i) => i + 1),
    );
  }
});
