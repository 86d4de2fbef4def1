/**
 * Keeps the books of a crash test: every write that was begun, what came of it, every dot that was ever seen. Then says
 * whether what a store holds after a crash can be explained by them.
 *
 * - Each node that acknowledged a write has stored it; or, as a stand-in, keeps it or has delivered it to its owner.
 * - An acknowledged write is there, or an *effective* write was given a token that covers it. Effective is a write that
 *   was acknowledged, or was once seen.
 * - What is there was written; never twice; not by a write that failed for certain; and nothing that an acknowledged
 *   write has replaced (a false sibling, or a resurrection).
 * - A dot names one write for ever.
 */
import assert from 'node:assert/strict';
import { textOf, utf8 } from '../../src/base/bytes.js';
import {
  type CausalContext,
  coversAttempt,
  coversDot,
  dotsBeyondOf,
  EMPTY_CONTEXT,
  VV_STRIDE,
} from '../../src/clocks/causal-context.js';
import type { EventId } from '../../src/clocks/event-id.js';
import { decodeBody } from '../../src/codec/body.js';
import { encodeLocatedKey, type KeyHash, keyHash } from '../../src/codec/key.js';
import { decodeToken } from '../../src/codec/token.js';
import type { Sibling, StoredObject } from '../../src/objects/stored-object.js';
import { CRASH_BUCKET, idOf, type LogEntry } from './crash-load.js';
import type { KeptHint, Replica } from './replica-files.js';

interface Write {
  readonly id: string;
  readonly key: string;
  readonly kind: 'put' | 'delete';
  /** What it is known to have been given; null: it read by itself, and nobody knows. */
  readonly given: CausalContext | null;
  outcome: 'open' | 'acked' | 'refused';
  /** With the receipt: what it was given and its own dot. */
  receipt: CausalContext | undefined;
  dot: EventId | undefined;
  /** Of an acknowledged delete that read by itself: the dots of which one is its own. */
  candidates: readonly EventId[];
  /** It was seen in the store at some time. */
  effective: boolean;
  /** An acknowledged write that covers it was found: need not be looked for again. */
  replaced: boolean;
}

interface Key {
  readonly hash: KeyHash;
  readonly writes: Write[];
  /** A tombstone that no acknowledged delete accounts for was seen. */
  strangeTombstone: boolean;
}

export class CrashLedger {
  acked = 0;
  /** Writes whose outcome the writer never learned. */
  open = 0;
  private readonly keys = new Map<string, Key>();
  private readonly byId = new Map<string, Write>();
  private readonly dots = new Map<string, string>();
  /** Acknowledged writes since the last `checkStored`, and who had stored them. */
  /** How many vnodes had new names at the latest opening that has said so. */
  newIdentities: number | undefined;
  private unchecked: { readonly write: Write; readonly entry: LogEntry & { readonly type: 'acked' } }[] = [];

  get keyNames(): string[] {
    return [...this.keys.keys()];
  }

  /** Every writerId under which a write was acknowledged or a sibling was seen. */
  get writers(): Set<string> {
    return new Set([...this.dots.keys()].map((dot) => dot.slice(0, dot.indexOf(':'))));
  }

  /** The writerId of an acknowledged write. */
  writerOf(id: string): string {
    const { dot } = this.writeOf(id);
    assert(dot !== undefined, `${id} was not acknowledged`);
    return writerName(dot);
  }

  isAcked(id: string): boolean {
    return this.byId.get(id)?.outcome === 'acked';
  }

  readonly apply = (entry: LogEntry): void => {
    switch (entry.type) {
      case 'opened':
        this.newIdentities = entry.newIdentities;
        return;
      case 'begun':
        this.begin(entry);
        return;
      case 'acked':
        this.acknowledge(this.writeOf(entry.id), entry);
        return;
      case 'failed': {
        const write = this.writeOf(entry.id);
        assert.equal(write.outcome, 'open', `${entry.id} has two outcomes`);
        if (!entry.definite) return;
        write.outcome = 'refused';
        this.open--;
        return;
      }
      case 'saw':
        for (const id of entry.ids) this.see(id, entry.key);
        return;
    }
  };

  private begin(entry: LogEntry & { type: 'begun' }): void {
    const { id, kind, token } = entry;
    assert(!this.byId.has(id), `${id} was begun twice`);
    const key = this.keyOf(entry.key);
    const given = token === undefined ? EMPTY_CONTEXT : decodeToken(token, key.hash).context;
    const write: Write = {
      id,
      key: entry.key,
      kind: token === undefined && entry.unread !== true ? 'put' : kind,
      given: entry.unread === true ? null : given,
      outcome: 'open',
      receipt: undefined,
      dot: undefined,
      candidates: [],
      effective: false,
      replaced: false,
    };
    this.open++;
    this.byId.set(id, write);
    key.writes.push(write);
  }

  private acknowledge(write: Write, entry: LogEntry & { type: 'acked' }): void {
    assert.equal(write.outcome, 'open', `${write.id} has two outcomes`);
    write.outcome = 'acked';
    write.effective = true;
    this.acked++;
    this.open--;
    write.receipt = decodeToken(entry.token, this.keyOf(write.key).hash).context;
    const { given } = write;
    const fresh = newDots(given ?? EMPTY_CONTEXT, write.receipt);
    if (given === null && fresh.length > 1) {
      write.candidates = fresh;
      return;
    }
    assert.equal(fresh.length, 1, `the receipt of ${write.id} names ${fresh.length} new dots`);
    write.dot = fresh[0]!;
    this.register(write.dot, `${write.key} ${write.kind === 'put' ? write.id : 'tombstone'}`);
    this.unchecked.push({ write, entry });
  }

  /** Takes note of every dot in the records; an old dot must still name what it named. */
  checkDots(replicas: ReadonlyMap<string, readonly Replica[]>): void {
    for (const [key, copies] of replicas) {
      for (const { object } of copies) {
        for (const sibling of object.siblings) {
          this.register(sibling.dot, `${key} ${sibling.tombstone ? 'tombstone' : idIn(sibling)}`);
        }
      }
    }
  }

  /**
   * A node that a receipt names had stored the write: it has it still, or something that has seen it. To be asked of
   * what a crash left, before replicas heal one another.
   */
  checkStored(
    replicas: ReadonlyMap<string, readonly Replica[]>,
    hints: ReadonlyMap<string, readonly KeptHint[]> = new Map(),
  ): void {
    for (const { write, entry } of this.unchecked) {
      const isIn = (copy: Replica | undefined): boolean =>
        copy !== undefined && coversDot(copy.object.context, write.dot!);
      const hasStored = (node: string): boolean => isIn(replicas.get(write.key)?.find((copy) => copy.node === node));
      for (const node of entry.nodes) {
        assert(hasStored(node), `node ${node} acknowledged ${write.id}, and has lost it`);
      }
      for (const { owner, holder } of entry.hints) {
        const kept = hints.get(write.key)?.find((hint) => hint.node === holder && hint.owner === owner);
        assert(isIn(kept) || hasStored(owner), `node ${holder} acknowledged ${write.id} for ${owner}, and has lost it`);
      }
    }
    this.unchecked = [];
  }

  /** Every key that was ever written, with all its replicas equal. @param primaries - by partition, the nodes' names */
  checkReplicas(
    replicas: ReadonlyMap<string, readonly Replica[]>,
    primaries: readonly (readonly string[])[],
  ): Map<string, StoredObject> {
    const objects = new Map<string, StoredObject>();
    for (const [key, copies] of replicas) {
      const first = copies[0]!;
      const nodes = copies.map(({ node }) => node).sort();
      assert.deepEqual(nodes, [...primaries[first.partition]!].sort(), `${key} is not on exactly its primaries`);
      for (const { record, node } of copies) {
        assert(Buffer.compare(record, first.record) === 0, `${key} differs between ${first.node} and ${node}`);
      }
      objects.set(key, first.object);
    }
    return objects;
  }

  /** Holds every key's object against the books. */
  check(objects: ReadonlyMap<string, StoredObject>): void {
    for (const name of objects.keys()) assert(this.keys.has(name), `nobody wrote ${name}`);
    for (const [name, key] of this.keys) this.checkKey(name, key, objects.get(name)?.siblings ?? []);
  }

  private checkKey(name: string, key: Key, siblings: readonly Sibling[]): void {
    const there = this.whatIsThere(name, key, siblings);
    for (const write of key.writes) {
      if (write.outcome !== 'acked' || write.dot === undefined || write.replaced) continue;
      const { dot } = write;
      if (siblings.some((sibling) => sameName(sibling.dot, dot))) continue;
      const heir = key.writes.findLast((other) => other !== write && mayHaveReplaced(other, dot, key));
      assert(heir !== undefined, `${write.id} was acknowledged, and ${name} has lost it`);
      write.replaced = heir.outcome === 'acked';
    }
    for (const { write, dot, attempt } of there) {
      const voided = write?.receipt !== undefined && coversAttempt(write.receipt, attempt);
      assert(!voided, `${name} shows an attempt of ${write?.id} that a later attempt has replaced`);
      for (const other of key.writes) {
        if (other === write || !other.effective || other.outcome === 'refused') continue;
        const seen = other.receipt ?? other.given;
        const replacedIt = seen !== null && coversDot(seen, dot);
        assert(
          !replacedIt,
          `${name} shows ${write?.id ?? 'a tombstone'}, which ${other.id} (${other.outcome}) has replaced`,
        );
      }
    }
  }

  /** The siblings, each with the write that made it; a tombstone of a delete that was not acknowledged has none. */
  private whatIsThere(
    name: string,
    key: Key,
    siblings: readonly Sibling[],
  ): { write: Write | undefined; dot: EventId; attempt: EventId }[] {
    const ids = new Set<string>();
    return siblings.map((sibling) => {
      const { dot, attempt } = sibling;
      if (sibling.tombstone) {
        const write =
          key.writes.find((one) => one.dot !== undefined && sameName(one.dot, dot)) ??
          key.writes.find((one) => one.candidates.some((candidate) => sameName(candidate, dot)));
        key.strangeTombstone ||= write === undefined;
        return { write, dot, attempt };
      }
      const id = idIn(sibling);
      assert(!ids.has(id), `${name} shows ${id} twice`);
      ids.add(id);
      return { write: this.see(id, name), dot, attempt };
    });
  }

  private see(id: string, key: string): Write {
    const write = this.writeOf(id);
    assert.equal(write.key, key, `${id} was written to another key`);
    assert.notEqual(write.outcome, 'refused', `${id} failed for certain, and is there all the same`);
    write.effective = true;
    return write;
  }

  private register(dot: EventId, what: string): void {
    const name = eventName(dot);
    const known = this.dots.get(name);
    assert(known === undefined || known === what, `${name} names ${known}, and now ${what}`);
    this.dots.set(name, what);
  }

  private writeOf(id: string): Write {
    const write = this.byId.get(id);
    assert(write !== undefined, `nobody wrote ${id}`);
    return write;
  }

  private keyOf(name: string): Key {
    let key = this.keys.get(name);
    if (key === undefined) {
      const parts = { type: utf8('default'), bucket: utf8(CRASH_BUCKET), key: utf8(name) };
      key = { hash: keyHash(encodeLocatedKey(0, parts)), writes: [], strangeTombstone: false };
      this.keys.set(name, key);
    }
    return key;
  }
}

/** The dots that a receipt adds to what its put was given: beyond the vector, or as the vector's new end for a writer. */
function newDots(given: CausalContext, receipt: CausalContext): EventId[] {
  const ends: EventId[] = [];
  for (let i = 0; i < receipt.vv.length; i += VV_STRIDE) {
    ends.push({ high: receipt.vv[i]!, low: receipt.vv[i + 1]!, counter: receipt.vv[i + 2]! });
  }
  return [...ends, ...dotsBeyondOf(receipt)].filter((dot) => !coversDot(given, dot));
}

function mayHaveReplaced(write: Write, dot: EventId, key: Key): boolean {
  const seen = write.receipt ?? write.given;
  if (seen !== null && !coversDot(seen, dot)) return false;
  if (write.outcome === 'refused') return false;
  if (write.effective) return true;
  // A delete whose outcome is open shows only as a tombstone of unknown origin.
  return write.kind === 'delete' && key.strangeTombstone;
}

function idIn(sibling: Sibling): string {
  const text = textOf(decodeBody(sibling.body).value);
  assert(text !== undefined, 'a value is not the text that was written');
  return idOf(text);
}

function eventName(event: EventId): string {
  return `${writerName(event)}:${event.counter}`;
}

function writerName({ high, low }: EventId): string {
  return `${high.toString(16)}.${low.toString(16)}`;
}

function sameName(a: EventId, b: EventId): boolean {
  return eventName(a) === eventName(b);
}
