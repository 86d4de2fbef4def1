/** A disk of a chosen size: a tmpfs, which only root on Linux can mount. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class SmallDisk {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** @returns the disk, or why there can be none here */
  static mount(bytes: number): SmallDisk | string {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a small disk needs root on Linux: not tested';
    const path = mkdtempSync(join(tmpdir(), 'quoral-disk-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'quoral-test', path], { stdio: 'pipe' });
    } catch (error) {
      rmdirSync(path);
      return `a small disk could not be mounted: not tested (${error instanceof Error ? error.message.trim() : error})`;
    }
    return new SmallDisk(path);
  }

  resize(bytes: number): void {
    this.remount(`size=${bytes}`);
  }

  /** Nothing may have a file open for writing. */
  setReadOnly(readOnly: boolean): void {
    this.remount(readOnly ? 'ro' : 'rw');
  }

  unmount(): void {
    // Lazily: of a test that failed, something may still have files open.
    execFileSync('umount', ['--lazy', this.path]);
    rmdirSync(this.path);
  }

  private remount(options: string): void {
    execFileSync('mount', ['-o', `remount,${options}`, this.path]);
  }
}
