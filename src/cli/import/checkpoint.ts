/**
 * How far an import has come, in a file of the data directory, so that the same import goes on there after whatever
 * ended it. It may lag behind the truth, never run ahead: equal values are skipped, so doing lines twice is harmless.
 */
import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { readProgress, writeProgress } from '../progress-file.js';

/** What makes two imports the same one. */
export interface ImportIdentity {
  readonly file: string;
  /** Of the file, in bytes. */
  readonly size: number;
  /** Of the file, in milliseconds since 1970. */
  readonly modifiedMs: number;
  readonly bucket: string;
  readonly type: string;
  readonly format: string;
  readonly keyField: string;
}

/** Every line before it is done. */
export interface Position {
  /** In bytes. */
  readonly offset: number;
  /** The number of lines before it. */
  readonly line: number;
}

const VERSION = 1;

export class Checkpoint {
  private readonly path: string;
  private readonly directory: string;
  private readonly identity: string;

  constructor(dataDirectory: string, identity: ImportIdentity) {
    const { size, modifiedMs, ...name } = { ...identity, file: resolve(identity.file) };
    const hash = createHash('sha256').update(JSON.stringify(name)).digest('hex').slice(0, 16);
    this.directory = join(dataDirectory, 'imports');
    this.path = join(this.directory, `${hash}.json`);
    this.identity = JSON.stringify({ version: VERSION, ...name, size, modifiedMs });
  }

  /** Where to go on; undefined if there is nothing to go on from, or the file has changed since. */
  async load(): Promise<Position | undefined> {
    const found = (await readProgress(this.path)) as Partial<Position & { identity: string }> | null | undefined;
    if (found?.identity !== this.identity) return undefined;
    const { offset, line } = found;
    return Number.isSafeInteger(offset) && Number.isSafeInteger(line) ? { offset: offset!, line: line! } : undefined;
  }

  async save({ offset, line }: Position): Promise<void> {
    await mkdir(this.directory, { recursive: true });
    await writeProgress(this.path, { identity: this.identity, offset, line });
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}
