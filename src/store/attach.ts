/** Attaches a thread of the application to a store that another of its threads has opened. */
import { MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { ClosedError, InvalidArgumentError } from '../base/errors.js';
import type { ShareTicket, Store } from './api/store.js';
import { AttachedStore } from './attached-store.js';
import { show } from './options.js';
import { type Grant, TICKET } from './ticket.js';

const used = new WeakSet<MessagePort>();

/**
 * Attaches to the store whose `share()` gave `ticket`. What comes is a store like any other: its reads and writes go
 * straight to the nodes, without the thread that opened it; defaults of its options are those given to `open`. `stats`
 * counts this thread's own calls. Acts of `admin` are passed on to the opener, so they wait while that is busy.
 *
 * Closing it closes it alone. When the opener closes the store, this one finishes what it has under way and closes, too;
 * what it could not finish in time fails as CLOSED. A thread that ends without closing gives its share back all the same.
 *
 * @param ticket - moved to this thread by `workerData` or `postMessage`, in the list of what is transferred
 * @throws {InvalidArgumentError} It is no ticket, or was used before.
 * @throws {ClosedError} The store is closed.
 */
export async function attach(ticket: ShareTicket): Promise<Store> {
  if (!(ticket instanceof MessagePort)) {
    throw new InvalidArgumentError(`attach needs a ticket that store.share() gave, not ${show(ticket)}`);
  }
  if (used.has(ticket)) throw new InvalidArgumentError('the ticket was used before: each attach needs one of its own');
  const first = receiveMessageOnPort(ticket);
  if (first === undefined) {
    throw new ClosedError('the store that gave this ticket is closed, or it is no ticket of store.share()');
  }
  const grant = first.message as Partial<Grant> | null;
  if (grant?.ticket !== TICKET) {
    throw new InvalidArgumentError('attach needs a ticket that store.share() of this version of the package gave');
  }
  used.add(ticket);
  return AttachedStore.join(ticket, grant as Grant);
}
