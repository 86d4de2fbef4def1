/** The steps of a scenario that strike a cluster: its nodes, their actors, network, clocks and disks; and that heal it. */
import { InvalidArgumentError } from '../base/errors.js';
import { MAX_MS, type StepForm } from './scenario-step.js';
import { STORAGES } from './simulated-cluster.js';

const NETWORK = ['loss', 'duplication', 'reordering'] as const;

export const FAULT_STEPS: Readonly<Record<string, StepForm>> = {
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
      const nodes = many(fields, 'nodes');
      return (cluster) => cluster.split(nodes);
    },
  },
  'one-way-split': {
    fields: 'from, to',
    what: 'nothing gets from the ones to the others; clients reach all',
    read: (fields, { many }) => {
      const from = many(fields, 'from');
      const to = many(fields, 'to');
      const both = from.find((name) => to.includes(name));
      if (both !== undefined) throw fields.wrong('to', `other nodes than "from", which has "${both}", too`, to);
      return (cluster) => cluster.splitOneWay(from, to);
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
      const nodes = all ? 'all' : many(fields, 'nodes');
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
  'crash-vnode': {
    fields: 'node, key',
    what: 'the actor that keeps the key there fails, and is restarted',
    read: (fields, { one }) => {
      const node = one(fields);
      const key = fields.text('key');
      return (cluster) => {
        if (cluster.primariesOf(key).includes(node)) cluster.crashVnode(node, key);
        else cluster.say(`${node} keeps no replica of ${key}: nothing crashes`);
      };
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
  'clock-drift': {
    fields: 'node, drift',
    what: 'its clocks run faster from now on, by that share; or slower: -0.5 to 1',
    read: (fields, { one }) => {
      const node = one(fields);
      const drift = fields.number('drift', -0.5, 1);
      return (cluster) => cluster.driftClock(node, drift);
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
  'full-hint-disk': {
    fields: 'node',
    what: 'there is no room left for hints',
    read: (fields, { one }) => {
      const node = one(fields);
      return (cluster) => cluster.fullHintDisk(node);
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
  'failing-commit': {
    fields: 'node, outcome, of?',
    what: "its next commit of 'objects', 'hints' or 'system' fails, with all 'stored' or 'lost'",
    read: (fields, { one }) => {
      const node = one(fields);
      const outcome = fields.oneOf('outcome', ['stored', 'lost']);
      const of = fields.oneOf('of', STORAGES, 'objects');
      return (cluster) => cluster.failNextCommit(node, outcome, of);
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
  'rot-own-records': {
    fields: 'node',
    what: 'a record that it keeps for itself becomes unreadable, which shows when it starts next',
    read: (fields, { one }) => {
      const node = one(fields);
      return (cluster) => {
        if (!cluster.rotSystem(node)) cluster.say(`there is no record of its own on ${node} to rot`);
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
};
