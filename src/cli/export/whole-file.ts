/**
 * A file that is there whole or not at all: written beside its place, as `<path>.part`, flushed, and renamed into it.
 * What was in its place stays until then. Work that was stopped may be gone on with: up to a mark, the part is as it was.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Written in stretches of about so many bytes. */
const STRETCH_BYTES = 256 * 2 ** 10;

export class WholeFile {
  private readonly path: string;
  private readonly file: FileHandle;
  /** Of what is in the part, those that were written to it. */
  private written: number;
  private held: string[] = [];
  private heldChars = 0;

  private constructor(path: string, file: FileHandle, written: number) {
    this.path = path;
    this.file = file;
    this.written = written;
  }

  /** @throws what the file system says if it cannot be created there. */
  static async create(path: string): Promise<WholeFile> {
    return new WholeFile(path, await open(partOf(path), 'w'), 0);
  }

  /**
   * Goes on behind the first `bytes` of what `keep` left.
   * @returns undefined if there is no part, or a shorter one @throws what the file system says
   */
  static async goOn(path: string, bytes: number): Promise<WholeFile | undefined> {
    let file: FileHandle;
    try {
      file = await open(partOf(path), 'r+');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    if ((await file.stat()).size < bytes) {
      await file.close();
      return undefined;
    }
    await file.truncate(bytes);
    return new WholeFile(path, file, bytes);
  }

  async write(text: string): Promise<void> {
    this.held.push(text);
    this.heldChars += text.length;
    if (this.heldChars >= STRETCH_BYTES) await this.writeHeld();
  }

  /** Makes durable what was written. @returns of how many bytes it is */
  async sync(): Promise<number> {
    await this.writeHeld();
    await this.file.sync();
    return this.written;
  }

  /** Puts the file in its place. */
  async finish(): Promise<void> {
    await this.sync();
    await this.file.close();
    await rename(partOf(this.path), this.path);
    // The rename itself must outlast a loss of power, too.
    const directory = await open(dirname(this.path), 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }

  /** Leaves the part to be gone on with, as far as it was written. */
  async keep(): Promise<void> {
    await this.file.close();
  }

  /** Leaves nothing behind. */
  async abandon(): Promise<void> {
    await this.file.close();
    await rm(partOf(this.path), { force: true });
  }

  private async writeHeld(): Promise<void> {
    const bytes = Buffer.from(this.held.join(''));
    this.held = [];
    this.heldChars = 0;
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.file.write(bytes, done, bytes.length - done, this.written);
      done += bytesWritten;
      this.written += bytesWritten;
    }
  }
}

function partOf(path: string): string {
  return `${path}.part`;
}
