/**
 * A whole cluster in one real thread and in virtual time: its nodes' actors, its clients, and every fault that the
 * simulator knows, under names of the cluster.
 *
 *     const cluster = new SimulatedCluster({ seed: 7, spawn });
 *     cluster.split(['a', 'b'], ['c', 'd', 'e']);
 *     const put = cluster.put('cart', 'milk');
 *     cluster.runFor(500); // Virtual milliseconds.
 *
 * It is given the actors' registry: nothing in src/ imports an actor.
 */
import { MAX_CONTEXT_ENTRIES } from '../anti-entropy/reaping.js';
import { assert } from '../base/assert.js';
import { equalBytes, latin1 } from '../base/bytes.js';
import { StorageFailedError, StorageFullError } from '../base/errors.js';
import { SeededRandom } from '../base/random.js';
import { partitionOf } from '../codec/key.js';
import { deadFromMsIn } from '../codec/record-update.js';
import { coordinatorRef, vnodeRef } from '../messages/addresses.js';
import { MAX_ATTEMPT_MS } from '../messages/object-request.js';
import { type NodeCounters, newNodeCounters } from '../metrics/node-counters.js';
import { createRing, type Ring } from '../ring/ring.js';
import type { ActorHost } from '../runtime/actor.js';
import type { LinkBehaviour } from '../runtime/simulator/network.js';
import { SIMULATION_EPOCH_MS } from '../runtime/simulator/simulated-clock.js';
import type { Latency, SimulatedDisk } from '../runtime/simulator/simulated-disk.js';
import { PlannedCrash, Simulator } from '../runtime/simulator/simulator.js';
import type { CrashPoint, CrashReport, Downfall } from '../runtime/simulator/world.js';
import type { StorageEntry } from '../storage/storage.js';
import type { NodeHurry, SimulatedClusterOptions } from './cluster-options.js';
import { ExchangeTap } from './exchange-tap.js';
import { type GetOperation, History, type PutOperation } from './history.js';
import { type Disks, isVolatile, Losses, type Struck } from './losses.js';
import { MintTap, ReadTap } from './mint-tap.js';
import { ReapTap } from './reap-tap.js';
import { type HeldHint, heldHints, Replica } from './replica.js';
import { type GetSettings, locate, type PutSettings, SimulatedClient } from './simulated-client.js';
import { TappedHost } from './tapped-host.js';

/** What lay on the disks of a node. */
export type NodeCopy = readonly (readonly StorageEntry[])[];

/** A file that power which failed has left damaged. */
export interface DamagedFile {
  readonly node: string;
  readonly file: 'objects' | 'hints';
}

/** The storages of a node. */
export const STORAGES = ['objects', 'system', 'hints'] as const;
export type StorageName = (typeof STORAGES)[number];

/** How long the clients take to learn that a node fell or rose, at most. */
const CLIENT_DETECTION_MS = 10;
const RESTART_MS = 50;
const DEFAULT_TREE_AGE_MS = 7 * 24 * 3_600_000;
/** By then every request in a node's hand is answered. */
const STOP_WITHIN_MS = 4_000;

export class SimulatedCluster {
  readonly simulator: Simulator;
  readonly history = new History();
  readonly ring: Ring;
  readonly clients: SimulatedClient[] = [];
  readonly n: number;
  readonly r: number;
  readonly w: number;
  readonly sync: 'full' | 'none';
  readonly canBeDurable: boolean;
  /** How often replicas are compared; undefined: never. */
  readonly exchangeIntervalMs: number | undefined;
  readonly names: readonly string[];
  /** By node. */
  readonly zones: readonly string[];
  /** Actors that failed without having been crashed by a script, and stops that found unanswered requests. */
  readonly failures: string[] = [];
  readonly counters: NodeCounters[] = [];
  /** By `pairName`, the replicas that were compared and found equal; who looks clears it before. */
  readonly foundEqual = new Set<string>();
  private readonly losses: Losses;
  private readonly options: SimulatedClusterOptions;
  private readonly random: SeededRandom;
  private readonly primaries: readonly (readonly number[])[];
  /** Nodes that were stopped or crashed on purpose: they wait for `startNode`. */
  private readonly keptDown = new Set<number>();
  /** Nodes that are to crash at a point that they may not have come to yet. */
  private readonly doomed = new Set<number>();
  /** By node, how often it lost its objects, as far as it has kept count. */
  private readonly objectLosses: number[] = [];
  /** By node, of its last start. */
  private readonly controls: NodeHurry[] = [];
  /** Nodes that were started before. */
  private readonly started = new Set<number>();
  /** The latest that the wall clock of any node has shown. */
  private latestWallMs = 0;
  /** Nodes whose last run ended in order, with everything flushed. */
  private readonly endedInOrder = new Set<number>();
  /** Nodes that have lost their power since they were last started: their hints may have gone back to an older state. */
  private readonly powerless = new Set<number>();

  constructor(options: SimulatedClusterOptions) {
    const { seed, nodes = 5, n = 3, partitions = 16, clients = 3 } = options;
    this.options = options;
    this.n = n;
    this.r = options.r ?? 2;
    this.w = options.w ?? 2;
    this.sync = options.sync ?? 'full';
    this.canBeDurable = options.canBeDurable ?? this.sync === 'full';
    this.exchangeIntervalMs = options.exchangeIntervalMs;
    this.names = Array.from({ length: nodes }, (_, node) => String.fromCharCode(97 + node));
    this.zones = this.names.map((name, node) => options.zones?.[node] ?? name);
    const members = this.names.map((name, node) => ({ name, zone: this.zones[node]!, weight: 1 }));
    this.ring = createRing({ members, partitions, n });
    this.primaries = this.ring.preferenceLists.map((list) => list.primaries);
    this.random = new SeededRandom(BigInt(seed) * 2n + 1n);
    this.losses = new Losses(this.disks());
    this.simulator = new Simulator({
      seed,
      threads: nodes + clients,
      onCrash: (report) => this.actorFailed(report),
      onDown: (thread, why) => this.wentDown(thread, why),
    });
    for (let node = 0; node < nodes; node++) {
      this.counters.push(newNodeCounters());
      this.simulator.startThread(node, (host) => this.setupNode(node, host));
    }
    for (let index = 0; index < clients; index++) this.addClient(index, nodes + index);
    this.simulator.runFor(20);
  }

  get time(): number {
    return this.simulator.time;
  }

  /** As clocks that are right show it. */
  get wallMs(): number {
    return SIMULATION_EPOCH_MS + this.time;
  }

  get tombstoneGraceMs(): number | undefined {
    return this.options.tombstoneGraceMs;
  }

  /** How long after a record was written the attempts that it voids are kept in it at least. */
  get attemptMs(): number {
    return this.options.attemptMs ?? MAX_ATTEMPT_MS;
  }

  /** Contexts of more entries are reduced; undefined: they are not. */
  get maxContextEntries(): number | undefined {
    const { tombstoneGraceMs, maxContextEntries = MAX_CONTEXT_ENTRIES } = this.options;
    return tombstoneGraceMs === undefined ? undefined : maxContextEntries;
  }

  // ── Requests ───────────────────────────────────────────────────────────────────────────────────────────────────

  put(key: string, value: string, settings: PutSettings & { readonly client?: number } = {}): PutOperation {
    return this.clients[settings.client ?? 0]!.put(key, value, settings);
  }

  delete(key: string, settings: PutSettings & { readonly client?: number } = {}): PutOperation {
    return this.clients[settings.client ?? 0]!.put(key, null, settings);
  }

  get(key: string, settings: GetSettings & { readonly client?: number } = {}): GetOperation {
    return this.clients[settings.client ?? 0]!.get(key, settings);
  }

  /** A get that the last client sends to the coordinator of that very node, if it keeps the key. Settled on return. */
  getVia(name: string, key: string, settings: GetSettings = {}): GetOperation {
    const client = this.clients[this.clients.length - 1]!;
    for (const other of this.names) client.setUp(this.nodeOf(other), other === name);
    const get = this.settle(client.get(key, settings));
    for (const other of this.names) client.setUp(this.nodeOf(other), this.isUp(other));
    return get;
  }

  /** Runs until `operation` is settled. */
  settle<Operation extends PutOperation | GetOperation>(operation: Operation): Operation {
    const settled = this.simulator.runUntil(() => operation.end !== undefined, operation.timeoutMs + 2_000);
    assert(settled, 'an operation is settled by its timeout plus slack');
    return operation;
  }

  runFor(ms: number): void {
    this.simulator.runFor(ms);
  }

  /** The nodes that keep `key`, in the order of the preference list. */
  primariesOf(key: string): string[] {
    return this.primaries[partitionOf(locate(key, this.primaries.length))]!.map((node) => this.names[node]!);
  }

  /** True if both keys are of one partition. */
  isBeside(key: string, other: string): boolean {
    const { length } = this.primaries;
    return partitionOf(locate(key, length)) === partitionOf(locate(other, length));
  }

  /** What lies on the disk of a node. */
  replica(name: string): Replica {
    return new Replica(this.disk(name), this.primaries.length);
  }

  /**
   * True if records of `key` are left, and none that can be read: those that could, and the hints, went with other faults.
   * Nobody can heal it but the next put.
   */
  isUnreadable(key: string): boolean {
    const replicas = this.primariesOf(key).map((name) => this.replica(name));
    if (replicas.every((replica) => replica.record(key) === undefined)) return false;
    if (replicas.some((replica) => replica.object(key) !== undefined)) return false;
    const located = locate(key, this.primaries.length);
    return !this.names.some((name) => this.hintsOn(name).some((hint) => equalBytes(hint.located, located)));
  }

  /** What lies in the hint store of a node, for others. */
  hintsOn(name: string): HeldHint[] {
    return heldHints(this.storageOf(this.nodeOf(name), 'hints'));
  }

  /** How many hints lie anywhere. */
  get hints(): number {
    let count = 0;
    for (const name of this.names) count += this.hintsOn(name).length;
    return count;
  }

  /** Has all replicas compared now that can be reached. */
  exchangeNow(): void {
    this.say('all replicas are to be compared now');
    for (const { compare } of this.controls) compare();
  }

  /** Has what may be reaped looked for now. */
  reapNow(): void {
    this.say('what was deleted is to be reaped now');
    for (const { reap } of this.controls) reap();
  }

  // ── Faults ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Kills a node's thread; it stays down until `startNode`. */
  crashNode(name: string, point: CrashPoint | 'now' = 'now'): void {
    this.say(`node ${name} crashes${point === 'now' ? '' : `, ${point}`}`);
    this.keptDown.add(this.nodeOf(name));
    if (point !== 'now') this.doomed.add(this.nodeOf(name));
    this.simulator.crashThread(this.nodeOf(name), point);
  }

  /** Stops a node cleanly; it stays down until `startNode`. */
  stopNode(name: string): void {
    this.say(`node ${name} stops`);
    this.keptDown.add(this.nodeOf(name));
    if (this.isUp(name)) this.simulator.stopThread(this.nodeOf(name), STOP_WITHIN_MS);
  }

  startNode(name: string): void {
    const node = this.nodeOf(name);
    this.keptDown.delete(node);
    if (this.simulator.host(node).up) return;
    this.say(`node ${name} starts`);
    this.simulator.startThread(node);
  }

  isUp(name: string): boolean {
    return this.simulator.host(this.nodeOf(name)).up;
  }

  /** Lets the node's coordinator fail as if it had thrown; its supervisor restarts it. */
  crashCoordinator(name: string): void {
    this.say(`the coordinator of ${name} crashes`);
    this.simulator.crashActor(coordinatorRef(this.nodeOf(name)) as never);
  }

  /** Lets the vnode that keeps `key` on this node fail. */
  crashVnode(name: string, key: string): void {
    this.say(`the vnode of ${key} on ${name} crashes`);
    const partition = partitionOf(locate(key, this.primaries.length));
    this.simulator.crashActor(vnodeRef(this.nodeOf(name), partition) as never);
  }

  /** The whole process is killed, clients and all. Nothing is lost but what was under way. */
  crashProcess(): void {
    this.say('the process is killed');
    for (const name of this.names) this.keptDown.add(this.nodeOf(name));
    for (let thread = 0; thread < this.simulator.threads; thread++) this.simulator.crashThread(thread);
    for (const client of this.clients) client.died();
  }

  /** The process is started again after `crashProcess` or `powerFail('all')`. */
  startProcess(): void {
    this.say('the process is started');
    for (const name of this.names) this.startNode(name);
    for (const client of this.clients) {
      if (!this.simulator.host(client.thread).up) this.simulator.startThread(client.thread);
    }
  }

  /**
   * Takes the power from a node, or from the host with everything on it. What was not flushed goes back to an older state,
   * or is damaged as a whole: such a file is set aside at the next start.
   * @param damaged - which files of the struck nodes; only of those that may have something in them that was not flushed
   */
  powerFail(names: readonly string[] | 'all', damaged: readonly DamagedFile[] = []): void {
    const struck = names === 'all' ? this.names : names;
    const nodes = struck.map((name) => this.nodeOf(name));
    this.say(`the power of ${names === 'all' ? 'everything' : names.join(', ')} fails`);
    if (names === 'all') this.crashProcess();
    for (const node of nodes) this.keptDown.add(node);
    const fail = () =>
      this.losses.takeBack(
        this.tombstoneGraceMs === undefined || this.sync === 'full' ? [] : struck.map((name) => this.disk(name)),
        () => this.simulator.powerFail(nodes),
      );
    // What somebody has acknowledged as durable is never excused: it must survive on its disk, or wherever it was handed to.
    this.losses.destroy({ nodes, replicas: true, excuses: isVolatile }, () => {
      fail();
      for (const { node, file } of damaged) {
        assert(this.mayBeDamaged(node), 'what was flushed is not damaged');
        this.say(`the ${file} of ${node} are damaged by that`);
        this.lose(node, [file]);
      }
    });
    for (const node of nodes) if (this.sync === 'none' && !this.endedInOrder.has(node)) this.powerless.add(node);
  }

  /** True if power that fails may damage a file of the node: it has not stopped in order, and does not flush what it commits. */
  mayBeDamaged(name: string): boolean {
    return this.sync === 'none' && !this.endedInOrder.has(this.nodeOf(name));
  }

  /** A record on a node's disk rots. False if there is none. */
  rot(name: string, key?: string): boolean {
    const located = key === undefined ? undefined : locate(key, this.primaries.length);
    let rotten: Uint8Array | undefined;
    this.losses.destroy(this.allOf(name), () => {
      rotten = this.disk(name).rot(located);
    });
    if (rotten !== undefined) this.say(`${key ?? 'a record'} rots on ${name}`);
    return rotten !== undefined;
  }

  /** A record of a node's own rots: a fence, a life, a writer's marker. False if there is none. What it is for shows at its next start. */
  rotSystem(name: string): boolean {
    // With its fence a replica may go, which is then emptied and refilled: of a last holder that is excused.
    this.history.destructions.push({ time: this.time, ...this.allOf(name) });
    const rotten = this.storageOf(this.nodeOf(name), 'system').rot();
    if (rotten !== undefined) this.say(`${latin1(rotten)} rots on ${name}`);
    return rotten !== undefined;
  }

  /** The file of a node's objects is gone: it is another one at its next start. The node is down. */
  loseObjects(name: string): void {
    this.say(`the objects of ${name} are lost`);
    this.losses.destroy(this.allOf(name), () => this.lose(name, ['objects']));
  }

  /** The file of a node's hints is gone: it is another one at its next start. The node is down. */
  loseHints(name: string): void {
    this.say(`the hints of ${name} are lost`);
    this.losses.destroy({ ...this.allOf(name), replicas: false }, () => this.lose(name, ['hints']));
  }

  /** The whole directory of a node is gone, its identity with it. The node is down. */
  loseDirectory(name: string): void {
    this.say(`the directory of ${name} is lost`);
    this.losses.destroy(this.allOf(name), () => this.lose(name, STORAGES));
  }

  /** A copy of all that a node has on its disks. */
  copyNode(name: string): NodeCopy {
    const node = this.nodeOf(name);
    return STORAGES.map((of) => this.storageOf(node, of).peekAll());
  }

  /** The node's disks are taken back to the copy. The node is down. */
  restoreNode(name: string, copy: NodeCopy): void {
    const node = this.nodeOf(name);
    this.say(`node ${name} is restored from a copy`);
    this.losses.destroy(this.allOf(name), () => {
      for (const [i, of] of STORAGES.entries()) this.storageOf(node, of).restore(copy[i]!);
    });
  }

  pause(name: string, ms: number): void {
    this.say(`node ${name} stands still for ${ms} ms`);
    this.simulator.pauseThread(this.nodeOf(name), ms);
  }

  /** Cuts the nodes of `side` off from `other` (default: from everybody, the clients too). */
  split(side: readonly string[], other?: readonly string[]): void {
    this.say(`split: ${side.join(', ')} | ${other?.join(', ') ?? 'the rest'}`);
    this.simulator.split(
      side.map((name) => this.nodeOf(name)),
      other?.map((name) => this.nodeOf(name)),
    );
  }

  splitOneWay(from: readonly string[], to: readonly string[]): void {
    this.say(`nothing gets from ${from.join(', ')} to ${to.join(', ')}`);
    this.simulator.splitOneWay(
      from.map((name) => this.nodeOf(name)),
      to.map((name) => this.nodeOf(name)),
    );
  }

  heal(): void {
    this.say('splits heal');
    this.simulator.heal();
  }

  network(change: Partial<LinkBehaviour>): void {
    this.say(`network: ${JSON.stringify(change)}`);
    this.simulator.network.setAll(change);
  }

  calmNetwork(): void {
    this.say('the network is calm');
    this.simulator.network.calm();
    this.simulator.heal();
  }

  jumpClock(name: string, ms: number): void {
    this.say(`the clock of ${name} jumps by ${ms} ms`);
    this.noteClocks();
    this.simulator.jumpClock(this.nodeOf(name), ms);
  }

  driftClock(name: string, drift: number): void {
    this.say(`the clock of ${name} drifts by ${drift}`);
    this.simulator.driftClock(this.nodeOf(name), drift);
  }

  slowDisk(name: string, latency: Latency): void {
    this.say(`the disk of ${name} is slow: ${latency.minMs} ms and more`);
    for (const disk of this.disksOf(name)) disk.setLatency(latency);
  }

  fullDisk(name: string): void {
    this.say(`the disk of ${name} is full`);
    for (const disk of this.disksOf(name)) disk.setCapacity(0);
  }

  fullHintDisk(name: string): void {
    this.say(`the disk for hints of ${name} is full`);
    this.storageOf(this.nodeOf(name), 'hints').setCapacity(0);
  }

  failCommits(name: string, chance: number): void {
    this.say(`commits fail on ${name}, ${chance * 100} %`);
    for (const disk of this.disksOf(name)) disk.setFaults({ commitFailure: chance, flushFailure: chance });
  }

  /** Lets the next commit of the node throw, having stored everything or nothing. */
  failNextCommit(name: string, outcome: 'stored' | 'lost', of: StorageName = 'objects'): void {
    this.say(`the next commit of ${of} of ${name} fails (${outcome})`);
    this.storageOf(this.nodeOf(name), of).failNextCommit(outcome);
  }

  healthyDisk(name: string): void {
    this.say(`the disk of ${name} is well`);
    for (const disk of this.disksOf(name)) {
      disk.heal();
      disk.setLatency({ minMs: 0.1, meanExtraMs: 0.2 });
    }
  }

  /** Ends every fault, and starts what is down. */
  healEverything(): void {
    this.say('everything heals');
    this.calmNetwork();
    for (const name of this.names) {
      this.healthyDisk(name);
      const { clock } = this.simulator.host(this.nodeOf(name));
      if (clock.drift !== 0) this.driftClock(name, 0);
      const behind = SIMULATION_EPOCH_MS + this.time - clock.wall(this.time);
      if (Math.abs(behind) > 1_000) this.jumpClock(name, Math.floor(behind));
    }
    // Crashes that are still to come would come after the healing.
    for (const node of this.doomed) this.simulator.crashThread(node);
    this.startProcess();
  }

  say(what: string): void {
    this.options.say?.(this.time, what);
  }

  nodeOf(name: string): number {
    const node = this.names.indexOf(name);
    assert(node >= 0, `no node is called ${name}`);
    return node;
  }

  private disk(name: string): SimulatedDisk {
    return this.storageOf(this.nodeOf(name), 'objects');
  }

  private disksOf(name: string): SimulatedDisk[] {
    return STORAGES.map((of) => this.storageOf(this.nodeOf(name), of));
  }

  /** Files of a node that is down are others at its next start. */
  private lose(name: string, files: readonly StorageName[]): void {
    const node = this.nodeOf(name);
    assert(!this.isUp(name), 'a file is lost while nobody has it open');
    for (const of of files) this.storageOf(node, of).lose();
    // How often that happened stands in the system file.
    if (files.includes('system')) this.objectLosses[node] = 0;
    if (files.includes('objects')) this.objectLosses[node] = (this.objectLosses[node] ?? 0) + 1;
  }

  private allOf(name: string): Struck {
    return { nodes: [this.nodeOf(name)], replicas: true, excuses: () => true };
  }

  private disks(): Disks {
    const cluster = this;
    return {
      history: this.history,
      names: this.names,
      get time() {
        return cluster.time;
      },
      *objectsOf(key) {
        for (const name of cluster.primariesOf(key)) yield cluster.replica(name).object(key);
      },
      hintsOn: (name) => this.hintsOn(name),
      locate: (key) => locate(key, this.primaries.length),
    };
  }

  /** What a node keeps for itself is always fully synced. */
  private storageOf(node: number, of: StorageName): SimulatedDisk {
    return this.simulator.disk(node, of, { sync: of === 'system' ? 'full' : this.sync });
  }

  // ── Nodes and clients ──────────────────────────────────────────────────────────────────────────────────────────

  private setupNode(node: number, host: ActorHost): void {
    const { spawn, planted } = this.options;
    const disk = this.storageOf(node, 'objects').open();
    const reaps = this.tombstoneGraceMs === undefined ? undefined : new ReapTap(disk, (record) => this.reaped(record));
    const objects = reaps ?? disk;
    const system = this.storageOf(node, 'system').open();
    const hints = this.storageOf(node, 'hints').open();
    const isNew = !this.started.has(node);
    this.started.add(node);
    this.endedInOrder.delete(node);
    const read = {
      objects: new ReadTap(planted?.objects?.(objects) ?? objects),
      hints: new ReadTap(planted?.hints?.(hints) ?? hints),
    };
    const minting = new MintTap({
      history: this.history,
      node: this.names[node]!,
      time: () => this.time,
      reaps,
      ...read,
    });
    let tappedHost: ActorHost = new TappedHost(host, minting);
    tappedHost = new TappedHost(tappedHost, new ExchangeTap((pair) => this.foundEqual.add(pair)));
    if (planted?.nodes !== undefined) tappedHost = new TappedHost(tappedHost, planted.nodes(node));
    try {
      spawn(tappedHost, {
        node,
        preferenceLists: this.ring.preferenceLists,
        ...read,
        system,
        isNew,
        canBeDurable: this.canBeDurable,
        maxHintBytes: this.options.maxHintBytes ?? 64 * 2 ** 20,
        random: this.random.fork(),
        counters: this.counters[node]!,
        maxOperations: this.options.maxOperations ?? 1_000,
        maxSiblings: 100,
        maxObjectBytes: 2 ** 20,
        losses: this.objectLosses[node] ?? 0,
        mayHintsBeOld: this.powerless.has(node),
        exchangeIntervalMs: this.exchangeIntervalMs,
        maxTreeAgeMs: this.options.maxTreeAgeMs ?? DEFAULT_TREE_AGE_MS,
        tombstoneGraceMs: this.options.tombstoneGraceMs,
        attemptMs: this.attemptMs,
        maxContextEntries: this.options.maxContextEntries,
        report: (_what, error) => this.say(`node ${this.names[node]}: ${error.message}`),
        control: (control) => {
          this.controls[node] = control;
        },
      });
      this.powerless.delete(node);
    } catch (error) {
      if (!(error instanceof StorageFailedError || error instanceof StorageFullError)) throw error;
      // The disk failed while the node opened it: as a worker that dies at its start, it is tried again.
      this.say(`node ${this.names[node]} cannot start: ${error.message}`);
      this.simulator.at(0, () => this.simulator.crashThread(node));
    }
    // Whoever brought it up: a script, its own restart, or the simulator after it had failed.
    this.tellClients(node);
  }

  private addClient(index: number, thread: number): void {
    const client = new SimulatedClient({
      index,
      thread,
      simulator: this.simulator,
      history: this.history,
      nodes: this.names.length,
      preferenceLists: this.ring.preferenceLists,
      r: this.r,
      w: this.w,
      timeoutMs: this.options.timeoutMs ?? 500,
      maxInFlight: this.options.maxInFlight ?? 1_000,
      acknowledged: (put) => this.losses.acknowledged(put),
      ...(this.options.planted?.receiptToken === undefined ? {} : { receiptToken: this.options.planted.receiptToken }),
      ...(this.options.planted?.client === undefined ? {} : { tap: this.options.planted.client }),
      ...(this.options.planted?.clientActor === undefined ? {} : { tapActor: this.options.planted.clientActor }),
    });
    this.clients.push(client);
    this.simulator.startThread(thread, (host) => client.setup(host, (node) => this.simulator.host(node).up));
  }

  private wentDown(thread: number, why: Downfall): void {
    if (thread >= this.names.length) return;
    this.doomed.delete(thread);
    if (why.type === 'failed') this.say(`node ${this.names[thread]} fails: ${String(why.error)}`);
    if (why.type === 'stopped') this.flushStopped(thread);
    this.tellClients(thread);
    // The simulator brings a thread that failed back by itself.
    if (why.type === 'failed') return;
    // One that went down late, or unasked, is brought back unless a script wants it down.
    this.simulator.at(RESTART_MS, () => {
      if (!this.keptDown.has(thread)) this.startNode(this.names[thread]!);
    });
  }

  /** A round has removed this record somewhere: by the clock of whoever led it, it had been dead for long enough. */
  private reaped(record: Uint8Array): void {
    this.noteClocks();
    this.history.noteReaped(record, this.time);
    const ripeMs = deadFromMsIn(record) + this.tombstoneGraceMs!;
    if (ripeMs <= this.latestWallMs) return;
    this.history.forgottenEarly.push(`forgotten ${ripeMs - this.latestWallMs} ms before its time by any clock`);
  }

  private noteClocks(): void {
    for (const node of this.names.keys()) {
      this.latestWallMs = Math.max(this.latestWallMs, this.simulator.host(node).clock.wall(this.time));
    }
  }

  /** As the last thing that a node does which stops: if that fails, the run counts as one that was cut off. */
  private flushStopped(node: number): void {
    try {
      for (const of of ['objects', 'hints'] as const) this.storageOf(node, of).flush();
      this.endedInOrder.add(node);
    } catch (error) {
      if (!(error instanceof StorageFailedError)) throw error;
      this.say(`node ${this.names[node]} cannot flush at its end: ${error.message}`);
    }
  }

  /** Each client learns in its own time whether the node is up. */
  private tellClients(node: number): void {
    for (const client of this.clients) {
      this.simulator.at((this.random.uint32() / 2 ** 32) * CLIENT_DETECTION_MS, () => {
        client.setUp(node, this.simulator.host(node).up);
      });
    }
  }

  private actorFailed({ thread, slot, error, time }: CrashReport): void {
    if (error instanceof PlannedCrash) return;
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.failures.push(`at ${time.toFixed(1)} ms the actor in slot ${slot} of thread ${thread} failed: ${stack}`);
  }
}
