/** The steps of a scenario (`scenario.ts`): what each is called in the file, what fields it has, and what it does. */
import { InvalidArgumentError } from '../base/errors.js';
import { FAULT_STEPS } from './scenario-faults.js';
import { MAX_MS, type StepForm } from './scenario-step.js';

export const STEPS: Readonly<Record<string, StepForm>> = {
  ...FAULT_STEPS,
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
