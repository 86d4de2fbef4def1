/** The rehearsal of a node's failure: it comes to all that it is for, on hosts as threads have them, and leaves nothing behind. */
import { tmpdir } from 'node:os';
import { test } from 'tap';

import { type RehearsalStage, type Rehearsed, rehearse } from '../../../actors/rehearsal.js';
import { EntropyRandom } from '../../../src/runtime/threads/entropy.js';
import { Miniature } from '../../../src/runtime/threads/miniature.js';
import { openMemoryStorage } from '../../../src/storage/memory-storage.js';
import { openStageStorage } from '../../../src/storage/stage-storage.js';
import type { Storage } from '../../../src/storage/storage.js';

for (const share of [1 / 4, 1]) {
  test(`a node fails with requests in hand; hints are kept, and delivered once it is back (share ${share})`, async (t) => {
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
      openStorage: () => openStageStorage(tmpdir()),
      share,
      restMs: 0,
      report: (what, error) => troubles.push([what, error]),
    });
    t.same(troubles, []);
    t.ok(operations >= share * 4_000);
    t.ok(failed <= 16, 'no more than were in flight as the node crashed');
    t.ok(hintsKept > 0, 'others stood in for it');
    t.ok(hintsDelivered >= hintsKept, 'until it was back');
  });
}

test('it can be broken off at any time, and is quiet from then on', async (t) => {
  for (const [wantedPhase, requests] of [
    ['all are up', 0],
    ['all are up', 40],
    ['one is missing', 0],
    ['one is missing', 500],
    ['it is back', 0],
    ['it is back', 200],
  ] as const) {
    let phase = 'all are up';
    let seen = 0;
    let late = 0;
    let isOver = false;
    const hosts = new Miniature({});
    const enter = (next: string): void => {
      phase = next;
      seen = 0;
    };
    const stage: RehearsalStage = {
      start(thread, setup) {
        if (phase === 'one is missing') enter('it is back');
        hosts.start(thread, setup);
      },
      crash(thread) {
        enter('one is missing');
        hosts.crash(thread);
      },
      outside: (thread, work) => hosts.outside(thread, work),
    };
    let isBroken = false;
    const openStorage = (): Storage => {
      const storage = openMemoryStorage();
      const { put } = storage;
      storage.put = (key, value) => {
        seen++;
        if (isBroken) late++;
        put.call(storage, key, value);
      };
      return storage;
    };
    const report = (what: string, error: Error): void => void t.fail(what, { error });
    void rehearse({ stage, random: new EntropyRandom(), openStorage, share: 1, restMs: 0, report }).then(() => {
      isOver = true;
    });
    while ((phase !== wantedPhase || seen < requests) && !isOver) await new Promise((resolve) => setImmediate(resolve));
    t.notOk(isOver, `${wantedPhase}: it was under way`);
    hosts.close();
    isBroken = true;
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    t.notOk(isOver);
    t.equal(late, 0, 'nobody writes any more');
    hosts.close();
  }
});
