/**
 * Nodes of a store under load die: by request, by an error that nobody catches, by an exhausted heap. The process stays
 * alive, the other nodes go on, each request has one outcome, and nothing acknowledged is lost.
 */
import assert from 'node:assert/strict';
import { below, shuffled } from '../../src/base/random.js';
import type { NodeState, OpenOptions, Store } from '../../src/index.js';
import { openWith } from '../../src/store/open.js';
import type { CrashLedger } from '../support/crash-ledger.js';
import { runLoad } from '../support/crash-load.js';
import { FAULTY_WORKER, type Fault, Faults } from '../support/faults.js';
import { reached } from '../support/reached.js';
import { CrashCase } from './crash-case.js';
import type { Progress } from './story.js';

export interface DeathOptions {
  /** How many nodes die, one after the other. */
  readonly deaths: number;
  readonly by: 'crash' | 'throw' | 'exhaust';
  readonly sync: 'full' | 'none';
  readonly seed: number;
}

/** Small, so that it is soon exhausted. */
const HEAP_MB = 48;
/** Writes that the others acknowledge while one is down. */
const MEANWHILE = 100;

export function killNodes({ deaths, by, sync, seed }: DeathOptions, progress: Progress): Promise<string> {
  return CrashCase.run('death', seed, async (test) => {
    const { ledger, random, path } = test;
    const warnings = await withFaults({ path, sync }, { heapMb: HEAP_MB }, async ({ store, faults, warnings }) => {
      let stopped = false;
      const load = runLoad(store, { seed: random.uint32(), run: 'd', stopped: () => stopped, log: ledger.apply });
      // Should it fail, it is awaited below; until then it is nobody's unhandled rejection.
      load.catch(() => {});
      try {
        await acknowledged(ledger, MEANWHILE);
        let round: number[] = [];
        for (let death = 1; death <= deaths; death++) {
          // In rounds over all nodes: one that died too often within its supervisor's window would rightly be given up.
          if (round.length === 0) round = shuffled(random, [...store.nodes().keys()]);
          const node = round.pop()!;
          if (by === 'crash') await crashAndStart(store, node, ledger);
          else await strikeAndWait(store, node, by, faults, ledger);
          progress(`death ${death} of ${deaths}: ${ledger.acked} acknowledged, ${ledger.open} open`);
        }
        await acknowledged(ledger, MEANWHILE);
      } finally {
        stopped = true;
        await load;
      }
      await test.converge(store);
      return warnings;
    });
    await test.checkConverged({ sync });
    const told = warnings.filter((text) => /^node "." died and is restarted/.test(text));
    if (by === 'crash') assert.deepEqual(warnings, [], 'a crash by request is no surprise');
    else assert(told.length > 0, 'nobody was told of the deaths');
    return `${deaths} deaths, ${ledger.acked} acknowledged and ${ledger.open} open writes`;
  });
}

/** A store whose nodes can be struck, and its warnings, as they come. */
interface Scene {
  readonly store: Store;
  readonly faults: Faults;
  readonly warnings: readonly string[];
}

/** Opens a store for `story`, and closes it. @returns what the story returns */
async function withFaults<T>(
  options: OpenOptions,
  { heapMb }: { readonly heapMb?: number },
  story: (scene: Scene) => Promise<T>,
): Promise<T> {
  const faults = new Faults();
  const warnings: string[] = [];
  const heard = (warning: Error) => {
    if (warning.name === 'QuoralWarning') warnings.push(warning.message);
  };
  process.on('warning', heard);
  try {
    const store = await openWith(options, { entry: FAULTY_WORKER, ...(heapMb !== undefined && { heapMb }) });
    try {
      return await story({ store, faults, warnings });
    } finally {
      await store.close();
    }
  } finally {
    faults.close();
    process.off('warning', heard);
  }
}

/** A node that was crashed by request stays down until it is started; the others go on. */
async function crashAndStart(store: Store, node: number, ledger: CrashLedger): Promise<void> {
  const { name } = store.nodes()[node]!;
  await store.admin.crash(name);
  assert.equal(stateOf(store, node), 'down');
  await acknowledged(ledger, MEANWHILE);
  assert.equal(stateOf(store, node), 'down', 'a crashed node came back by itself');
  await store.admin.start(name);
  assert.equal(stateOf(store, node), 'up');
}

/** A node that dies unasked goes down, and comes back by itself. */
async function strikeAndWait(
  store: Store,
  node: number,
  fault: Fault,
  faults: Faults,
  ledger: CrashLedger,
): Promise<void> {
  await faults.strike(node, fault);
  await reached(`node ${node} is down`, () => stateOf(store, node) === 'down');
  await reached(`node ${node} is up again`, () => stateOf(store, node) === 'up');
  await acknowledged(ledger, MEANWHILE);
}

/**
 * A node that dies as often as it comes back is left down, loudly, and its ranges are served by the others; started by
 * hand it is as good as any, and has what it missed.
 */
export function giveUpOnNode({ seed }: { seed: number }, progress: Progress): Promise<string> {
  return CrashCase.run('give-up', seed, ({ random }) =>
    withFaults({ nodes: 4 }, {}, async ({ store, faults, warnings }) => {
      const node = below(random, 4);
      const { name } = store.nodes()[node]!;
      let deaths = 0;
      while (!givenUp(warnings, name)) {
        assert(deaths < 20, 'nobody gives up');
        await faults.strike(node, 'throw');
        deaths++;
        const before = warnings.length;
        await reached('a warning', () => warnings.length > before || stateOf(store, node) === 'down');
        await reached('up again, or given up', () => stateOf(store, node) === 'up' || givenUp(warnings, name));
        progress(`${deaths} deaths`);
      }
      const bucket = store.bucket<string>('given-up', { codec: 'text' });
      const keys = Array.from({ length: 100 }, (_, i) => `key ${i}`);
      await Promise.all(keys.map((key) => bucket.put(key, key)));
      assert.equal(stateOf(store, node), 'down');
      const missed = hintsIn(store);
      assert(missed > 0, 'nobody has kept a hint for it');
      await store.admin.start(name);
      assert.equal(stateOf(store, node), 'up');
      // It has lost its memory; what was put while it was down comes back by hints, without a read.
      await store.admin.waitForHints({ timeoutMs: 30_000 });
      const { hintsTaken } = (await store.stats()).nodes[name]!;
      assert(hintsTaken! >= missed, `${hintsTaken} of ${missed} hints were taken`);
      const reads = await Promise.all(keys.map((key) => bucket.get(key, { r: 'all' })));
      assert.deepEqual(
        reads.map(({ value }) => value),
        keys,
      );
      return `given up after ${deaths} deaths, started by hand, caught up by ${missed} hints`;
    }),
  );
}

/** How many hints are kept. */
function hintsIn(store: Store): number {
  return store.nodes().reduce((sum, { hints }) => sum + hints, 0);
}

function givenUp(texts: readonly string[], name: string): boolean {
  return texts.some((text) => text.startsWith(`node "${name}" died again and again`));
}

function stateOf(store: Store, node: number): NodeState {
  return store.nodes()[node]!.state;
}

/** Resolves once `count` more writes are acknowledged. */
async function acknowledged(ledger: CrashLedger, count: number): Promise<void> {
  const until = ledger.acked + count;
  await reached(`${count} more acknowledged writes`, () => ledger.acked >= until);
}
