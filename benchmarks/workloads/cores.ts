/** Who has the machine's cores: this process, and all else that runs. A figure that was taken beside others says little. */
import { cpus } from 'node:os';

/** A reading, in milliseconds of time of a core since some beginning. */
export interface CoresReading {
  readonly atMs: number;
  readonly ownMs: number;
  readonly busyMs: number;
}

export function readCores(): CoresReading {
  const { user, system } = process.cpuUsage();
  let busyMs = 0;
  for (const { times } of cpus()) busyMs += times.user + times.nice + times.sys + times.irq;
  return { atMs: performance.now(), ownMs: (user + system) / 1_000, busyMs };
}

/** @returns how many cores were in use between two readings, on average, by this process and by others */
export function coresBetween(first: CoresReading, last: CoresReading): { own: number; others: number } {
  const ms = last.atMs - first.atMs;
  const own = (last.ownMs - first.ownMs) / ms;
  return { own, others: Math.max(0, (last.busyMs - first.busyMs) / ms - own) };
}
