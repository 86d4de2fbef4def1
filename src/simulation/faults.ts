/**
 * A script of faults, drawn from a seed. Each seed enables some kinds and leaves out others, because a fault that is
 * always there hides what needs its absence ("swarm testing": Groce et al., ISSTA 2012).
 */
import { below, pick, type Random, shuffled, unit } from '../base/random.js';
import { type DamagedFile, type NodeCopy, type SimulatedCluster, STORAGES } from './simulated-cluster.js';

export const FAULT_KINDS = [
  'crash of an actor',
  'crash of a node',
  'crash of several nodes',
  'stop of a node',
  'crash of the process',
  'power loss of a node',
  'power loss of a zone',
  'power loss of everything',
  'split',
  'one-way split',
  'loss',
  'duplication',
  'delay',
  'clock jump',
  'clock drift',
  'slow disk',
  'full disk',
  'full hint disk',
  'failing disk',
  'rot',
  "rot of a node's own records",
  'disk loss',
  'hint loss',
  'directory loss',
  'restore of a node',
  'late hints',
  'pause',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface FaultOptions {
  readonly random: Random;
  readonly durationMs: number;
  /** The mean time between two faults, in milliseconds. */
  readonly everyMs: number;
  /** Which kinds may strike (default: three to six, drawn). */
  readonly kinds?: readonly FaultKind[];
  /** Keys whose vnodes may be crashed. */
  readonly keys: ReadonlySet<string>;
}

/** These find something to strike only if others have struck, or not in every cluster. */
const CONDITIONAL: ReadonlySet<FaultKind> = new Set(['rot', 'restore of a node', 'late hints']);

/** Three to six kinds; a run that nothing can strike would show nothing. */
function drawKinds(random: Random): readonly FaultKind[] {
  const kinds = shuffled(random, FAULT_KINDS).slice(0, 3 + below(random, 4));
  return kinds.every((kind) => CONDITIONAL.has(kind)) ? [...kinds, 'crash of a node'] : kinds;
}

/** By then a node that is stopped has mostly answered what it had in hand. */
const STOPPED_MS = 300;
/** So often a node that is restored now and then is copied instead. */
const COPY_SHARE = 0.3;
/** So often power that fails damages a file of a node whose commits are not flushed. */
const DAMAGE_SHARE = 0.2;
/** How soon another fault is drawn if one found nothing to strike. */
const RETRY_MS = 10;

export class FaultScript {
  readonly kinds: readonly FaultKind[];
  /** How often each kind struck. */
  readonly struck = new Map<FaultKind, number>();
  private readonly cluster: SimulatedCluster;
  private readonly options: FaultOptions;
  private readonly until: number;
  /** The node whose own records are lost, one or all of them. */
  private forgetful: string | undefined;
  /** The node that is restored, and to what: copies of it, oldest first. */
  private restored: string | undefined;
  private readonly copies: NodeCopy[] = [];

  constructor(cluster: SimulatedCluster, options: FaultOptions) {
    this.cluster = cluster;
    this.options = options;
    this.until = cluster.time + options.durationMs;
    this.kinds = options.kinds ?? drawKinds(options.random);
    this.next(unit(options.random) * options.everyMs);
  }

  /** How many faults struck. */
  get total(): number {
    let total = 0;
    for (const count of this.struck.values()) total += count;
    return total;
  }

  private next(waitMs: number): void {
    const { random, everyMs } = this.options;
    this.cluster.simulator.at(waitMs, () => {
      if (this.cluster.time >= this.until) return;
      const kind = pick(random, this.kinds);
      const struck = this.strike(kind);
      if (struck) this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1);
      this.next(struck ? -everyMs * Math.log(1 - unit(random)) : RETRY_MS);
    });
  }

  /** True if something was there to be struck. */
  private strike(kind: FaultKind): boolean {
    const { cluster } = this;
    const { random, keys } = this.options;
    const { names } = cluster;
    const name = pick(random, names);
    const lasting = 20 + unit(random) * 300;
    switch (kind) {
      case 'crash of an actor':
        if (keys.size === 0 || unit(random) < 0.3) cluster.crashCoordinator(name);
        else {
          const key = pick(random, [...keys]);
          cluster.crashVnode(pick(random, cluster.primariesOf(key)), key);
        }
        return true;
      case 'crash of a node':
        if (!cluster.isUp(name)) return false;
        cluster.crashNode(name, pick(random, ['now', 'mid-turn', 'before-commit', 'after-commit']));
        this.after(lasting, () => cluster.startNode(name));
        return true;
      case 'crash of several nodes': {
        // Enough are left for a quorum of stand-ins.
        const most = names.length - cluster.w;
        const struck = shuffled(random, names)
          .slice(0, 1 + below(random, Math.max(1, most)))
          .filter((one) => cluster.isUp(one));
        for (const one of struck) cluster.crashNode(one);
        this.after(lasting, () => {
          for (const one of struck) cluster.startNode(one);
        });
        return struck.length > 0;
      }
      case 'stop of a node':
        if (!cluster.isUp(name)) return false;
        cluster.stopNode(name);
        this.after(1_000 + lasting, () => cluster.startNode(name));
        return true;
      case 'crash of the process':
        cluster.crashProcess();
        this.after(lasting / 4, () => cluster.startProcess());
        return true;
      case 'power loss of a node':
        this.powerFail([name]);
        this.after(lasting, () => cluster.startNode(name));
        return true;
      case 'power loss of a zone': {
        const zone = pick(random, cluster.zones);
        const struck = names.filter((_, node) => cluster.zones[node] === zone);
        this.powerFail(struck);
        this.after(lasting, () => {
          for (const one of struck) cluster.startNode(one);
        });
        return true;
      }
      case 'power loss of everything':
        this.powerFail('all');
        this.after(lasting / 4, () => cluster.startProcess());
        return true;
      case 'split': {
        const mixed = shuffled(random, names);
        const size = 1 + below(random, names.length - 1);
        // Half of the time the clients still reach both sides.
        if (unit(random) < 0.5) cluster.split(mixed.slice(0, size), mixed.slice(size));
        else cluster.split(mixed.slice(0, size));
        this.after(lasting, () => cluster.heal());
        return true;
      }
      case 'one-way split': {
        const [from, ...rest] = shuffled(random, names);
        cluster.splitOneWay([from!], rest.slice(0, 1 + below(random, rest.length)));
        this.after(lasting, () => cluster.heal());
        return true;
      }
      case 'loss':
        cluster.network({ loss: pick(random, [0.001, 0.01, 0.1]) });
        this.after(lasting, () => cluster.network({ loss: 0 }));
        return true;
      case 'duplication':
        cluster.network({ duplication: pick(random, [0.01, 0.1, 0.5]) });
        this.after(lasting, () => cluster.network({ duplication: 0 }));
        return true;
      case 'delay':
        cluster.network({
          meanExtraDelayMs: pick(random, [0.5, 5, 30]),
          reordering: pick(random, [0.01, 0.2, 0.5]),
          reorderMs: pick(random, [1, 10, 100]),
        });
        this.after(lasting, () => cluster.network({ meanExtraDelayMs: 0.02, reordering: 0.01, reorderMs: 0.5 }));
        return true;
      case 'clock jump':
        cluster.jumpClock(name, pick(random, [-3_600_000, -20_000, -500, 500, 20_000, 3_600_000]));
        return true;
      case 'clock drift':
        cluster.driftClock(name, pick(random, [-0.3, -0.01, 0.01, 0.3]));
        return true;
      case 'slow disk':
        cluster.slowDisk(name, { minMs: pick(random, [2, 20, 100]), meanExtraMs: pick(random, [1, 20]) });
        this.after(lasting, () => cluster.healthyDisk(name));
        return true;
      case 'full disk':
        cluster.fullDisk(name);
        this.after(lasting, () => cluster.healthyDisk(name));
        return true;
      case 'full hint disk':
        cluster.fullHintDisk(name);
        this.after(lasting, () => cluster.healthyDisk(name));
        return true;
      case 'failing disk':
        if (unit(random) < 0.5) {
          cluster.failNextCommit(name, pick(random, ['stored', 'lost']), pick(random, STORAGES));
        } else {
          cluster.failCommits(name, pick(random, [0.1, 0.5, 1]));
          this.after(lasting, () => cluster.healthyDisk(name));
        }
        return true;
      case 'rot':
        return this.rot();
      case "rot of a node's own records": {
        const struck = this.forgetfulNode(name);
        if (!cluster.isUp(struck) || !cluster.rotSystem(struck)) return false;
        if (unit(random) < 0.5) cluster.stopNode(struck);
        else cluster.crashNode(struck);
        this.after(lasting, () => cluster.startNode(struck));
        return true;
      }
      case 'disk loss':
        return this.lose(name, lasting, () => cluster.loseObjects(name));
      case 'hint loss': {
        // Of one that has some, if there is one.
        const holders = names.filter((one) => cluster.isUp(one) && cluster.hintsOn(one).length > 0);
        const struck = holders.length > 0 ? pick(random, holders) : name;
        return this.lose(struck, lasting, () => cluster.loseHints(struck));
      }
      case 'directory loss': {
        const struck = this.forgetfulNode(name);
        return this.lose(struck, lasting, () => cluster.loseDirectory(struck));
      }
      case 'restore of a node':
        return this.restore(name);
      case 'late hints':
        // Whoever keeps some comes back last, with what the others have had replaced meanwhile.
        if (!cluster.isUp(name) || cluster.hintsOn(name).length === 0) return false;
        cluster.stopNode(name);
        return true;
      case 'pause':
        if (!cluster.isUp(name)) return false;
        cluster.pause(name, lasting);
        return true;
    }
  }

  /** One node alone: of a fence that all have lost nobody can tell where it was. */
  private forgetfulNode(name: string): string {
    this.forgetful ??= name;
    return this.forgetful;
  }

  /** The node is killed, loses what `action` takes, and comes back. */
  private lose(name: string, lasting: number, action: () => void): boolean {
    const { cluster } = this;
    if (!cluster.isUp(name)) return false;
    cluster.crashNode(name);
    action();
    this.after(lasting, () => cluster.startNode(name));
    return true;
  }

  /** What was not flushed goes back, and now and then a file of it is damaged altogether. */
  private powerFail(names: readonly string[] | 'all'): void {
    const { cluster } = this;
    const { random } = this.options;
    const damaged: DamagedFile[] = [];
    for (const node of names === 'all' ? cluster.names : names) {
      if (!cluster.mayBeDamaged(node) || unit(random) >= DAMAGE_SHARE) continue;
      damaged.push({ node, file: pick(random, ['objects', 'hints'] as const) });
    }
    cluster.powerFail(names, damaged);
  }

  /**
   * A copy is made of a node that has stopped, or one from before is put back: all its storages, as a backup would have
   * them. Only of one node, for what several have forgotten nobody can tell; and only where rounds are made, which find out.
   */
  private restore(name: string): boolean {
    const { cluster, copies } = this;
    const { random } = this.options;
    if (cluster.tombstoneGraceMs === undefined) return false;
    this.restored ??= name;
    const struck = this.restored;
    if (!cluster.isUp(struck)) return false;
    cluster.stopNode(struck);
    this.after(STOPPED_MS, () => {
      if (cluster.isUp(struck)) return;
      if (copies.length === 0 || unit(random) < COPY_SHARE) copies.push(cluster.copyNode(struck));
      else cluster.restoreNode(struck, pick(random, copies));
      cluster.startNode(struck);
    });
    return true;
  }

  /** A record of which another replica is readable: no store survives the loss of all. */
  private rot(): boolean {
    const { random, keys } = this.options;
    if (keys.size === 0) return false;
    const key = pick(random, [...keys]);
    const holders = this.cluster
      .primariesOf(key)
      .filter((name) => this.cluster.replica(name).object(key) !== undefined);
    return holders.length > 1 && this.cluster.rot(pick(random, holders), key);
  }

  private after(ms: number, action: () => void): void {
    this.cluster.simulator.at(ms, () => {
      // The script's end heals everything at once.
      if (this.cluster.time < this.until) action();
    });
  }
}
