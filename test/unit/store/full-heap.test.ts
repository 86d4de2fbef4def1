/** A node whose JavaScript heap fills up. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openWith } from '../../../src/store/open.js';
import { FAULTY_WORKER, Faults } from '../../support/faults.js';
import { test } from '../../support/test.js';

// Goal: a heap that fills up ends its node while that can still be done in order: nothing is lost, not even its identity.
test('a node whose heap is nearly full stops in order and begins anew', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-heap-'));
  const path = join(directory, 'data');
  const faults = new Faults();
  const told: string[] = [];
  const heard = (warning: Error) => void told.push(warning.message);
  process.on('warning', heard);
  const store = await openWith({ path, nodes: 3, partitions: 8, sync: 'none' }, { entry: FAULTY_WORKER, heapMb: 64 });
  try {
    const bucket = store.bucket<string>('b', { codec: 'text' });
    const state = () => store.nodes()[1]!.state;
    await bucket.put('k', 'v', { w: 'all' });
    await faults.strike(1, 'fill');
    while (state() !== 'down') await bucket.get('k');
    while (state() !== 'up') await bucket.get('k');
    assert.match(told[0]!, /^node "b" stops in order and begins anew: its heap is \d+ % full of what is in use/);
    assert.doesNotMatch(told.join(), /out of memory/);
    await bucket.put('k', 'w', { w: 'all' });
    assert.equal((await store.stats()).nodes.b!.newIdentities, 0, 'its markers were there: a clean stop');
  } finally {
    process.off('warning', heard);
    await store.close();
    faults.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
