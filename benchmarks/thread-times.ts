/** CPU time of each thread of the process, as Linux tells it; nothing elsewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const TASKS = '/proc/self/task';

/** By thread: nanoseconds on a core so far. The main thread's number is that of the process. */
export function threadTimes(): Map<number, number> {
  const times = new Map<number, number>();
  if (!existsSync(TASKS)) return times;
  for (const name of readdirSync(TASKS)) {
    try {
      const [onCore] = readFileSync(`${TASKS}/${name}/schedstat`, 'utf8').split(' ');
      times.set(Number(name), Number(onCore));
    } catch (error) {
      // It has ended since it was listed.
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return times;
}
