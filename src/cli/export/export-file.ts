/** What an export is written to, and how it is stopped and gone on with: a file of its own, or standard output. */
import { CommandError, print, type Terminal, UsageError } from '../terminal.js';
import { type ExportIdentity, ExportMark, type ExportPosition } from './export-mark.js';
import { WholeFile } from './whole-file.js';

/** Where an export is, but for the bytes. */
export type Reached = Omit<ExportPosition, 'bytes'>;

export interface ExportSink {
  /** Where it goes on; undefined: at the beginning. */
  readonly from: Reached | undefined;
  write(text: string): Promise<void>;
  /** Everything up to where `reached` says was written: now and then that is made durable, and remembered. */
  passed(reached: () => Reached | undefined): Promise<void>;
  /** All was written. */
  finish(): Promise<void>;
  /** It is to be gone on with later; behind `reached`, unless nothing was dealt with. @returns whether it can be */
  stop(reached: Reached | undefined): Promise<boolean>;
}

const REMEMBER_EVERY_MS = 1_000;

export class ExportFile implements ExportSink {
  readonly from: Reached | undefined;
  private readonly part: WholeFile;
  private readonly mark: ExportMark;
  private readonly now: () => number;
  private rememberedMs: number;

  private constructor(part: WholeFile, mark: ExportMark, from: Reached | undefined, now: () => number) {
    this.part = part;
    this.mark = mark;
    this.from = from;
    this.now = now;
    this.rememberedMs = now();
  }

  /**
   * @param resume - goes on behind what an export that was stopped has left, if there is that
   * @throws {UsageError} That was another export, or is still running.
   * @throws {CommandError} It cannot be written there.
   */
  static async open(terminal: Terminal, file: string, identity: ExportIdentity, resume: boolean): Promise<ExportFile> {
    const mark = new ExportMark(file, identity);
    try {
      const found = await mark.load();
      if (typeof found === 'number') {
        throw new UsageError(`process ${found} is writing ${file} already; if it is not, remove ${file}.part.json`);
      }
      if (resume && found === 'other') {
        throw new UsageError(
          `what was left of ${file} is of another export (bucket, format or place): leave --resume out to begin anew`,
        );
      }
      let from = resume && typeof found === 'object' ? found : undefined;
      let part = from === undefined ? undefined : await WholeFile.goOn(file, from.bytes);
      if (part === undefined) {
        from = undefined;
        if (resume) terminal.stderr.write('there is nothing to go on from: it begins at the first key\n');
        part = await WholeFile.create(file);
      } else if (from !== undefined) terminal.stderr.write(`going on after ${from.exported + from.unfit} keys\n`);
      await mark.begin(from);
      return new ExportFile(part, mark, from, () => terminal.now());
    } catch (error) {
      if (error instanceof UsageError) throw error;
      throw new CommandError(`Cannot write ${file}: ${(error as Error).message}`);
    }
  }

  write(text: string): Promise<void> {
    return this.part.write(text);
  }

  async passed(reached: () => Reached | undefined): Promise<void> {
    if (this.now() - this.rememberedMs < REMEMBER_EVERY_MS) return;
    const position = reached();
    if (position !== undefined) await this.mark.save({ ...position, bytes: await this.part.sync() });
    this.rememberedMs = this.now();
  }

  async finish(): Promise<void> {
    await this.part.finish();
    await this.mark.remove();
  }

  async stop(reached: Reached | undefined): Promise<boolean> {
    if (reached === undefined) {
      await this.part.abandon();
      await this.mark.remove();
      return false;
    }
    try {
      await this.mark.leave({ ...reached, bytes: await this.part.sync() });
    } finally {
      // Should the disk be full, what was remembered before still holds.
      await this.part.keep();
    }
    return true;
  }
}

/** Cannot be gone on with. */
export function standardOutput({ stdout }: Terminal): ExportSink {
  return {
    from: undefined,
    write: (text) => print(stdout, text),
    passed: async () => {},
    finish: async () => {},
    stop: async () => false,
  };
}
