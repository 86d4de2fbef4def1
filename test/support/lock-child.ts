/**
 * A process that wants a directory: `node lock-child.js hold PATH` takes it, says so, and keeps it until it is killed;
 * `node lock-child.js contend PATH TIMES` takes it so many times, and fails if it is ever not the only owner.
 */
import { openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { LockedError } from '../../src/base/errors.js';
import { lockDirectory } from '../../src/store/directory-lock.js';

const [task, path, times] = process.argv.slice(2) as [string, string, string];
if (task === 'hold') {
  await lockDirectory(path);
  console.log('locked');
  process.stdin.resume(); // Ends with its parent, at the latest.
} else {
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
      if (!(error instanceof LockedError)) throw error;
    }
  }
}
