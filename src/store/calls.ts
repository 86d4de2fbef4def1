/** How every call of a bucket handle begins, and how it is given up. */
import { setMaxListeners } from 'node:events';
import { ClosedError } from '../base/errors.js';
import type { OperationFailure } from '../messages/coordinator-messages.js';
import type { StoreHome } from './bucket-home.js';
import type { Client } from './client.js';
import { checkSignal } from './options.js';

/** Whoever waits for the outcome of an operation. */
export interface Call {
  /** Set by `begin`: to be called once it is settled. */
  onSettled: (() => void) | null;
  fail(failure: OperationFailure): void;
  /** Of a store that is closed: nothing was begun. */
  refuse(error: ClosedError): void;
  /** @param unsent - true if the signal had fired before anything was sent */
  abort(reason: unknown, unsent: boolean): void;
}

/**
 * Starts an operation. A signal that fires before the outcome is known gives it up.
 *
 * What is refused at once fails in the next pass of the event loop. A caller that tries again at every refusal would else
 * keep the thread for itself, and with it all that could end the refusals: answers, timers, the restart of nodes, the
 * close of the store.
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
  let ticket: number | OperationFailure;
  try {
    ticket = home.run(start, ofCompound);
  } catch (error) {
    if (!(error instanceof ClosedError)) throw error;
    setImmediate(() => call.refuse(error));
    return;
  }
  if (typeof ticket !== 'number') {
    const failure = ticket;
    setImmediate(() => call.fail(failure));
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
