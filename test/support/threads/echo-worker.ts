/** Entry of the workers of the threads runtime's tests: one echo actor each. */
import { runWorkerThread } from '../../../src/runtime/threads/worker-thread.js';
import { ECHO, ECHO_SLOT, EchoActor } from './echo.js';

export interface EchoSetup {
  /** The most requests that the actor may hold. */
  readonly mailbox?: number;
  /** The thread's setup fails. */
  readonly broken?: boolean;
  /** It fails at every start but the first. */
  readonly brokenLater?: boolean;
  /** It fails from the second start on up to this one. */
  readonly brokenUntil?: number;
  /** Once it has told that it is ready, the thread stands still until index 0 is not 0. */
  readonly stillUntil?: Int32Array;
}

/** What a worker does that stands by. */
export interface EchoPreparation {
  /** Told by `prepared` later. */
  readonly name: string;
  /** It fails. */
  readonly broken?: boolean;
  /** It goes on until index 0 is not 0; index 1 is set once it has begun, index 2 once it has ended. */
  readonly until?: Int32Array;
}

/** Actors that were started on this thread. */
let started = 0;
/** What it did while it stood by. */
let prepared: string | undefined;
let stillUntil: Int32Array | undefined;

class WorkerControl {
  readonly thread: number;
  private readonly beInUse: () => void;
  constructor(thread: number, beInUse: () => void) {
    this.thread = thread;
    this.beInUse = beInUse;
  }
  inUse(): void {
    this.beInUse();
  }
  prepared(): string | undefined {
    return prepared;
  }
  ping(): number {
    return this.thread;
  }
  fail(): void {
    throw Object.assign(new RangeError('out of range'), { code: 'E_RANGE', definite: true });
  }
  started(): number {
    return started;
  }
  /** Never settles. */
  hang(): Promise<never> {
    return new Promise(() => {});
  }
}

export type EchoControl = Pick<WorkerControl, 'ping' | 'fail' | 'started' | 'hang' | 'inUse' | 'prepared'>;

async function prepare(data: unknown): Promise<void> {
  const { name, broken, until } = data as EchoPreparation;
  if (broken) throw new Error('cannot be prepared');
  if (until !== undefined) {
    until[1] = 1;
    while (Atomics.load(until, 0) === 0) await new Promise(setImmediate);
    until[2] = 1;
  }
  prepared = name;
}

await runWorkerThread<EchoSetup>(
  ({ host, thread, incarnation, data, inUse }) => {
    const { broken, brokenLater, brokenUntil = 1 } = data;
    if (broken || (incarnation > 1 && (brokenLater || incarnation <= brokenUntil)))
      throw Object.assign(new Error('broken on purpose'), { code: 'E_BROKEN' });
    const start = (): EchoActor => {
      started++;
      return new EchoActor();
    };
    host.spawn(ECHO_SLOT, ECHO, start, data.mailbox === undefined ? {} : { mailbox: data.mailbox });
    stillUntil = data.stillUntil;
    return { control: new WorkerControl(thread, inUse) };
  },
  { prepare },
);
if (stillUntil !== undefined) Atomics.wait(stillUntil, 0, 0);
