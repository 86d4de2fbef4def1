/**
 * The load of `npm run bench -- profile`, in a process of its own that is started with `--cpu-prof`: sends what its threads
 * did, as `Profiled`; V8 writes the profiles when it ends.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from '../../src/base/assert.js';
import { open } from '../../src/index.js';
import { closedLoop } from '../workloads/closed-loop.js';
import { KeyValueLoad } from '../workloads/key-value-load.js';
import { STEADY_AFTER_MS } from '../workloads/steady.js';
import { NODES, type Profiled, type ProfileLoad, type Role } from './profile.js';

const KEYS = 10_000;
const VALUE_BYTES = 100;
const IN_FLIGHT = 256;
const WARM_UP = { inFlight: IN_FLIGHT, durationMs: STEADY_AFTER_MS, atLeast: 150_000 };
const MEASURED = { inFlight: IN_FLIGHT, durationMs: 5_000 };

interface ThreadTimes {
  /** On a core, in microseconds. */
  readonly cpu: number;
  /** Times that it waited for something, and that it was made to wait. */
  readonly waits: number;
  readonly preemptions: number;
}

async function run({ operation, sync }: ProfileLoad): Promise<Profiled> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const before = threads();
  const store = await open({ path: directory, nodes: NODES, sync });
  const opened = threads();
  try {
    const load = new KeyValueLoad(store.bucket('bench'), { keys: KEYS, valueBytes: VALUE_BYTES });
    await load.fill();
    await closedLoop(load.operation(operation), WARM_UP);
    const from = times();
    const fromUs = nowUs();
    const figure = await closedLoop(load.operation(operation), MEASURED);
    const toUs = nowUs();
    const to = times();
    const operations = (figure.perSecond * (toUs - fromUs)) / 1e6;
    const roleOf = (thread: string): Role => {
      if (thread === String(process.pid)) return 'application';
      if (before.has(thread)) return 'V8 helpers';
      return opened.has(thread) ? 'nodes' : 'hashing pool';
    };
    const roles: Profiled['roles'] = {};
    for (const [thread, after] of to) {
      const start = from.get(thread) ?? { cpu: 0, waits: 0, preemptions: 0 };
      const role = roleOf(thread);
      roles[role] ??= { micros: 0, waits: 0, preemptions: 0 };
      const sum = roles[role];
      sum.micros += (after.cpu - start.cpu) / operations;
      sum.waits += (after.waits - start.waits) / operations;
      sum.preemptions += (after.preemptions - start.preemptions) / operations;
    }
    return { figure, roles, fromUs, toUs };
  } finally {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** As the profiles have it. */
function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

function threads(): Set<string> {
  return new Set(readdirSync('/proc/self/task'));
}

function times(): Map<string, ThreadTimes> {
  return new Map([...threads()].map((thread) => [thread, timesOf(`/proc/self/task/${thread}`)]));
}

function timesOf(path: string): ThreadTimes {
  const status = readFileSync(`${path}/status`, 'utf8');
  const switches = (kind: string): number =>
    Number(new RegExp(`^${kind}_ctxt_switches:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return {
    cpu: Number(readFileSync(`${path}/schedstat`, 'utf8').split(' ')[0]) / 1_000,
    waits: switches('voluntary'),
    preemptions: switches('nonvoluntary'),
  };
}

assert(process.send !== undefined, 'a profiled load is run by a child process');
process.send(await run(JSON.parse(process.argv[2]!) as ProfileLoad));
