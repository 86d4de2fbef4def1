/** The steps of a scenario (`scenario.ts`): what each is called in the file, what fields it has, and what it does. */
import { InvalidArgumentError } from '../base/errors.js';
import type { FieldReader } from './field-reader.js';
import type { NodeCopy, SimulatedCluster } from './simulated-cluster.js';

/** What the steps of one run have in common. */
export interface StepState {
  /** Every key that was touched. */
  readonly keys: Set<string>;
  /** By node, the last copy of its disks. */
  readonly copies: Map<string, NodeCopy>;
}

export type Action = (cluster: SimulatedCluster, state: StepState) => void;

/** What a step is checked against. */
export interface StepPlace {
  /** When, in virtual milliseconds from the beginning. */
  readonly at: number;
  /** Reads the name of a node that the scenario has, and several. */
  one(fields: FieldReader): string;
  many(fields: FieldReader): readonly string[];
  /** All steps that make a copy of a node. */
  readonly copied: readonly { readonly node: unknown; readonly at: unknown }[];
  /** True if each commit is flushed. */
  readonly flushes: boolean;
  /** True if replicas are compared, and if deletions are reaped. */
  readonly exchanges: boolean;
  readonly reaps: boolean;
}

export interface StepForm {
  /** Beside `at` and `do`; those with a question mark may be left out. */
  readonly fields: string;
  readonly what: string;
  read(fields: FieldReader, place: StepPlace): Action;
}

const MAX_MS = 3_600_000;
const NETWORK = ['loss', 'duplication', 'reordering'] as const;

export const STEPS: Readonly<Record<string, StepForm>> = {
  crash: {
    fields: 'node, point?',
    what: "it is killed: 'now', 'mid-turn', 'before-commit' or 'after-commit'",
    read: (fields, { one }) => {
      const node = one(fields);
      const point = fields.oneOf('point', ['now', 'mid-turn', 'before-commit', 'after-commit'], 'now');
      return (cluster) => cluster.crashNode(node, point);
    },
  },
  stop: {
    fields: 'node',
    what: 'it stops in order',
    read: (fields, { one }) => {
      const node = one(fields);
      return (cluster) => cluster.stopNode(node);
    },
  },
  start: {
    fields: 'node',
    what: 'it starts, if it is down',
    read: (fields, { one }) => {
      const node = one(fields);
      return (cluster) => cluster.startNode(node);
    },
  },
  pause: {
    fields: 'node, ms',
    what: 'its thread stands still',
    read: (fields, { one }) => {
      const node = one(fields);
      const ms = fields.number('ms', 1, MAX_MS);
      return (cluster) => cluster.pause(node, ms);
    },
  },
  split: {
    fields: 'nodes',
    what: 'they are cut off from the rest',
    read: (fields, { many }) => {
      const nodes = many(fields);
      return (cluster) => cluster.split(nodes);
    },
  },
  heal: {
    fields: '',
    what: 'splits heal',
    read: () => (cluster) => cluster.heal(),
  },
  'power-loss': {
    fields: 'nodes, damaged?',
    what: "their power fails; 'all': that of everything; with sync 'none' it may leave 'objects' or 'hints' damaged",
    read: (fields, { many, flushes }) => {
      const all = fields.take('nodes') === 'all';
      const nodes = all ? 'all' : many(fields);
      if (fields.take('damaged') === undefined) return (cluster) => cluster.powerFail(nodes);
      const file = fields.oneOf('damaged', ['objects', 'hints']);
      if (flushes) throw new InvalidArgumentError(`${fields.where}: only "sync": "none" leaves a file damaged`);
      return (cluster) => {
        const struck = nodes === 'all' ? cluster.names : nodes;
        const damaged = struck.filter((node) => cluster.mayBeDamaged(node)).map((node) => ({ node, file }));
        cluster.powerFail(nodes, damaged);
      };
    },
  },
  'crash-process': {
    fields: '',
    what: 'everything is killed, the clients, too',
    read: () => (cluster) => cluster.crashProcess(),
  },
  'start-process': {
    fields: '',
    what: 'and started again',
    read: () => (cluster) => cluster.startProcess(),
  },
  'crash-coordinator': {
    fields: 'node',
    what: 'its coordinator fails, and is restarted',
    read: (fields, { one }) => {
      const node = one(fields);
      return (cluster) => cluster.crashCoordinator(node);
    },
  },
  network: {
    fields: 'loss?, duplication?, reordering?, extraDelayMs?',
    what: 'what becomes of messages from now on',
    read: (fields) => {
      const change: Record<string, number> = {};
      for (const name of NETWORK) {
        if (fields.take(name) !== undefined) change[name] = fields.number(name, 0, 1);
      }
      if (fields.take('extraDelayMs') !== undefined) {
        change.meanExtraDelayMs = fields.number('extraDelayMs', 0, MAX_MS);
      }
      return (cluster) => cluster.network(change);
    },
  },
  'clock-jump': {
    fields: 'node, ms',
    what: 'its wall clock jumps',
    read: (fields, { one }) => {
      const node = one(fields);
      const ms = fields.number('ms', -10 * MAX_MS, 10 * MAX_MS);
      return (cluster) => cluster.jumpClock(node, ms);
    },
  },
  'slow-disk': {
    fields: 'node, ms',
    what: 'each commit takes so long',
    read: (fields, { one }) => {
      const node = one(fields);
      const minMs = fields.number('ms', 0, MAX_MS);
      return (cluster) => cluster.slowDisk(node, { minMs, meanExtraMs: 0 });
    },
  },
  'full-disk': {
    fields: 'node',
    what: 'there is no room left',
    read: (fields, { one }) => {
      const node = one(fields);
      return (cluster) => cluster.fullDisk(node);
    },
  },
  'failing-disk': {
    fields: 'node, chance?',
    what: 'commits fail',
    read: (fields, { one }) => {
      const node = one(fields);
      const chance = fields.number('chance', 0, 1, 1);
      return (cluster) => cluster.failCommits(node, chance);
    },
  },
  'healthy-disk': {
    fields: 'node',
    what: 'its disk is well again',
    read: (fields, { one }) => {
      const node = one(fields);
      return (cluster) => cluster.healthyDisk(node);
    },
  },
  rot: {
    fields: 'node, key',
    what: 'the record of the key becomes unreadable there',
    read: (fields, { one }) => {
      const node = one(fields);
      const key = fields.text('key');
      return (cluster) => {
        if (!cluster.rot(node, key)) cluster.say(`there is no record of ${key} on ${node} to rot`);
      };
    },
  },
  'disk-loss': {
    fields: 'node',
    what: 'it is killed, and the file of its objects is gone when it starts',
    read: (fields, { one }) => {
      const node = one(fields);
      return (cluster) => {
        cluster.crashNode(node);
        cluster.loseObjects(node);
      };
    },
  },
  'hint-loss': {
    fields: 'node',
    what: 'it is killed, and the file of its hints is gone when it starts',
    read: (fields, { one }) => {
      const node = one(fields);
      return (cluster) => {
        cluster.crashNode(node);
        cluster.loseHints(node);
      };
    },
  },
  'directory-loss': {
    fields: 'node',
    what: 'it is killed, and all that it had on its disks is gone when it starts',
    read: (fields, { one }) => {
      const node = one(fields);
      return (cluster) => {
        cluster.crashNode(node);
        cluster.loseDirectory(node);
      };
    },
  },
  copy: {
    fields: 'node',
    what: 'a copy is made of all that it has on its disks, instead of an earlier one',
    read: (fields, { one }) => {
      const node = one(fields);
      return (cluster, { copies }) => {
        cluster.say(`a copy is made of node ${node}`);
        copies.set(node, cluster.copyNode(node));
      };
    },
  },
  restore: {
    fields: 'node',
    what: 'it is killed, and its disks are taken back to the copy; it starts with a step of its own',
    read: (fields, { one, at, copied }) => {
      const node = one(fields);
      if (!copied.some((copy) => copy.node === node && typeof copy.at === 'number' && copy.at < at)) {
        throw new InvalidArgumentError(`${fields.where}: no earlier step makes a copy of "${node}"`);
      }
      return (cluster, { copies }) => {
        cluster.crashNode(node);
        cluster.restoreNode(node, copies.get(node)!);
      };
    },
  },
  exchange: {
    fields: '',
    what: 'all replicas are compared now, whatever exchangeIntervalMs says',
    read: (fields, { exchanges }) => {
      if (!exchanges)
        throw new InvalidArgumentError(`${fields.where}: an exchange needs "exchangeIntervalMs" in the scenario`);
      return (cluster) => cluster.exchangeNow();
    },
  },
  reap: {
    fields: '',
    what: 'deletions older than tombstoneGraceMs are looked for now',
    read: (fields, { reaps }) => {
      if (!reaps) throw new InvalidArgumentError(`${fields.where}: a reaping needs "tombstoneGraceMs" in the scenario`);
      return (cluster) => cluster.reapNow();
    },
  },
  put: {
    fields: 'key, value, ttlMs?',
    what: 'a client puts it, without having read it; after ttlMs it expires',
    read: (fields) => {
      const key = fields.text('key');
      const value = fields.text('value');
      const ttlMs = fields.integer('ttlMs', 0, MAX_MS, 0);
      return (cluster, { keys }) => {
        keys.add(key);
        cluster.put(key, value, { ttlMs });
      };
    },
  },
  delete: {
    fields: 'key',
    what: 'a client reads it, and deletes what it has seen',
    read: (fields) => {
      const key = fields.text('key');
      return (cluster, { keys }) => {
        keys.add(key);
        const client = cluster.clients[0]!;
        client.get(key, {}, ({ end }) => {
          if (end?.type === 'got' && client.ready) client.put(key, null, { token: end.token });
          else cluster.say(`${key} could not be read, and was not deleted`);
        });
      };
    },
  },
  get: {
    fields: 'key',
    what: 'a client reads it',
    read: (fields) => {
      const key = fields.text('key');
      return (cluster, { keys }) => {
        keys.add(key);
        cluster.get(key);
      };
    },
  },
};
