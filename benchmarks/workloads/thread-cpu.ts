/** CPU time of one thread, where the system tells it: Node 20 tells only that of the process. */
import { readFileSync } from 'node:fs';

/**
 * User and system time of the calling thread so far, in milliseconds, a few of which may be missing; undefined elsewhere than
 * on Linux. What V8 compiles and collects for the thread on its helpers is not in it.
 */
export function threadCpuMs(): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const [nanoseconds] = readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ');
  return Number(nanoseconds) / 1e6;
}
