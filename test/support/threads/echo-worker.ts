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
}

class WorkerControl {
  readonly thread: number;
  constructor(thread: number) {
    this.thread = thread;
  }
  ping(): number {
    return this.thread;
  }
  fail(): void {
    throw Object.assign(new RangeError('out of range'), { code: 'E_RANGE', definite: true });
  }
  /** Never settles. */
  hang(): Promise<never> {
    return new Promise(() => {});
  }
}

export type EchoControl = Pick<WorkerControl, 'ping' | 'fail' | 'hang'>;

await runWorkerThread<EchoSetup>(({ host, thread, incarnation, data }) => {
  const { broken, brokenLater, brokenUntil = 1 } = data;
  if (broken || (incarnation > 1 && (brokenLater || incarnation <= brokenUntil)))
    throw Object.assign(new Error('broken on purpose'), { code: 'E_BROKEN' });
  host.spawn(ECHO_SLOT, ECHO, () => new EchoActor(), data.mailbox === undefined ? {} : { mailbox: data.mailbox });
  return { control: new WorkerControl(thread) };
});
