/**
 * How far an export has come, in a file beside its own (`<path>.part.json`): what `--resume` goes on from. It never runs
 * ahead of what is in the part, and durably so.
 */
import { rm } from 'node:fs/promises';
import { readProgress, writeProgress } from '../progress-file.js';

/** What makes two exports the same one: where from, and in which form. */
export interface ExportIdentity {
  /** The data directory, or the service's URL. */
  readonly from: string;
  readonly bucket: string;
  readonly type: string;
  readonly format: string;
  readonly separator: string;
  /** Those that were asked for. */
  readonly fields: readonly string[] | undefined;
}

/** All keys up to `cursor` are dealt with. */
export interface ExportPosition {
  /** The `cursor` of the last entry. */
  readonly cursor: string;
  /** Of the part. */
  readonly bytes: number;
  readonly exported: number;
  readonly unfit: number;
  /** Of CSV: the names of the header that is in it. */
  readonly header: readonly string[] | undefined;
}

/** What is in the file. */
interface Content {
  readonly version: number;
  readonly identity: string;
  /** The process that writes, while it does. */
  readonly pid: number | null;
  readonly position: ExportPosition | null;
}

const VERSION = 1;

export class ExportMark {
  private readonly path: string;
  private readonly identity: string;

  constructor(file: string, identity: ExportIdentity) {
    this.path = `${file}.part.json`;
    this.identity = JSON.stringify(identity);
  }

  /**
   * Where to go on.
   * @returns 'none' if there is nothing to go on from, 'other' if that is of another export, or the number of the process
   *   that is at it
   */
  async load(): Promise<ExportPosition | 'none' | 'other' | number> {
    const content = await this.read();
    if (content === undefined) return 'none';
    const { identity, pid, position } = content;
    if (pid !== null && pid !== process.pid && isRunning(pid)) return pid;
    if (identity !== this.identity) return 'other';
    return position ?? 'none';
  }

  /** @param position - undefined before the first one */
  async begin(position: ExportPosition | undefined): Promise<void> {
    await this.write({ pid: process.pid, position: position ?? null });
  }

  async save(position: ExportPosition): Promise<void> {
    await this.write({ pid: process.pid, position });
  }

  /** Nobody is at it any more. */
  async leave(position: ExportPosition): Promise<void> {
    await this.write({ pid: null, position });
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  private async read(): Promise<Content | undefined> {
    const content = (await readProgress(this.path)) as Content | null | undefined;
    return content?.version === VERSION ? content : undefined;
  }

  private async write(content: Pick<Content, 'pid' | 'position'>): Promise<void> {
    await writeProgress(this.path, { version: VERSION, identity: this.identity, ...content });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is there, and another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
