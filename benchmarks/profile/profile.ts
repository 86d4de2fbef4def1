/**
 * `npm run bench -- profile [put|get]`: where the time of an operation goes, by thread and by step, 5 nodes, N = 3, R = W = 2,
 * 10,000 keys of 100 B, 256 in flight, warm. CPU time of each thread is the system's; within the nodes' threads and the
 * application's it is divided as V8's samples of a millisecond are. Linux only. Half a minute.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../src/cli/terminal.js';
import { measuredApart } from '../apart.js';
import { count, machine, markdown, percent } from '../report.js';
import type { LoopFigure } from '../workloads/closed-loop.js';
import { addSteps, type CpuProfile, type Steps, stepsOf } from './steps.js';

export const NODES = 5;
/** A step with less of all samples of its threads is not told by itself. */
const LEAST_SHARE = 0.01;

export interface ProfileLoad {
  readonly operation: 'put' | 'get';
  readonly sync: 'none' | 'full';
}

export type Role = 'application' | 'nodes' | 'hashing pool' | 'V8 helpers';

export interface Profiled {
  readonly figure: LoopFigure;
  /** For an operation: microseconds on a core, and how often a thread waited, or was made to. */
  readonly roles: { [role in Role]?: { micros: number; waits: number; preemptions: number } };
  /** Between these it was measured, in microseconds of the monotonic clock. */
  readonly fromUs: number;
  readonly toUs: number;
}

export async function profile(load: ProfileLoad): Promise<void> {
  if (process.platform !== 'linux') throw new UsageError('profile: only Linux tells the CPU time of each thread');
  const directory = mkdtempSync(join(tmpdir(), 'quoral-profile-'));
  try {
    console.error('warming up, then measuring: about 20 s');
    const profiled = await runProfiled(load, directory);
    report(load, profiled, stepsByRole(directory, profiled));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function runProfiled(load: ProfileLoad, directory: string): Promise<Profiled> {
  const execArgv = ['--cpu-prof', `--cpu-prof-dir=${directory}`];
  return measuredApart(new URL('./profiled.js', import.meta.url), load, 'the profiled process', execArgv);
}

/** A profile for each thread that runs JavaScript: what it runs tells which it is. */
function stepsByRole(directory: string, { fromUs, toUs }: Profiled): Map<Role, Steps> {
  const roles = new Map<Role, Steps>();
  for (const file of readdirSync(directory)) {
    const read = JSON.parse(readFileSync(join(directory, file), 'utf8')) as CpuProfile;
    const role = roleOf(read);
    const sum = roles.get(role) ?? new Map<string, number>();
    addSteps(sum, stepsOf(read, fromUs, toUs));
    roles.set(role, sum);
  }
  return roles;
}

function roleOf({ nodes }: CpuProfile): Role {
  const runs = (part: string): boolean => nodes.some(({ callFrame }) => callFrame.url.includes(part));
  if (runs('/benchmarks/profile/')) return 'application';
  return runs('/actors/tree-hasher') ? 'hashing pool' : 'nodes';
}

function report({ operation, sync }: ProfileLoad, { figure, roles }: Profiled, steps: ReadonlyMap<Role, Steps>): void {
  const { perSecond, cpuMicros } = figure;
  console.log(`${operation}, sync: '${sync}', with V8's profiler running; ${machine()}`);
  console.log(`${count(perSecond)} a second, ${cpuMicros.toFixed(1)} µs CPU each\n`);
  const rows = Object.entries(roles)
    .filter(([, { micros }]) => micros / cpuMicros >= LEAST_SHARE)
    .flatMap(([role, { micros, waits, preemptions }]) => {
      const switches = `${(1_000 * waits).toFixed(0)} and ${(1_000 * preemptions).toFixed(0)}`;
      const head = [`**${role}**`, '', micros.toFixed(1), percent(micros / cpuMicros), switches];
      return [head, ...stepRows(steps.get(role as Role) ?? new Map(), micros, cpuMicros)];
    });
  const columns = ['threads', 'step', 'µs CPU', 'of all', 'waits and preemptions of 1,000'];
  console.log(markdown(columns, rows, 2));
}

function stepRows(steps: Steps, micros: number, cpuMicros: number): string[][] {
  const total = [...steps.values()].reduce((sum, us) => sum + us, 0);
  return [...steps]
    .filter(([, us]) => us >= LEAST_SHARE * total)
    .sort(([, a], [, b]) => b - a)
    .map(([step, us]) => {
      const share = (us / total) * micros;
      return ['', step, share.toFixed(2), percent(share / cpuMicros), ''];
    });
}
