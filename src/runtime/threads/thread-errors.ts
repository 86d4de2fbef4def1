/** How a thread fails its group. */
import type { ErrorData } from './control-plane.js';

/** A thread could not be started: its entry's setup failed, or it died before it was ready. */
export class ThreadStartError extends Error {
  override readonly name = 'ThreadStartError';
  /** The setup's error. */
  readonly data: ErrorData;
  constructor(thread: number, data: ErrorData) {
    super(`thread ${thread} could not be started: ${data.message}`);
    this.data = data;
  }
}

/** A thread did not end in time, and stands within a commit, where it cannot be ended safely, or in other native code. */
export class ThreadStuckError extends Error {
  override readonly name = 'ThreadStuckError';
}
