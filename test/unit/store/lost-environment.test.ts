/**
 * Goal: a node whose LMDB environment is lost to a failed write of its meta page does not stay a node that stores nothing:
 * it begins anew, with all that it had acknowledged, while the others go on.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from '../../../src/index.js';
import { openLmdbStorage } from '../../../src/storage/lmdb-storage.js';
import { CAN_LOSE, loseEnvironment } from '../../support/lost-environment.js';
import { reached } from '../../support/reached.js';
import { fails } from '../../support/rejection.js';
import { Skipped, test } from '../../support/test.js';

const bytes = (text: string) => new TextEncoder().encode(text);

type Story = (directory: string, warnings: string[]) => Promise<void>;

async function inDirectory(story: Story): Promise<Skipped | undefined> {
  if (!CAN_LOSE) return new Skipped('open files cannot be told on this system');
  const directory = mkdtempSync(join(tmpdir(), 'quoral-lost-'));
  const warnings: string[] = [];
  const hear = (warning: Error) => warnings.push(warning.message);
  process.on('warning', hear);
  try {
    await story(directory, warnings);
  } finally {
    process.off('warning', hear);
    rmSync(directory, { recursive: true, force: true });
  }
  return undefined;
}

test('a storage says that its environment is lost, once and of every commit, and is whole when it is opened anew', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'x.mdb');
    const lost: Error[] = [];
    const storage = openLmdbStorage({ path, sync: 'full', onLost: (error) => lost.push(error) });
    storage.put(bytes('a'), bytes('1'));
    storage.commit();
    assert.deepEqual(Buffer.from(storage.get(bytes('a'))!), Buffer.from('1'));
    loseEnvironment(path);
    const commit = () => {
      storage.put(bytes('a'), bytes('2'));
      storage.commit();
    };
    for (let times = 0; times < 3; times++) {
      const message = /a write of its meta page failed, and it must be opened anew/;
      await fails(commit, { code: 'STORAGE_FAILED', definite: false, message });
    }
    assert.equal(lost.length, 1);
    await fails(() => storage.get(bytes('b')), 'STORAGE_FAILED');
    storage.close();
    const again = openLmdbStorage({ path, sync: 'full' });
    assert.deepEqual(Buffer.from(again.get(bytes('a'))!), Buffer.from('1'));
    again.put(bytes('a'), bytes('3'));
    again.commit();
    again.close();
  }));

test('a node that loses it begins anew, also if its disk is away for a while', () =>
  inDirectory(async (directory, warnings) => {
    const store = await open({ path: directory, nodes: 3, n: 3, sync: 'full', timeoutMs: 5_000 });
    try {
      const bucket = store.bucket<string>('b', { codec: 'text' });
      const keys = Array.from({ length: 30 }, (_, i) => `key ${i}`);
      for (const key of keys) await bucket.put(key, 'before', { w: 'all', pw: 'all' });
      const [own, away] = [join(directory, 'b'), join(directory, 'b.away')];
      loseEnvironment(join(own, 'objects.mdb'));
      renameSync(own, away);
      writeFileSync(own, 'no directory');
      // The others take every put meanwhile.
      for (const key of keys) {
        const { causalContext } = await bucket.get(key);
        await bucket.put(key, 'after', { causalContext });
      }
      const told = (what: RegExp) => warnings.some((text) => what.test(text));
      await reached('the node is told to have lost it', () => told(/^node "b" died and is restarted: .* anew/));
      await reached('its restart is told to have failed', () => told(/^node "b" died and is restarted: .*opened/));
      assert.notEqual(store.nodes()[1]!.state, 'up');
      rmSync(own);
      renameSync(away, own);
      await reached('the node is up', () => store.nodes()[1]!.state === 'up');
      await store.admin.waitForHints({ timeoutMs: 20_000 });
      for (const key of keys) assert.equal((await bucket.get(key, { r: 'all', pr: 'all' })).value, 'after');
      const { acks } = await bucket.put('at last', 'everywhere', { w: 'all', pw: 'all' });
      assert.equal(acks.length, 3);
      assert(!told(/given up|again and again/), warnings.join('\n'));
    } finally {
      await store.close();
    }
  }));
