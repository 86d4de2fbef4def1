/**
 * Opens a store: checks the options, takes the directory, makes or reads the ring, starts the nodes.
 */
import { InvalidArgumentError } from '../base/errors.js';
import { createRing, type Ring } from '../ring/ring.js';
import { ringFromJson, ringToJson } from '../ring/ring-json.js';
import type { OpenOptions } from './api/open-options.js';
import type { Store } from './api/store.js';
import { type FixedOptions, type NodeEntry, openDataDirectory } from './data-directory.js';
import {
  type CheckedOptions,
  canBeDurable,
  checkDurable,
  checkNodes,
  checkOpenOptions,
  DEFAULT_N,
  DEFAULT_NODES,
  DEFAULT_PARTITIONS,
  defaultQuorum,
  type Quorums,
  quorumOf,
} from './options.js';
import { EmbeddedStore } from './store.js';
import type { WorkerOptions } from './worker-options.js';

/**
 * Opens the store at `options.path`, or one in memory without a path, and starts its nodes, each on a worker thread.
 * Options that are fixed at creation may be left out when an existing store is opened.
 *
 * @throws {InvalidArgumentError} An option is unknown or out of its range.
 * @throws {LockedError} The directory is open, here or in another process.
 * @throws {OptionsMismatchError} It was created with other nodes, n or partitions.
 * @throws {UnknownFormatError} It holds something else, or is of a newer version.
 * @throws {StorageFullError} @throws {StorageFailedError} The disk is full or failing.
 */
export function open(options: OpenOptions = {}): Promise<Store> {
  return openWith(options, {});
}

/** `open`, with a say in what its threads run. Not of the package's API. */
export async function openWith(options: OpenOptions, workers: WorkerOptions): Promise<Store> {
  const checked = checkOpenOptions(options);
  if (checked.path === undefined) return openInMemory(checked, workers);
  const directory = await openDataDirectory(checked.path, givenOptions(checked), () => creation(checked));
  try {
    const { manifest } = directory;
    const ring = ringFromJson(manifest.ring);
    checkQuorums(checked, ring.n);
    const paths = ring.members.map(({ name }) => {
      const entry = manifest.nodes.find((node) => node.name === name)!;
      return directory.nodePath(entry);
    });
    const { isNew } = directory;
    return await EmbeddedStore.start({
      options: checked,
      ring,
      paths,
      isNew,
      release: () => directory.close(),
      workers,
    });
  } catch (error) {
    // If the nodes had started they were stopped, and gave the directory back themselves: this does nothing then.
    directory.close();
    throw error;
  }
}

function openInMemory(options: CheckedOptions, workers: WorkerOptions): Promise<Store> {
  const { ring } = plan(options);
  checkQuorums(options, ring.n);
  const paths = ring.members.map(() => null);
  return EmbeddedStore.start({ options, ring, paths, isNew: true, release: () => undefined, workers });
}

/** What a new store is made of. */
function plan({ nodes, n, partitions }: CheckedOptions): { ring: Ring; entries: NodeEntry[] } {
  const members = nodes ?? checkNodes(DEFAULT_NODES);
  if (n !== undefined && n > members.length) {
    throw new InvalidArgumentError(
      `n is ${n}, but there are ${members.length} nodes: a node keeps at most one replica`,
    );
  }
  const ring = createRing({
    members,
    n: n ?? Math.min(DEFAULT_N, members.length),
    partitions: partitions ?? DEFAULT_PARTITIONS,
  });
  return { ring, entries: members.map(entryOf) };
}

function creation(options: CheckedOptions): FixedOptions & { ring: unknown } {
  const { ring, entries } = plan(options);
  checkQuorums(options, ring.n);
  return { nodes: entries, n: ring.n, partitions: ring.partitions, ring: ringToJson(ring) };
}

/** What the caller asked for of all that is fixed at creation. */
function givenOptions({ nodes, n, partitions }: CheckedOptions): Partial<FixedOptions> {
  return {
    ...(nodes === undefined ? {} : { nodes: nodes.map(entryOf) }),
    ...(n === undefined ? {} : { n }),
    ...(partitions === undefined ? {} : { partitions }),
  };
}

function entryOf(node: NonNullable<CheckedOptions['nodes']>[number]): NodeEntry {
  const { name, zone, weight, path = name } = node;
  return { name, path, zone, weight };
}

/** @throws {InvalidArgumentError} A default quorum is more than n, or asks for what cannot be. */
function checkQuorums(options: CheckedOptions, n: number): void {
  const { quorums } = options;
  for (const which of ['r', 'w', 'pr', 'pw', 'dw'] as const satisfies (keyof Quorums)[]) {
    const asked = quorums[which];
    const quorum = quorumOf(which, asked === undefined ? defaultQuorum(which, n) : asked, n);
    if (which === 'dw') checkDurable(quorum, canBeDurable(options));
  }
}
