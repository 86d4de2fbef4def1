/** How every call of a bucket handle begins, and how it is given up. */
import { setMaxListeners } from 'node:events';
import type { OperationFailure } from '../messages/coordinator-messages.js';
import type { StoreHome } from './bucket-home.js';
import type { Client } from './client.js';
import { checkSignal } from './options.js';

/** Whoever waits for the outcome of an operation. */
export interface Call {
  /** Set by `begin`: to be called once it is settled. */
  onSettled: (() => void) | null;
  fail(failure: OperationFailure): void;
  /** @param unsent - true if the signal had fired before anything was sent */
  abort(reason: unknown, unsent: boolean): void;
}

/**
 * Starts an operation; what is refused at once fails like anything else. A signal that fires before the outcome is
 * known gives it up.
 */
export function begin(
  home: StoreHome,
  signal: AbortSignal | undefined,
  call: Call,
  start: (client: Client) => number | OperationFailure,
  ofCompound = false,
): void {
  checkSignal(signal);
  if (signal?.aborted) {
    call.abort(signal.reason, true);
    return;
  }
  const ticket = home.run(start, ofCompound);
  if (typeof ticket !== 'number') {
    call.fail(ticket);
    return;
  }
  if (signal === undefined) return;
  // Many calls of one signal are no leak: a scan alone has sixteen under way.
  setMaxListeners(0, signal);
  const onAbort = () => {
    if (home.client().abandon(ticket)) call.abort(signal.reason, false);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  call.onSettled = () => signal.removeEventListener('abort', onAbort);
}
