/**
 * Has a data file looked through by a child process. A damaged B-tree can end the process that walks it, natively
 * (SIGSEGV, SIGBUS): that must not be the one with all the nodes in it.
 *
 *     parent ──fork(entry, path)──▶ child: walks, and says what it found ──▶ 'whole' or why not
 *                                     └ ended by a native crash ──▶ damaged
 *                                     └ anything else ──▶ not known: nothing is done to the file
 */
import { fork } from 'node:child_process';
import { StorageFailedError } from '../base/errors.js';
import { withoutLoaders } from '../base/loaders.js';

/** What the child tells its parent: what is wrong with the file, or null. */
export interface CheckVerdict {
  readonly damage: string | null;
}

const NATIVE_CRASHES = new Set<unknown>(['SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGILL', 'SIGFPE', 'SIGTRAP']);
/** Windows has no signals: exit codes from here on are its exceptions (0xC0000005: access violation). */
const WINDOWS_EXCEPTION = 0x8000_0000;

/**
 * @param entry - the module that the child runs, with `path` and `what` as its arguments; it sends one `CheckVerdict`
 * @param what - 'all': also every record's checksum; 'tree': only what holds them; 'order': of a file that holds no records
 * @returns what is wrong with the file; undefined if it is whole
 * @throws {StorageFailedError} It could not be checked: it may be whole. Definite.
 */
export function checkInChild(
  entry: URL,
  path: string,
  what: 'all' | 'tree' | 'order' = 'all',
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const unknown = (why: string): void => {
      reject(
        new StorageFailedError(`${path} may be damaged, and could not be checked: ${why}; open the store again`, {
          definite: true,
        }),
      );
    };
    let verdict: CheckVerdict | undefined;
    // Options of this process (loaders, a debugger's port) are not meant for it.
    const child = fork(entry, [path, what], {
      ...withoutLoaders(process),
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child.on('message', (message) => {
      verdict = message as CheckVerdict;
    });
    child.on('error', (error) => unknown(error.message));
    const ended = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (verdict !== undefined) resolve(verdict.damage ?? undefined);
      else if (NATIVE_CRASHES.has(signal) || (code !== null && code >= WINDOWS_EXCEPTION)) {
        resolve(`the process that walked through it was ended by ${signal ?? `exception ${code}`}`);
      } else unknown(`the process that walked through it ended with ${signal ?? `code ${code}`}`);
    };
    // What it has said may come after the news that it has ended, but not after the end of the way by which it comes.
    child.on('exit', (code, signal) => {
      if (child.connected) child.once('disconnect', () => ended(code, signal));
      else ended(code, signal);
    });
  });
}
