/** What a simulated cluster is made from: its size and quorums, the actors of its nodes, and what a test plants in it. */
import type { Random } from '../base/random.js';
import type { NodeCounters } from '../metrics/node-counters.js';
import type { PreferenceList } from '../ring/preference-list.js';
import type { ActorContext, ActorHost } from '../runtime/actor.js';
import type { Storage } from '../storage/storage.js';
import type { ReceiptParts } from '../store/receipt.js';
import type { History } from './history.js';
import type { ClientActor } from './simulated-client.js';
import type { Tap } from './tapped-host.js';

/** What a node's actors are made from. */
export interface NodeParts {
  readonly node: number;
  readonly preferenceLists: readonly PreferenceList[];
  readonly objects: Storage;
  readonly system: Storage;
  readonly hints: Storage;
  /** True at the node's first start. */
  readonly isNew: boolean;
  /** As in the product: true where each commit makes objects durable. */
  readonly canBeDurable: boolean;
  readonly maxHintBytes: number;
  readonly random: Random;
  readonly counters: NodeCounters;
  readonly maxOperations: number;
  readonly maxSiblings: number;
  readonly maxObjectBytes: number;
  /** How often the node has lost its objects. */
  readonly losses: number;
  /** True if its hints were not synced, and its power went since it was last started. */
  readonly mayHintsBeOld: boolean;
  readonly exchangeIntervalMs: number | undefined;
  readonly maxTreeAgeMs: number;
  readonly tombstoneGraceMs: number | undefined;
  readonly attemptMs: number;
  readonly maxContextEntries: number | undefined;
  readonly report: (what: string, error: Error) => void;
  /** Is given what somebody outside may ask of the node, at each of its starts. */
  readonly control: (control: NodeHurry) => void;
}

/** Asks a node for what it does by itself now and then. */
export interface NodeHurry {
  /** To compare the replicas whose exchanges it leads. */
  compare(): void;
  /** To look for what may be reaped. */
  reap(): void;
}

/** The actors' registry: puts a node's actors onto a host. */
export type SpawnNode = (host: ActorHost, parts: NodeParts) => void;

/** Mistakes that a test plants, to see whether the checkers notice. */
export interface Planted {
  readonly name: string;
  /** Taps the actors of a node, at each of its starts. */
  readonly nodes?: (node: number) => Tap;
  /** Taps a storage before the actors get it. */
  readonly objects?: (inner: Storage) => Storage;
  readonly hints?: (inner: Storage) => Storage;
  readonly client?: (context: ActorContext) => ActorContext;
  /** What is hosted in a client's stead; `context` is the tapped one. */
  readonly clientActor?: (inner: ClientActor, context: ActorContext) => ClientActor;
  readonly receiptToken?: (parts: ReceiptParts, history: History) => string;
}

export interface SimulatedClusterOptions {
  readonly seed: number;
  readonly spawn: SpawnNode;
  /** How many nodes (default 5), named 'a', 'b', … */
  readonly nodes?: number;
  /** By node, its zone (default: each its own). */
  readonly zones?: readonly string[];
  readonly n?: number;
  readonly r?: number;
  readonly w?: number;
  readonly partitions?: number;
  readonly clients?: number;
  readonly sync?: 'full' | 'none';
  /**
   * Whether answers that are to be durable can be waited for (default: as in the product, only with `sync: 'full'`). True
   * with 'none' is a storage that a flush makes durable: the contract of storages knows it, and the product opens none.
   */
  readonly canBeDurable?: boolean;
  readonly timeoutMs?: number;
  /** What a node keeps for others, in bytes of keys and records (default 64 MiB). */
  readonly maxHintBytes?: number;
  /** Operations that a node's coordinator has under way at a time (default 1,000). */
  readonly maxOperations?: number;
  /** Requests that a client has in flight at a time (default 1,000). */
  readonly maxInFlight?: number;
  /** How often replicas are compared, in virtual milliseconds (default: never). */
  readonly exchangeIntervalMs?: number;
  /** How old a tree of a replica may be, in milliseconds (default: a week). */
  readonly maxTreeAgeMs?: number;
  /** How long deletions are kept before they are reaped, in virtual milliseconds (default: for good). */
  readonly tombstoneGraceMs?: number;
  /** How long attempts that were given up for later ones are kept at least (default: as in production, over an hour). */
  readonly attemptMs?: number;
  /** Where deletions are reaped, contexts of more entries are reduced (default: as in production). */
  readonly maxContextEntries?: number;
  readonly planted?: Planted;
  /** Told in words of everything that strikes or is done, for stories. */
  readonly say?: (time: number, what: string) => void;
}
