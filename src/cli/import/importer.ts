/**
 * Puts the records of lines into a bucket, several at a time.
 *
 *     lines ─▶ recordOf, one after another ─▶ workers: get, compare, put ─▶ counts
 *                └▶ bad: reported; stops here, or goes on
 *
 * Lines of one key are done in their order, so that the last one wins and none makes a sibling. A value that is stored
 * already is left alone; whatever else is under the key is replaced.
 */
import { equalBytes } from '../../base/bytes.js';
import { OverloadedError, QuoralError } from '../../base/errors.js';
import type { Key } from '../../store/api/call-options.js';
import type { Sibling } from '../../store/api/results.js';
import type { KeyValues } from '../target.js';
import type { Position } from './checkpoint.js';
import type { Line } from './lines.js';
import type { Content, Record, RecordReader } from './record.js';

export interface ImportSettings {
  readonly recordOf: RecordReader;
  readonly onError: 'stop' | 'skip';
  /** Lines that are worked on at a time. */
  readonly concurrency: number;
  readonly onBadLine: (number: number, reason: string) => void;
  /** Called after each line; what it returns is awaited before the next line of the same worker. */
  readonly onProgress: (importer: Importer) => void | Promise<void>;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Lines, by what became of them. */
export interface ImportCounts {
  stored: number;
  unchanged: number;
  bad: number;
  blank: number;
}

interface Task {
  readonly line: Line;
  readonly record: Record;
}

const MAX_RETRIES = 50;
/** Errors that are the line's fault. */
const BAD_LINE_CODES: ReadonlySet<string> = new Set(['INVALID_ARGUMENT', 'KEY_TOO_LONG', 'VALUE_TOO_LARGE']);

export class Importer {
  readonly counts: ImportCounts = { stored: 0, unchanged: 0, bad: 0, blank: 0 };
  /** The line that ended the import, if one did. */
  stoppedAt: number | undefined;
  private readonly bucket: KeyValues;
  private readonly settings: ImportSettings;
  private readonly inHand = new Set<Line>();
  private readonly busyKeys = new Map<string, Promise<boolean>>();
  private taken: Position;
  private stopping = false;

  constructor(bucket: KeyValues, settings: ImportSettings, from: Position) {
    this.bucket = bucket;
    this.settings = settings;
    this.taken = from;
  }

  /**
   * Works through `lines` and resolves when all that was begun is done. Rejects with the first error that is not a
   * line's fault, then too with nothing left in flight.
   */
  async run(lines: AsyncIterable<Line>): Promise<void> {
    const tasks = this.tasksOf(lines);
    const workers = Array.from({ length: this.settings.concurrency }, () => this.work(tasks));
    const outcomes = await Promise.allSettled(workers);
    // Closes the file if no worker is left to see that it is to stop.
    await tasks.return();
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** Ends the import after what is in hand. */
  stop(): void {
    this.stopping = true;
  }

  /** Every line before this is done. */
  position(): Position {
    let first: Line | undefined;
    for (const line of this.inHand) if (first === undefined || line.start < first.start) first = line;
    return first === undefined ? this.taken : { offset: first.start, line: first.number - 1 };
  }

  /** Reads one line after another, whichever worker asks: so a bad line that stops the import stops it right there. */
  private async *tasksOf(lines: AsyncIterable<Line>): AsyncGenerator<Task, void, undefined> {
    const { recordOf, onError } = this.settings;
    for await (const line of lines) {
      if (this.stopping) return;
      const record = line.bytes === undefined ? 'it is longer than the largest value' : recordOf(line.bytes);
      if (typeof record === 'string') {
        this.reject(line, record);
        if (onError === 'stop') return;
      } else if (record === undefined) {
        this.counts.blank++;
      } else {
        this.inHand.add(line);
        this.taken = { offset: line.end, line: line.lastNumber };
        yield { line, record };
        continue;
      }
      this.taken = { offset: line.end, line: line.lastNumber };
    }
  }

  private async work(tasks: AsyncGenerator<Task, void, undefined>): Promise<void> {
    try {
      for (let next = await tasks.next(); !next.done; next = await tasks.next()) {
        const { line, record } = next.value;
        // A line that ends the import stays in hand, so that the next run begins with it.
        if (await this.inTurn(record.key, () => this.store(line, record))) this.inHand.delete(line);
        await this.settings.onProgress(this);
      }
    } catch (error) {
      this.stopping = true;
      throw error;
    }
  }

  /** Runs `act` after every earlier one of the same key. */
  private async inTurn(recordKey: Key, act: () => Promise<boolean>): Promise<boolean> {
    const key = typeof recordKey === 'string' ? recordKey : Buffer.from(recordKey).toString('latin1');
    const before = this.busyKeys.get(key);
    const turn = before === undefined ? act() : before.then(act);
    this.busyKeys.set(key, turn);
    try {
      return await turn;
    } finally {
      if (this.busyKeys.get(key) === turn) this.busyKeys.delete(key);
    }
  }

  /** False if the line was bad and ends the import. */
  private async store(line: Line, record: Record): Promise<boolean> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.putUnlessEqual(record);
        return true;
      } catch (error) {
        if (error instanceof OverloadedError && attempt < MAX_RETRIES) await this.settings.sleep(error.retryAfterMs);
        else if (error instanceof QuoralError && BAD_LINE_CODES.has(error.code)) {
          this.reject(line, error.message);
          return this.settings.onError === 'skip';
        } else throw error;
      }
    }
  }

  private async putUnlessEqual({ key, siblings }: Record): Promise<void> {
    const stored = await this.bucket.get(key);
    if (areJust(stored.siblings, siblings)) {
      this.counts.unchanged++;
      return;
    }
    let causalContext = stored.causalContext;
    for (const { value, contentType, metadata } of siblings) {
      await this.bucket.put(key, value, { causalContext, contentType, ...(metadata !== undefined && { metadata }) });
      // The first one replaces what was there; the others stand beside it.
      causalContext = undefined;
    }
    this.counts.stored++;
  }

  private reject(line: Line, reason: string): void {
    this.counts.bad++;
    this.settings.onBadLine(line.number, reason);
    if (this.settings.onError === 'skip') return;
    this.stopping = true;
    this.stoppedAt ??= line.number;
  }
}

/** True if what is stored is what the line asks for: each of `wanted` once, in any order. */
function areJust(stored: readonly Sibling<Uint8Array>[], wanted: readonly Content[]): boolean {
  if (stored.length !== wanted.length) return false;
  const left = [...stored];
  return wanted.every((content) => {
    const index = left.findIndex((sibling) => isEqual(sibling, content));
    if (index >= 0) left.splice(index, 1);
    return index >= 0;
  });
}

function isEqual(sibling: Sibling<Uint8Array>, { value, contentType, metadata }: Content): boolean {
  if (sibling.contentType !== contentType || !equalBytes(sibling.value, value)) return false;
  if (metadata === undefined) return true;
  const names = Object.keys(metadata);
  return (
    names.length === Object.keys(sibling.metadata).length &&
    names.every((name) => Object.hasOwn(sibling.metadata, name) && sibling.metadata[name] === metadata[name])
  );
}
