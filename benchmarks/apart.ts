/** Measuring in a process of its own: what other measurements have left behind, heaps and compiled code, is not there. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * @param entry - a module that sends one message, what it has measured, and ends
 * @param argument - given to it as JSON
 * @param what - that process, as an error names it
 * @param execArgv - Node's options for it (default: those of this process)
 * @returns the message @throws if it ended otherwise
 */
export function measuredApart<Measured>(
  entry: URL,
  argument: unknown,
  what: string,
  execArgv: readonly string[] = process.execArgv,
): Promise<Measured> {
  const child = fork(fileURLToPath(entry), [JSON.stringify(argument)], { execArgv: [...execArgv] });
  return new Promise((resolve, reject) => {
    let measured: { readonly message: Measured } | undefined;
    child.once('message', (message) => {
      measured = { message: message as Measured };
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (measured !== undefined && code === 0) resolve(measured.message);
      else reject(new Error(`${what} ended with ${code}`));
    });
  });
}
