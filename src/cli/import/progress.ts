/** How far an import is, for people: a bar on a terminal, a line every few seconds elsewhere. */
import { Presets, SingleBar } from 'cli-progress';
import { duration } from '../figures.js';
import type { Output } from '../terminal.js';

export interface Progress {
  /** Bytes of the file that are behind. */
  readonly offset: number;
  /** Lines done in this run. */
  readonly lines: number;
}

const LINE_EVERY_MS = 5_000;

export class ProgressReport {
  private readonly output: Output;
  private readonly size: number;
  private readonly from: number;
  private readonly now: () => number;
  private readonly startedMs: number;
  private readonly bar: SingleBar | undefined;
  private lastLineMs: number;

  /** @param from - the offset at which this run began */
  constructor(output: Output, size: number, from: number, now: () => number) {
    this.output = output;
    this.size = size;
    this.from = from;
    this.now = now;
    this.startedMs = now();
    this.lastLineMs = this.startedMs;
    if (output.isTTY !== true) return;
    const format = 'importing {bar} {percentage}% | {rate} lines/s | {left} left';
    this.bar = new SingleBar(
      { format, stream: output, clearOnComplete: true, hideCursor: true },
      Presets.shades_classic,
    );
    this.bar.start(size, from, { rate: '–', left: '–' });
  }

  update(progress: Progress): void {
    const now = this.now();
    const seconds = Math.max(1e-3, (now - this.startedMs) / 1_000);
    const rate = Math.round(progress.lines / seconds);
    const bytesPerSecond = (progress.offset - this.from) / seconds;
    const left = bytesPerSecond > 0 ? duration((this.size - progress.offset) / bytesPerSecond) : '–';
    if (this.bar !== undefined) {
      this.bar.update(progress.offset, { rate, left });
    } else if (now - this.lastLineMs >= LINE_EVERY_MS) {
      this.lastLineMs = now;
      const percentage = Math.floor((100 * progress.offset) / Math.max(1, this.size));
      this.output.write(`importing: ${percentage}%, ${progress.lines} lines, ${rate} lines/s, ${left} left\n`);
    }
  }

  /** Runs `write`, which prints to the same output, without the bar in its way. */
  beside(write: () => void): void {
    if (this.bar?.isActive) this.output.write('\r\u001b[K');
    write();
  }

  stop(): void {
    this.bar?.stop();
  }
}
