/** Where a command's data is: a directory that it opens itself (`--data`), or a running service (`--url`). */
import { existsSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type { Bucket } from '../store/api/bucket.js';
import type { OpenOptions } from '../store/api/open-options.js';
import type { ScanEntry, ValuedEntry } from '../store/api/results.js';
import type { Store } from '../store/api/store.js';
import { RemoteBucket, type ScanRange } from './remote-store.js';
import { CommandError, type Terminal } from './terminal.js';

export const DEFAULT_URL = 'http://127.0.0.1:8098';

/** What both kinds of target can do. */
export interface KeyValues extends Pick<Bucket<Uint8Array>, 'get' | 'put' | 'delete'> {
  scan(options: ScanRange & { readonly values: true }): AsyncIterable<ValuedEntry<Uint8Array>>;
  scan(options?: ScanRange): AsyncIterable<ScanEntry | ValuedEntry<Uint8Array>>;
}

export interface TargetFlags {
  readonly data?: string;
  readonly url?: string;
  readonly type: string;
}

export function addTarget(command: Command): Command {
  return addDataOrUrl(command).option('--type <type>', 'bucket type', 'default');
}

/** The options that say where, for a command on the whole store. */
export function addDataOrUrl(command: Command): Command {
  return command
    .addOption(new Option('--data <dir>', 'open the store in this directory').conflicts('url'))
    .addOption(new Option('--url <url>', `talk to a running service (default: ${DEFAULT_URL})`).conflicts('data'));
}

/**
 * Opens the target's bucket for `use`, and closes it afterwards.
 * @param create - creates the data directory if it is missing, with these options; without, that is an error
 */
export async function withBucket<T>(
  terminal: Terminal,
  bucket: string,
  flags: TargetFlags,
  use: (bucket: KeyValues) => Promise<T>,
  create?: OpenOptions,
): Promise<T> {
  const { data, type } = flags;
  if (data === undefined) return use(new RemoteBucket(flags.url ?? DEFAULT_URL, bucket, type));
  return withStore(terminal, data, (store) => use(store.bucket<Uint8Array>(bucket, { type })), create);
}

/** Opens the store in `data` for `use`, and closes it afterwards. */
export async function withStore<T>(
  terminal: Terminal,
  data: string,
  use: (store: Store) => Promise<T>,
  create?: OpenOptions,
): Promise<T> {
  if (create === undefined && !existsSync(data)) throw new CommandError(`There is no store in ${data}`);
  await using store = await terminal.openStore({ ...create, path: data });
  return await use(store);
}
