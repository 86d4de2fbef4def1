/** `quoral properties`: prints or changes what is stored of a bucket or a bucket type; creates types. */
import Table from 'cli-table3';
import { type Command, InvalidArgumentError } from 'commander';
import type { BucketProperties, BucketPropertyChanges } from '../store/api/properties.js';
import type { Store } from '../store/api/store.js';
import { addJson, addTimeout, quorum } from './options.js';
import { RemoteProperties } from './remote-properties.js';
import { addTarget, DEFAULT_URL, type TargetFlags, withStore } from './target.js';
import { print, type Terminal, UsageError } from './terminal.js';

interface Flags extends TargetFlags {
  readonly set?: Changes;
  readonly unset?: Changes;
  readonly create?: boolean;
  readonly json?: boolean;
  readonly timeout?: number;
}

type Changes = { readonly [P in keyof BucketPropertyChanges]: NonNullable<BucketPropertyChanges[P]> | null };

/** By property, how its text is read; what it may be, the store knows. */
const READERS: { readonly [P in keyof BucketPropertyChanges]-?: (text: string) => unknown } = {
  r: quorum,
  w: quorum,
  pr: quorum,
  pw: quorum,
  dw: quorum,
  notfoundOk: truth,
  basicQuorum: truth,
  ttlMs: count,
  maxSiblings: count,
  resolution: resolutionOf,
};
const NAMES = Object.keys(READERS).join(', ');

export function addProperties(program: Command, terminal: Terminal): void {
  const command = program
    .command('properties')
    .description('print what holds for a bucket, or for a bucket type if none is named; change it')
    .argument('[bucket]')
    .option('--set <property=value>', `change a property (may be repeated): ${NAMES}`, setting)
    .option('--unset <property>', 'take a property back: then that of the type, or of the store holds', unsetting)
    .option('--create', 'create the bucket type');
  addJson(addTimeout(addTarget(command)))
    .addHelpText(
      'after',
      `
Example:
  $ quoral properties carts
  $ quoral properties sessions --set ttlMs=1800000 --set resolution=last-write-wins
  $ quoral properties --type durable --create --set dw=2
  $ quoral properties sessions --unset ttlMs --data ./data`,
    )
    .action((bucket: string | undefined, flags: Flags) => properties(terminal, bucket, flags));
}

/** What both kinds of target can do. */
type Target = Pick<RemoteProperties, 'get' | 'set'>;

async function properties(terminal: Terminal, bucket: string | undefined, flags: Flags): Promise<void> {
  const { data, url = DEFAULT_URL, type, create = false } = flags;
  if (create && bucket !== undefined) throw new UsageError('--create is for a bucket type: name no bucket');
  const changes = { ...flags.set, ...flags.unset };
  const isChange = create || Object.keys(changes).length > 0;
  const wait = flags.timeout === undefined ? {} : { timeoutMs: flags.timeout };
  const act = async (target: Target): Promise<BucketProperties> => {
    // A type that is not there would be created by a change.
    if (isChange && bucket === undefined && !create) await target.get(wait);
    if (isChange) await target.set(changes as BucketPropertyChanges, wait);
    return target.get(wait);
  };
  const holding =
    data === undefined
      ? await act(new RemoteProperties(url, type, bucket))
      : await withStore(terminal, data, (store) => act(targetIn(store, type, bucket)));
  await print(terminal.stdout, flags.json ? `${JSON.stringify(holding)}\n` : `${table(holding)}\n`);
}

function targetIn(store: Store, type: string, bucket: string | undefined): Target {
  if (bucket === undefined) {
    return {
      get: (wait) => store.bucketType(type, wait),
      set: (changes, wait) => store.setBucketType(type, changes, wait),
    };
  }
  return {
    get: (wait) => store.bucketProperties(bucket, { ...wait, type }),
    set: (changes, wait) => store.setBucketProperties(bucket, changes, { ...wait, type }),
  };
}

function table(holding: BucketProperties): string {
  const rows = new Table({ head: ['property', 'value'], style: { head: [], border: [] } });
  for (const [name, value] of Object.entries(holding)) rows.push([name, value === undefined ? '–' : String(value)]);
  return `${rows}`;
}

/** An option's parser, which is called once for each time it is given. */
function setting(text: string, before: Changes = {}): Changes {
  const at = text.indexOf('=');
  if (at < 0) throw new InvalidArgumentError(`It must be PROPERTY=VALUE, with one of ${NAMES}.`);
  const name = known(text.slice(0, at));
  return { ...before, [name]: READERS[name](text.slice(at + 1)) };
}

function unsetting(text: string, before: Changes = {}): Changes {
  return { ...before, [known(text)]: null };
}

function known(name: string): keyof BucketPropertyChanges {
  if (Object.hasOwn(READERS, name)) return name as keyof BucketPropertyChanges;
  throw new InvalidArgumentError(`There is no property "${name}" to change; there are ${NAMES}.`);
}

function truth(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new InvalidArgumentError('It must be true or false.');
}

function resolutionOf(text: string): BucketProperties['resolution'] {
  if (text === 'siblings' || text === 'last-write-wins') return text;
  throw new InvalidArgumentError("It must be 'siblings' or 'last-write-wins'.");
}

function count(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number.');
}
