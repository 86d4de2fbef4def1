/** Deadlines of what nobody can take back: what is not done in time goes on all the same. */
import { AbortedError, TimeoutError } from '../base/errors.js';
import { ThreadStuckError } from '../runtime/threads/thread-errors.js';
import type { CallOptions } from './api/call-options.js';
import { checkNames, checkSignal, checkTimeout } from './options.js';

const OPTIONS = new Set(['timeoutMs', 'signal']);

/**
 * Does `work`, and waits for it no longer than the options say.
 * @param what - names the act in messages: 'the stop of node "b"'; or gives that name when it is wanted
 * @throws {TimeoutError} It was not done in time, or cannot be done: a thread stands still within a commit. Indefinite.
 * @throws {AbortedError} The signal fired. Definite only if that was before anything was begun.
 */
export async function within<T>(
  options: CallOptions,
  what: string | (() => string),
  work: () => Promise<T>,
): Promise<T> {
  const name = typeof what === 'string' ? () => what : what;
  checkNames('admin', options, OPTIONS);
  checkSignal(options.signal);
  const timeoutMs = checkTimeout(options.timeoutMs);
  const { signal } = options;
  const aborted = (definite: boolean) =>
    new AbortedError(`${name()} was aborted by its signal`, { definite, cause: signal?.reason });
  if (signal?.aborted) throw aborted(true);
  return await waitFor(unlessStuck(name, work()), timeoutMs, signal, {
    late: () => new TimeoutError(`${name()} was not done within ${timeoutMs} ms; it goes on`),
    aborted: () => aborted(false),
  });
}

/** What `work` gives, if it does so in time and before the signal fires; else it goes on, and this rejects. */
export async function waitFor<T>(
  work: Promise<T>,
  timeoutMs: number | undefined,
  signal: AbortSignal | undefined,
  errors: { late(): Error; aborted(): Error },
): Promise<T> {
  if (signal?.aborted) throw errors.aborted();
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  const cutOff = new Promise<never>((_, reject) => {
    onAbort = () => reject(errors.aborted());
    signal?.addEventListener('abort', onAbort, { once: true });
    if (timeoutMs !== undefined) timer = setTimeout(() => reject(errors.late()), timeoutMs);
  });
  try {
    return await Promise.race([work, cutOff]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** What `work` gives; a thread that nothing can end is a deadline that nothing can meet. */
export async function unlessStuck<T>(what: string | (() => string), work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ThreadStuckError)) throw error;
    const name = typeof what === 'string' ? what : what();
    throw new TimeoutError(`${name} cannot be done: ${error.message}`, { definite: false, cause: error });
  }
}
