/**
 * A message that makes the actors throw which take it: they are restarted, their threads too if it comes to that, and
 * each request has one outcome. A caller cannot send one; so this goes behind the handle's back.
 */
import assert from 'node:assert/strict';
import { utf8 } from '../../../src/base/bytes.js';
import { encodeLocatedKey, keyHash, setPartition } from '../../../src/codec/key.js';
import { type Bucket, open } from '../../../src/index.js';
import { partitionOf } from '../../../src/ring/token.js';
import type { PutOutcome } from '../../../src/store/client-outcomes.js';
import type { EmbeddedStore } from '../../../src/store/store.js';
import { test } from '../../support/test.js';

/** Puts with a context that is no context: the vnode that is to mint throws. Gives the outcomes as they come. */
function poison(store: EmbeddedStore, key: string, outcomes: PutOutcome[]): void {
  // biome-ignore lint/complexity/useLiteralKeys: the compiler lets a private field be reached only so.
  const home = store['home'];
  const located = encodeLocatedKey(0, { type: utf8('default'), bucket: utf8('b'), key: utf8(key) });
  setPartition(located, partitionOf(keyHash(located).high, home.partitions));
  const caller = { settle: (outcome: PutOutcome) => void outcomes.push(outcome) };
  const request = {
    ...{ w: 2, pw: 0, dw: 0, timeoutMs: 5_000, key: located, minting: 'siblings' as const },
    ...{
      condition: 'none' as const,
      ifMatch: new Uint8Array(0),
      maxSiblings: 0,
      tombstone: false,
      ttlMs: 0,
      body: utf8('v'),
      causalContext: utf8('no context'),
    },
  };
  const refused = home.run((client) => client.put(request, caller), false);
  assert.equal(typeof refused, 'number');
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    assert(performance.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const works = async (bucket: Bucket<string>, key: string) => {
  const { causalContext } = await bucket.get(key);
  await bucket.put(key, 'v', { w: 'all', causalContext });
  return (await bucket.get(key, { r: 'all' })).found;
};

test('an actor that throws is restarted; one that throws too often takes its thread along, and both come back', async () => {
  const store = (await open({ nodes: 3 })) as EmbeddedStore;
  const warnings: string[] = [];
  const heard = (warning: Error) => void warnings.push(warning.message);
  process.on('warning', heard);
  try {
    const bucket = store.bucket<string>('b', { codec: 'text' });
    await bucket.put('k', 'v', { w: 'all' });
    const outcomes: PutOutcome[] = [];
    poison(store, 'k', outcomes);
    await until('one outcome', () => outcomes.length > 0);
    // Three primaries have met it, and each has thrown: the client cannot know what came of it.
    assert(outcomes[0]!.ok === false && !outcomes[0]!.failure.definite);
    assert.equal(outcomes[0]!.failure.why, 'died');
    assert.deepEqual(
      store.nodes().map(({ state }) => state),
      ['up', 'up', 'up'],
    );
    await until('it works again', () => works(bucket, 'k').catch(() => false));
    assert(
      warnings.some((text) => /^node "." crashed: /.test(text)),
      'somebody must know',
    );

    // One after the other: while its vnodes wait for their restart, a message finds nobody to throw.
    for (let i = 2; !warnings.some((text) => text.includes('died and is restarted')); i++) {
      assert(i < 50, 'the actor may throw for ever');
      poison(store, 'k', outcomes);
      await until('its outcome', () => outcomes.length === i);
      await until('its vnodes are back', () => works(bucket, 'k').catch(() => false));
    }
    await until('all are up', () => store.nodes().every(({ state }) => state === 'up'));
    await until('it works again', () => works(bucket, 'k').catch(() => false));
    const count = outcomes.length;
    assert.equal((await store.stats()).inFlight, 0);
    await works(bucket, 'k');
    assert.equal(outcomes.length, count, 'no request has two outcomes');
  } finally {
    process.off('warning', heard);
    await store.close();
  }
});
