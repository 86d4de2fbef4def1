/**
 * What this system was booted as: a text that is another after every start of the machine, and the same for all
 * processes in between. Linux tells it.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The system's boot id; undefined where it tells none. */
export const SYSTEM_BOOT = systemBoot();

/**
 * As `SYSTEM_BOOT`; where the system tells none, one of this process's own: what another process left is then taken for
 * what another boot left, which is safe, and slow.
 */
export const BOOT = SYSTEM_BOOT ?? randomUUID();

function systemBoot(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() || undefined;
  } catch {
    // Not Linux, or /proc is not there: callers go on without.
    return undefined;
  }
}
