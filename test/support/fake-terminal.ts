/** A terminal whose streams are text, whose clock is a number, and whose stores outlive their closing. */
import { mkdirSync } from 'node:fs';
import { Writable } from 'node:stream';
import { run } from '../../src/cli/program.js';
import type { Output, Terminal } from '../../src/cli/terminal.js';
import type { OpenOptions } from '../../src/store/api/open-options.js';
import { WatchedStore } from './watched-store.js';

class Screen extends Writable {
  text = '';
  readonly isTTY: boolean;

  constructor(isTTY: boolean) {
    super({ decodeStrings: true });
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('latin1');
    done();
  }
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export class FakeTerminal implements Terminal {
  stdin: AsyncIterable<Uint8Array> = (async function* () {})();
  stdout: Output = new Screen(false);
  stderr: Output = new Screen(false);
  readonly stores = new Map<string, WatchedStore>();
  /** The options of each opening. */
  readonly openings: OpenOptions[] = [];
  readonly slept: number[] = [];
  /** What the clock moves by at each look. */
  tickMs = 1;
  /** Shows bars and colours. */
  isTTY = false;
  private nowMs = 0;
  private readonly stops = new Set<() => void>();

  async openStore(options: OpenOptions): Promise<WatchedStore> {
    this.openings.push(options);
    const path = options.path!;
    mkdirSync(path, { recursive: true });
    const store = this.stores.get(path) ?? new WatchedStore();
    store.closed = false;
    this.stores.set(path, store);
    return store;
  }

  onStopSignal(stop: () => void): () => void {
    this.stops.add(stop);
    return () => this.stops.delete(stop);
  }

  /** Asks the command to stop, as SIGTERM does. */
  signal(): void {
    for (const stop of this.stops) stop();
  }

  /** Whether a command listens for signals. */
  get listens(): boolean {
    return this.stops.size > 0;
  }

  now(): number {
    this.nowMs += this.tickMs;
    return this.nowMs;
  }

  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
  }

  /** Runs a command line to its end. Output is text of UTF-8. */
  async run(...args: string[]): Promise<Outcome> {
    const stdout = new Screen(this.isTTY);
    const stderr = new Screen(this.isTTY);
    this.stdout = stdout;
    this.stderr = stderr;
    const code = await run(args, this);
    const utf8 = (text: string) => Buffer.from(text, 'latin1').toString();
    return { code, out: utf8(stdout.text), err: utf8(stderr.text) };
  }

  /** What was printed so far by a command that still runs. */
  get printed(): string {
    return (this.stdout as Screen).text;
  }
}
