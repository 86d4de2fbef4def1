/**
 * How a node's last run ended, and what its files of objects and hints may have suffered since: kept in its system storage,
 * which is always fully synced.
 *
 *     1 format version · 1 flags · 4 how often its objects were lost · boot, as UTF-8; under a checksum
 *     flags: 1 ended in order · 2 these files were not synced at every commit · 4 has not had an objects file yet
 *
 * A file that is not synced survives the end of its process, because the system has its pages, but not the end of the
 * system: after that its pages are on disk as chance had it.
 */
import { textOf, utf8 } from '../base/bytes.js';
import { sealed, unsealed } from '../base/sealed.js';
import type { Storage } from './storage.js';

export interface RunMark {
  /** What the system was booted as; another name means that its memory is gone. */
  readonly boot: string;
  /** Of objects and hints. */
  readonly sync: 'full' | 'none';
  /** Its objects file was still to be created: that it is missing is no loss. */
  readonly isNew: boolean;
  /** How often the node has lost its objects file, or had to set it aside, over its life. */
  readonly losses: number;
  /** It ended in order: everything was flushed, and nothing written since. */
  readonly clean: boolean;
}

export const RUN_KEY = utf8('run');
const VERSION = 3;
const HEADER_BYTES = 6;
const CLEAN = 1;
const UNSYNCED = 2;
const NEW = 4;

/** The mark of the last run; undefined if there is none, or none that can be read. */
export function readRunMark(system: Storage): RunMark | undefined {
  const stored = system.get(RUN_KEY);
  const value = stored === undefined ? undefined : unsealed(stored);
  if (value === undefined || value.length < HEADER_BYTES || value[0] !== VERSION) return undefined;
  const flags = value[1]!;
  const boot = textOf(value.subarray(HEADER_BYTES));
  if (boot === undefined) return undefined;
  return {
    boot,
    sync: (flags & UNSYNCED) === 0 ? 'full' : 'none',
    isNew: (flags & NEW) !== 0,
    losses: new DataView(value.buffer, value.byteOffset).getUint32(2),
    clean: (flags & CLEAN) !== 0,
  };
}

/** Writes the mark durably. Throws what the storage throws. */
export function writeRunMark(system: Storage, mark: RunMark): void {
  const boot = utf8(mark.boot);
  const value = new Uint8Array(HEADER_BYTES + boot.length);
  value[0] = VERSION;
  value[1] = (mark.clean ? CLEAN : 0) | (mark.sync === 'none' ? UNSYNCED : 0) | (mark.isNew ? NEW : 0);
  new DataView(value.buffer).setUint32(2, mark.losses);
  value.set(boot, HEADER_BYTES);
  system.put(RUN_KEY, sealed(value));
  system.commit();
  if (!system.commitIsDurable) system.flush();
}

/** True if the files that the run left must be what their last commits made them, under the system booted as `boot`. */
export function isTrusted(mark: RunMark | undefined, boot: string): boolean {
  return mark !== undefined && (mark.clean || mark.sync === 'full' || mark.boot === boot);
}
