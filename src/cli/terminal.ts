/**
 * What a command is given of the world: streams, a clock, signals, and how to open a store. `main.ts` passes the
 * process's own; tests pass theirs, and run commands without processes.
 */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { OpenOptions } from '../store/api/open-options.js';
import type { Store } from '../store/api/store.js';

/** `columns`: how wide a terminal is. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export interface Terminal {
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: Output;
  readonly stderr: Output;
  openStore(options: OpenOptions): Promise<Store>;
  /** Calls `stop` each time the process is asked to stop, until the returned function is called. */
  onStopSignal(stop: () => void): () => void;
  /** Monotonic milliseconds, from any origin. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** Writes to a stream, and waits while it has more than it wants to hold. */
export async function print(output: Output, chunk: string | Uint8Array): Promise<void> {
  if (!output.write(chunk)) await once(output, 'drain');
}

/** The command was called wrongly: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The command did not do what it was asked: exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
