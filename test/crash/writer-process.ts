/** A process that writes to a store and keeps a log of it, as its parent sees it. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LogEntry } from '../support/crash-load.js';

export interface WriterOptions {
  /** What it runs: writes `LogEntry`s to its standard output, one a line. */
  readonly entry: URL;
  readonly arguments: readonly string[];
  /** Where its output is kept. */
  readonly directory: string;
  /** Names its files. */
  readonly run: string;
  readonly env?: NodeJS.ProcessEnv;
}

export class WriterProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
  /** What it has said to its parent so far. */
  readonly said = new Set<unknown>();
  private readonly run: string;
  private readonly log: string;
  private readonly errors: string;
  private readonly listeners = new Set<() => void>();

  constructor(options: WriterOptions) {
    this.run = options.run;
    this.log = join(options.directory, `${options.run}.log`);
    this.errors = join(options.directory, `${options.run}.err`);
    const [out, err] = [openSync(this.log, 'w'), openSync(this.errors, 'w')];
    this.child = fork(options.entry, options.arguments, {
      stdio: ['ignore', out, err, 'ipc'],
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    closeSync(out);
    closeSync(err);
    this.child.on('message', (word) => {
      this.said.add(word);
      for (const listener of this.listeners) listener();
    });
    this.exited = new Promise((resolve) => this.child.once('exit', () => resolve()));
  }

  /** Resolves once it has said `word`: true; or is gone: false. */
  async says(word: string): Promise<boolean> {
    let listener = (): void => {};
    const heard = new Promise<void>((resolve) => {
      listener = () => {
        if (this.said.has(word)) resolve();
      };
    });
    this.listeners.add(listener);
    listener();
    await Promise.race([heard, this.exited]);
    this.listeners.delete(listener);
    return this.said.has(word);
  }

  /** Resolves after so many milliseconds, or when it is gone: the moment of what follows is drawn, not waited for. */
  async goesOnFor(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const passed = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([passed, this.exited]);
    clearTimeout(timer);
  }

  /** Kills it, wherever it is. @throws if it had ended by itself */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
    const { signalCode, exitCode } = this.child;
    assert.equal(signalCode, 'SIGKILL', `writer ${this.run} ended by itself (${exitCode}): ${this.lastErrors}`);
  }

  /** What it has logged. */
  get entries(): LogEntry[] {
    const lines = readFileSync(this.log, 'utf8').split('\n');
    // The last is empty, or was cut off by a kill.
    return lines.slice(0, -1).map((line) => JSON.parse(line) as LogEntry);
  }

  /** The end of what it wrote to its error stream. */
  get lastErrors(): string {
    return readFileSync(this.errors, 'utf8').slice(-2_000);
  }
}
