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
import { ControlLine, RemoteError, ThreadGoneError } from '../runtime/threads/control-plane.js';
import type { HostEvents } from '../runtime/threads/host-events.js';
import { joinGroup } from '../runtime/threads/join-group.js';
import type { ThreadHost } from '../runtime/threads/thread-host.js';
import type { Admin, CallOptions, NodeState, StoreStats } from './api.js';
import { ApplicationStore, spawnClient } from './application-store.js';
import type { Client } from './client.js';
import { within } from './deadline.js';
import { checkPause, show } from './options.js';
import type { AttachedSays, Grant, Joined, OpenerControl, OpenerSays } from './ticket.js';

/** Why an operation fails whose nodes are gone. */
const OUT_OF_REACH: ReadonlySet<OperationFailure['why']> = new Set(['unavailable', 'not-met', 'overloaded']);

interface AttachedParts extends Grant {
  readonly port: MessagePort;
  readonly host: ThreadHost;
  readonly client: Client;
  readonly control: ControlLine<OpenerControl>;
  /** By node; kept up to date. */
  readonly states: NodeState[];
  /** By node: how many hints it holds. */
  readonly gauges: readonly Int32Array<SharedArrayBuffer>[];
}

export class AttachedStore extends ApplicationStore {
  readonly admin: Admin = {
    stop: (node, options) => this.administer('stop', [node], options, (opener) => opener.stop(node)),
    start: (node, options) => this.administer('start', [node], options, (opener) => opener.start(node)),
    crash: (node, options) => this.administer('crash', [node], options, (opener) => opener.crash(node)),
    pause: (node, ms, options) =>
      this.administer('pause', [node], options, (opener) => opener.pause(node, checkPause(ms))),
    split: (nodes, options) => this.administer('split', nodes, options, (opener) => opener.split([...nodes])),
    waitForHints: (options = {}) => {
      const { timeoutMs } = options;
      return this.administer('delivery of hints', [], options, (opener) =>
        opener.waitForHints(timeoutMs === undefined ? {} : { timeoutMs }),
      );
    },
    heal: (options) => this.administer('healing', [], options, (opener) => opener.heal()),
  };
  private readonly parts: AttachedParts;
  /** True once the nodes are out of reach for good: this store has ended, or was cut off from them. */
  private gone = false;

  private constructor(parts: AttachedParts) {
    super(parts);
    this.parts = parts;
    for (const [node, state] of parts.states.entries()) this.client.setUp(node, state === 'up');
  }

  /** Joins the threads of the store that gave the ticket. @throws {ClosedError} It is closed, or closes meanwhile. */
  static async join(port: MessagePort, grant: Grant): Promise<AttachedStore> {
    let store: AttachedStore | undefined;
    let states: NodeState[] = [];
    let ending: 'closing' | 'cut' | undefined;
    const joined = await new Promise<Joined>((resolve, reject) => {
      port.on('close', () => reject(new ClosedError('the store that gave this ticket is closed: open it again')));
      port.on('message', (message: OpenerSays) => {
        if (message.type === 'joined') {
          states = [...message.states];
          resolve(message);
        } else if (message.type === 'state') {
          states[message.node] = message.state;
          store?.client.setUp(message.node, message.state === 'up');
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
    const gauges = joined.gauges.map((gauge) => new Int32Array(gauge));
    store = new AttachedStore({ ...grant, port, host, client, control, states, gauges });
    if (ending === 'cut') store.cutOff();
    else if (ending === 'closing') void store.close();
    return store;
  }

  share(): never {
    throw new InvalidArgumentError('share() is for the thread that opened the store: let it give out another ticket');
  }

  protected stateOf(node: number): NodeState {
    return this.gone ? 'down' : this.parts.states[node]!;
  }

  protected hintsOn(node: number): number {
    return Atomics.load(this.parts.gauges[node]!, 0);
  }

  protected async nodeStats(): Promise<StoreStats['nodes']> {
    try {
      return await this.parts.control.remote.nodeStats();
    } catch (error) {
      // As of a store that is closed.
      if (error instanceof ThreadGoneError) return {};
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
    for (const node of this.parts.states.keys()) this.client.setUp(node, false);
    this.parts.control.close('the thread that opened the store has ended, or has closed it');
    void this.close();
  }

  /** Has the opener do something to `nodes`. */
  private administer(
    act: string,
    nodes: readonly string[],
    options: CallOptions = {},
    ask: (opener: AttachedParts['control']['remote']) => Promise<void>,
  ): Promise<void> {
    const what = nodes.length === 0 ? `the ${act}` : `the ${act} of ${nodes.map(show).join(', ')}`;
    return within(options, what, async () => {
      for (const node of nodes) this.indexOf(node);
      try {
        await ask(this.parts.control.remote);
      } catch (error) {
        throw errorOfOpener(error, what);
      }
    });
  }
}

/** What the opener's error is here: of the same class. */
function errorOfOpener(error: unknown, what: string): unknown {
  if (error instanceof ThreadGoneError) {
    const message = `${what} may not have been done: ${error.message}; open the store again`;
    return new ClosedError(message, { definite: false, cause: error });
  }
  if (!(error instanceof RemoteError)) return error;
  const { message, definite = false } = error;
  const details = { definite, cause: error };
  switch (error.code) {
    case 'CLOSED':
      return new ClosedError(message, details);
    case 'TIMEOUT':
      return new TimeoutError(message, details);
    case 'STORAGE_FULL':
      return new StorageFullError(message, details);
    case 'STORAGE_FAILED':
      return new StorageFailedError(message, details);
    default:
      return error;
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
