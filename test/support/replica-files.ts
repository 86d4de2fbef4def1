/** What the files of a store that is closed, or was killed, hold: every record of every node, decoded. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { textOf } from '../../src/base/bytes.js';
import { decodeLocatedKey } from '../../src/codec/key.js';
import { BEHIND_RECORDS } from '../../src/codec/own-keys.js';
import { decodeRecord } from '../../src/codec/record.js';
import { locatedKeyOf, ownerOf, ownerRange } from '../../src/hinted-handoff/hint-key.js';
import { decodeHint } from '../../src/hinted-handoff/hint-record.js';
import type { StoredObject } from '../../src/objects/stored-object.js';
import { openLmdbStorage } from '../../src/storage/lmdb-storage.js';

export interface Replica {
  readonly node: string;
  readonly partition: number;
  readonly record: Uint8Array;
  readonly object: StoredObject;
}

/** What a stand-in keeps for another node. */
export interface KeptHint extends Replica {
  readonly owner: string;
}

/**
 * By key, its replicas. Throws at the first record that is damaged.
 * @param path - the store's directory; nobody may have it open
 */
export function readReplicas(path: string): Map<string, Replica[]> {
  const replicas = new Map<string, Replica[]>();
  for (const { name, path: directory } of nodesOf(path)) {
    const storage = openLmdbStorage({ path: join(resolve(path, directory), 'objects.mdb'), sync: 'none' });
    try {
      for (const { key, value } of storage.range({ lt: BEHIND_RECORDS, limit: Number.POSITIVE_INFINITY })) {
        const located = decodeLocatedKey(key);
        const text = textOf(located.key)!;
        const replica = { node: name, partition: located.partition, record: value, object: decodeRecord(value) };
        const others = replicas.get(text);
        if (others === undefined) replicas.set(text, [replica]);
        else others.push(replica);
      }
    } finally {
      storage.close();
    }
  }
  return replicas;
}

/** By key, what stand-ins keep for their owners; as `readReplicas`. */
export function readHints(path: string): Map<string, KeptHint[]> {
  const hints = new Map<string, KeptHint[]>();
  const nodes = nodesOf(path);
  for (const { name, path: directory } of nodes) {
    const storage = openLmdbStorage({ path: join(resolve(path, directory), 'hints.mdb'), sync: 'full' });
    try {
      for (const { key, value } of nodes.flatMap((_, owner) =>
        storage.range({ ...ownerRange(owner), limit: Infinity }),
      )) {
        const located = decodeLocatedKey(locatedKeyOf(key));
        const text = textOf(located.key)!;
        const { record } = decodeHint(value);
        const owner = nodes[ownerOf(key)]!.name;
        const hint = { node: name, owner, partition: located.partition, record, object: decodeRecord(record) };
        const others = hints.get(text);
        if (others === undefined) hints.set(text, [hint]);
        else others.push(hint);
      }
    } finally {
      storage.close();
    }
  }
  return hints;
}

/** In the order of their numbers. */
function nodesOf(path: string): { name: string; path: string }[] {
  return JSON.parse(readFileSync(join(path, 'quoral.json'), 'utf8')).nodes;
}
