/**
 * The store as a thread has it that attached to it. Reads and writes go from this thread straight to the nodes; the
 * thread that opened the store is asked only for what it alone can do: to stop and start nodes, and for their counters.
 */
import type { MessagePort } from 'node:worker_threads';
import {
  ClosedError,
  InvalidArgumentError,
  type QuoralError,
  StorageFailedError,
  StorageFullError,
  TimeoutError,
} from '../base/errors.js';
import type { OperationFailure } from '../messages/coordinator-messages.js';
import { ControlLine, type Remote, RemoteError, ThreadGoneError } from '../runtime/threads/control-plane.js';
import type { HostEvents } from '../runtime/threads/host-events.js';
import { joinGroup } from '../runtime/threads/join-group.js';
import { ThreadStuckError } from '../runtime/threads/thread-errors.js';
import type { ThreadHost } from '../runtime/threads/thread-host.js';
import { adminOf, type NodeActs } from './admin.js';
import type { Admin } from './api/store.js';
import { ApplicationStore, spawnClient } from './application-store.js';
import type { Client } from './client.js';
import { type NodeFigures, nodeFigures } from './node-figures.js';
import type { AttachedSays, Grant, Joined, OpenerControl, OpenerSays } from './ticket.js';

/** Why an operation fails whose nodes are gone. */
const OUT_OF_REACH: ReadonlySet<OperationFailure['why']> = new Set(['unavailable', 'died', 'not-met', 'overloaded']);

interface AttachedParts extends Grant {
  readonly port: MessagePort;
  readonly host: ThreadHost;
  readonly client: Client;
  readonly gauges: readonly SharedArrayBuffer[];
  readonly control: ControlLine<OpenerControl>;
  /** By node: whether it is up; kept up to date. */
  readonly up: boolean[];
}

export class AttachedStore extends ApplicationStore {
  readonly admin: Admin;
  private readonly parts: AttachedParts;
  /** True once the nodes are out of reach for good: this store has ended, or was cut off from them. */
  private gone = false;

  private constructor(parts: AttachedParts) {
    super(parts);
    this.parts = parts;
    for (const [node, up] of parts.up.entries()) this.setUp(node, up);
    this.admin = adminOf(actsOf(parts.control.remote), this.nodesHere());
  }

  /** Joins the threads of the store that gave the ticket. @throws {ClosedError} It is closed, or closes meanwhile. */
  static async join(port: MessagePort, grant: Grant): Promise<AttachedStore> {
    let store: AttachedStore | undefined;
    let up: boolean[] = [];
    let ending: 'closing' | 'cut' | undefined;
    const joined = await new Promise<Joined>((resolve, reject) => {
      port.on('close', () => reject(new ClosedError('the store that gave this ticket is closed: open it again')));
      port.on('message', (message: OpenerSays) => {
        if (message.type === 'joined') {
          up = [...message.up];
          resolve(message);
        } else if (message.type === 'node') {
          up[message.node] = message.up;
          store?.setUp(message.node, message.up);
        } else {
          ending = 'closing';
          void store?.close();
        }
      });
      port.postMessage({ type: 'join' } satisfies AttachedSays);
    });
    port.unref();
    const onCut = (): void => {
      ending = 'cut';
      store?.cutOff();
    };
    const host = joinGroup(joined.ends, { events: TROUBLES, onCut });
    const client = await spawnClient(host, grant.ring, grant.options);
    const control = new ControlLine<OpenerControl>(joined.control);
    store = new AttachedStore({ ...grant, port, host, client, gauges: joined.gauges, control, up });
    if (ending === 'cut') store.cutOff();
    else if (ending === 'closing') void store.close();
    return store;
  }

  share(): never {
    throw new InvalidArgumentError('share() is for the thread that opened the store: let it give out another ticket');
  }

  protected isUp(node: number): boolean {
    return !this.gone && this.parts.up[node] === true;
  }

  protected async nodeStats(): Promise<NodeFigures> {
    try {
      return await this.parts.control.remote.nodeStats();
    } catch (error) {
      // As of a store that is closed.
      if (error instanceof ThreadGoneError) return nodeFigures([]);
      throw error;
    }
  }

  protected override errorOf(operation: 'get' | 'put' | 'scan', failure: OperationFailure): QuoralError {
    if (!this.gone || !OUT_OF_REACH.has(failure.why)) return super.errorOf(operation, failure);
    const definite = failure.definite || operation !== 'put';
    const outcome = definite ? '' : '; the write may be stored all the same';
    return new ClosedError(`the store was closed by the thread that opened it${outcome}: open it again`, { definite });
  }

  protected async end(): Promise<void> {
    const { host, control, port } = this.parts;
    this.gone = true;
    host.close();
    control.close('the store is closed');
    port.close();
  }

  /** The store has ended, and nobody waited for this thread. */
  private cutOff(): void {
    this.gone = true;
    for (const node of this.parts.up.keys()) this.setUp(node, false);
    this.parts.control.close('the thread that opened the store has ended, or has closed it');
    void this.close();
  }
}

/** The acts as the opener does them for this thread. */
function actsOf(opener: Remote<OpenerControl>): NodeActs {
  return {
    stop: (node) => opener.stop(node).catch(rethrow),
    start: (node) => opener.start(node).catch(rethrow),
    crash: (node) => opener.crash(node).catch(rethrow),
    pause: (node, ms) => opener.pause(node, ms).catch(rethrow),
    split: (nodes) => opener.split(nodes).catch(rethrow),
    heal: () => opener.heal().catch(rethrow),
    hints: (node) => opener.hints(node),
    compare: (node, session, call) => opener.compare(node, session, call),
    rebuild: (node, session, call) => opener.rebuild(node, session, call),
    reap: (node, session, call) => opener.reap(node, session, call),
  };
}

/** Throws what the opener threw, of the same class. */
function rethrow(error: unknown): never {
  if (error instanceof ThreadGoneError) {
    const message = `it is not known whether that was done: ${error.message}; open the store again`;
    throw new ClosedError(message, { definite: false, cause: error });
  }
  if (!(error instanceof RemoteError)) throw error;
  const { message, definite = false } = error;
  if (error.name === 'ThreadStuckError') throw new ThreadStuckError(message, { cause: error });
  const details = { definite, cause: error };
  switch (error.code) {
    case 'CLOSED':
      throw new ClosedError(message, details);
    case 'TIMEOUT':
      throw new TimeoutError(message, details);
    case 'STORAGE_FULL':
      throw new StorageFullError(message, details);
    case 'STORAGE_FAILED':
      throw new StorageFailedError(message, details);
    default:
      throw error;
  }
}

/** What someone must know of this thread's client, as a warning of the process. */
const TROUBLES: HostEvents = {
  crashed: (_slot, _incarnation, error) => warn('crashed', error),
  escalated: (_slot, error) => warn('escalated', error),
  trouble: (what, error) => warn(what, error),
};

function warn(what: string, error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  process.emitWarning(`the client of an attached thread: ${what}: ${text}`, { type: 'QuoralWarning' });
}
