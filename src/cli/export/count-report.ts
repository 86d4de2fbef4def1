/** How far work of unknown length is, for people: one changing line on a terminal, a line every few seconds elsewhere. */
import type { Output } from '../terminal.js';

const CHANGE_EVERY_MS = 100;
const LINE_EVERY_MS = 5_000;

export class CountReport {
  private readonly output: Output;
  private readonly what: string;
  private readonly now: () => number;
  private readonly startedMs: number;
  private shownMs: number;

  /** @param what - such as `exporting` */
  constructor(output: Output, what: string, now: () => number) {
    this.output = output;
    this.what = what;
    this.now = now;
    this.startedMs = now();
    this.shownMs = this.startedMs;
  }

  update(count: number): void {
    const now = this.now();
    if (now - this.shownMs < (this.output.isTTY ? CHANGE_EVERY_MS : LINE_EVERY_MS)) return;
    this.shownMs = now;
    const rate = Math.round(count / Math.max(1e-3, (now - this.startedMs) / 1_000));
    const line = `${this.what}: ${count} keys, ${rate} keys/s`;
    this.output.write(this.output.isTTY ? `\r\u001b[K${line}` : `${line}\n`);
  }

  /** Writes a line to the same output, without the changing one in its way. */
  beside(line: string): void {
    this.output.write(this.output.isTTY ? `\r\u001b[K${line}` : line);
  }

  /** Clears the changing line. */
  stop(): void {
    if (this.output.isTTY) this.output.write('\r\u001b[K');
  }
}
