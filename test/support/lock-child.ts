/**
 * A process that wants a directory: `node lock-child.js hold PATH` takes it, says so, and keeps it until it is killed;
 * `node lock-child.js contend PATH TIMES` takes it so many times, and fails if it is ever not the only owner, or is not
 * done within 20 seconds. Without a task, as `node --test` starts every file under `test`, it does nothing.
 */
import { openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { LockedError } from '../../src/base/errors.js';
import { lockDirectory } from '../../src/store/directory-lock.js';

const [task, path, times] = process.argv.slice(2) as [string | undefined, string, string];
if (task === 'hold') {
  await lockDirectory(path);
  console.log('locked');
  process.stdin.resume(); // Ends with its parent, at the latest.
} else if (task === 'contend') {
  const deadline = performance.now() + 20_000;
  const alone = join(path, 'alone');
  for (let taken = 0; taken < Number(times); ) {
    try {
      const lock = await lockDirectory(path);
      openSync(alone, 'wx'); // Throws if another owner has it.
      taken++;
      await new Promise((resolve) => setImmediate(resolve));
      unlinkSync(alone);
      lock.release();
    } catch (error) {
      if (!(error instanceof LockedError) || performance.now() > deadline) throw error;
    }
  }
}
