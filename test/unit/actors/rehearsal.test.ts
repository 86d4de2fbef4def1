/** The rehearsal of a node's failure: it comes to all that it is for, on hosts as threads have them, and leaves nothing behind. */
import { test } from 'tap';

import { type Rehearsed, rehearse } from '../../../actors/rehearsal.js';
import { EntropyRandom } from '../../../src/runtime/threads/entropy.js';
import { Miniature } from '../../../src/runtime/threads/miniature.js';
import { openMemoryStorage } from '../../../src/storage/memory-storage.js';

test('a node fails with requests in hand; hints are kept, and delivered once it is back', async (t) => {
  const troubles: unknown[] = [];
  const stage = new Miniature({
    trouble: (what, error) => troubles.push([what, error]),
    crashed: (slot, _incarnation, error) => troubles.push([slot, error]),
  });
  t.teardown(() => stage.close());
  // An idle host lets its process end.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(alive));
  const { operations, failed, hintsKept, hintsDelivered }: Rehearsed = await rehearse({
    stage,
    random: new EntropyRandom(),
    openStorage: openMemoryStorage,
    restMs: 0,
    report: (what, error) => troubles.push([what, error]),
  });
  t.same(troubles, []);
  t.ok(operations >= 960);
  t.ok(failed <= 16, 'no more than were in flight as the node crashed');
  t.ok(hintsKept > 0, 'others stood in for it');
  t.ok(hintsDelivered >= hintsKept, 'until it was back');
});

test('it can be broken off at any time', async (t) => {
  const stage = new Miniature({});
  const over = rehearse({
    stage,
    random: new EntropyRandom(),
    openStorage: openMemoryStorage,
    restMs: 0,
    report: (what, error) => t.fail(what, { error }),
  });
  await new Promise((resolve) => setImmediate(resolve));
  stage.close();
  stage.close();
  const first = await Promise.race([
    over.then(() => 'over'),
    new Promise((resolve) => setImmediate(resolve, 'broken')),
  ]);
  t.equal(first, 'broken');
});
