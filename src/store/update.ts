/**
 * Update: reads a key, lets the application make a new value of what is there, puts it with the read's context.
 * The store does not close between read and write, unless the application takes its time (an async function): then
 * nobody can say for how long.
 */
import { AbortedError } from '../base/errors.js';
import type { ReadResult, Receipt } from './api/results.js';
import type { BucketHome } from './bucket-home.js';

export interface UpdateSteps<V> {
  /** For read and write together. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  read(timeoutMs: number): Promise<ReadResult<V>>;
  /** @param ofCompound - the store is known not to have closed since the read */
  write(value: V, causalContext: string | undefined, timeoutMs: number, ofCompound: boolean): Promise<Receipt>;
}

type Outcome<V> =
  | { readonly done: true; readonly receipt: Receipt | undefined }
  /** The application promises the value. */
  | {
      readonly done: false;
      readonly promised: PromiseLike<V | undefined>;
      readonly causalContext: string | undefined;
      readonly leftMs: number;
    };

/** @returns what the write gave, or undefined if `fn` wanted none. */
export async function readAndWrite<V>(
  home: BucketHome,
  fn: (value: V | undefined) => V | undefined | PromiseLike<V | undefined>,
  steps: UpdateSteps<V>,
): Promise<Receipt | undefined> {
  const { timeoutMs, signal } = steps;
  const outcome = await home.compound(async (): Promise<Outcome<V>> => {
    const startedAt = home.now();
    const read = await steps.read(timeoutMs);
    const { value, causalContext } = read;
    const leftMs = Math.max(1, timeoutMs - (home.now() - startedAt));
    const made = fn(value);
    if (isPromise(made)) return { done: false, promised: made, causalContext, leftMs };
    const receipt = made === undefined ? undefined : await steps.write(made, causalContext, leftMs, true);
    return { done: true, receipt };
  });
  if (outcome.done) return outcome.receipt;
  const made = await unlessAborted(outcome.promised, signal);
  return made === undefined ? undefined : steps.write(made, outcome.causalContext, outcome.leftMs, false);
}

function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | undefined)?.then === 'function';
}

/** What `promised` settles to; rejects as soon as the signal fires, for nothing may ever come. */
function unlessAborted<T>(promised: PromiseLike<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      const why = 'the update was aborted by its signal, before anything was written';
      reject(new AbortedError(why, { definite: true, cause: signal?.reason }));
    };
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const ended = () => signal?.removeEventListener('abort', onAbort);
    promised.then(
      (value) => {
        ended();
        resolve(value);
      },
      (error: unknown) => {
        ended();
        reject(error);
      },
    );
  });
}
