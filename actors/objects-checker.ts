/**
 * The entry of a child process that walks through a node's file of objects or of hints, whose path is its argument, and
 * tells its parent what is wrong with it: every key must decode and be above the one before, every record's checksum must
 * hold, and there must be as many as the file says. With 'tree' as its second argument records may be unreadable;
 * with 'order', as for hints, they are not looked at, and keys need only be in order.
 *
 * What this cannot see: a record that went back to an older version of itself (its node takes new writerIds anyway), and
 * damage to LMDB's list of free pages.
 */
import process from 'node:process';
import { setImmediate } from 'node:timers/promises';
import { compareBytes } from '../src/base/bytes.js';
import { CorruptRecordError, UnknownRecordVersionError } from '../src/codec/errors.js';
import { decodeLocatedKey } from '../src/codec/key.js';
import { BEHIND_RECORDS } from '../src/codec/own-keys.js';
import { checkRecord } from '../src/codec/record.js';
import type { CheckVerdict } from '../src/storage/check-in-child.js';
import { DamagedFileError } from '../src/storage/damaged-file.js';
import { openLmdbStorage } from '../src/storage/lmdb-storage.js';
import type { Storage, StorageEntry } from '../src/storage/storage.js';

/** Entries that are read at a time, unless those before were larger than this, in bytes. */
const PAGE = 64;
const LARGE_PAGE_BYTES = 8 * 2 ** 20;

const path = process.argv[2]!;
const what = process.argv[3];
// Whoever asked is gone: nobody needs the answer.
process.on('disconnect', () => process.exit(1));
const verdict: CheckVerdict = { damage: await damageOf(path) };
process.send!(verdict, () => process.exit(0));

async function damageOf(path: string): Promise<string | null> {
  try {
    const storage = openLmdbStorage({ path, sync: 'none' });
    await walk(storage);
    storage.close();
    return null;
  } catch (error) {
    // Anything else (no memory, no access, …) says nothing of the file.
    if (error instanceof CorruptRecordError || error instanceof DamagedFileError) return error.message;
    throw error;
  }
}

async function walk(storage: Storage): Promise<void> {
  const { entries } = storage.stats();
  let count = 0;
  let limit = PAGE;
  let last: Uint8Array | undefined;
  for (;;) {
    const page = storage.range({ ...(last !== undefined && { gt: last }), limit });
    let bytes = 0;
    for (const entry of page) {
      if (last !== undefined && compareBytes(last, entry.key) >= 0)
        throw new CorruptRecordError('Keys are out of order');
      last = entry.key;
      bytes += entry.value.length;
      check(entry);
    }
    count += page.length;
    if (page.length < limit) break;
    limit = bytes > LARGE_PAGE_BYTES ? 1 : PAGE;
    // So that a parent that is gone is noticed.
    await setImmediate();
  }
  if (count !== entries) throw new CorruptRecordError(`It has ${count} entries, and says that there are ${entries}`);
}

function check({ key, value }: StorageEntry): void {
  if (what === 'order' || compareBytes(key, BEHIND_RECORDS) >= 0) return;
  decodeLocatedKey(key);
  if (what === 'tree') return;
  try {
    checkRecord(value);
  } catch (error) {
    // Whole, and written by a newer version.
    if (!(error instanceof UnknownRecordVersionError)) throw error;
  }
}
