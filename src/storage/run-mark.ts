/**
 * How a node's last run ended, and what its objects file may have suffered since: kept in its system storage, which is
 * always fully synced.
 *
 *     1 format version · 1 flags (1: ended in order, 2: its objects file was not synced at every commit) · boot, as UTF-8
 *
 * A file that is not synced survives the end of its process, because the system has its pages, but not the end of the
 * system: after that its pages are on disk as chance had it.
 */
import { textOf, utf8 } from '../base/bytes.js';
import type { Storage } from './storage.js';

export interface RunMark {
  /** What the system was booted as; another name means that its memory is gone. */
  readonly boot: string;
  /** Of the objects file. */
  readonly sync: 'full' | 'none';
  /** It ended in order: everything was flushed, and nothing written since. */
  readonly clean: boolean;
}

const KEY = utf8('run');
const VERSION = 1;
const CLEAN = 1;
const UNSYNCED = 2;

/** The mark of the last run; undefined if there is none, or none that this version can read. */
export function readRunMark(system: Storage): RunMark | undefined {
  const value = system.get(KEY);
  if (value === undefined || value.length < 2 || value[0] !== VERSION) return undefined;
  const flags = value[1]!;
  const boot = textOf(value.subarray(2));
  if (boot === undefined) return undefined;
  return { boot, sync: (flags & UNSYNCED) === 0 ? 'full' : 'none', clean: (flags & CLEAN) !== 0 };
}

/** Writes the mark durably. Throws what the storage throws. */
export function writeRunMark(system: Storage, mark: RunMark): void {
  const boot = utf8(mark.boot);
  const value = new Uint8Array(2 + boot.length);
  value[0] = VERSION;
  value[1] = (mark.clean ? CLEAN : 0) | (mark.sync === 'none' ? UNSYNCED : 0);
  value.set(boot, 2);
  system.put(KEY, value);
  system.commit();
  if (!system.commitIsDurable) system.flush();
}

/** True if the objects file that the run left must be what its last commit made it, under the system booted as `boot`. */
export function isTrusted(mark: RunMark | undefined, boot: string): boolean {
  return mark !== undefined && (mark.clean || mark.sync === 'full' || mark.boot === boot);
}
