/**
 * A file that is there whole or not at all: written beside its place under another name, flushed, and renamed into it.
 * What was in its place stays until then.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Written in stretches of about so many bytes. */
const STRETCH_BYTES = 256 * 2 ** 10;

export class WholeFile {
  private readonly path: string;
  private readonly temporary: string;
  private readonly file: FileHandle;
  private held: string[] = [];
  private heldChars = 0;

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.path = path;
    this.temporary = temporary;
    this.file = file;
  }

  /** @throws what the file system says if it cannot be created there. */
  static async create(path: string): Promise<WholeFile> {
    const temporary = `${path}.${process.pid}.part`;
    return new WholeFile(path, temporary, await open(temporary, 'w'));
  }

  async write(text: string): Promise<void> {
    this.held.push(text);
    this.heldChars += text.length;
    if (this.heldChars >= STRETCH_BYTES) await this.writeHeld();
  }

  /** Puts the file in its place. */
  async finish(): Promise<void> {
    await this.writeHeld();
    await this.file.sync();
    await this.file.close();
    await rename(this.temporary, this.path);
    // The rename itself must outlast a loss of power, too.
    const directory = await open(dirname(this.path), 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }

  /** Leaves nothing behind. */
  async abandon(): Promise<void> {
    await this.file.close();
    await rm(this.temporary, { force: true });
  }

  private async writeHeld(): Promise<void> {
    const text = this.held.join('');
    this.held = [];
    this.heldChars = 0;
    await this.file.appendFile(text);
  }
}
