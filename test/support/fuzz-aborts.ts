/** Calls that are given up while they are under way. A read has no effect; a write that was sent has the one that it would have had. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { below, type Random } from '../../src/base/random.js';
import { AbortedError, ConflictError, QuoralError, type Receipt, type Sibling } from '../../src/index.js';
import { CONFLICT, type FuzzBooks, type Handle, outcomeOf, type PlannedWrite, readUntil } from './fuzz-books.js';
import { spelt } from './fuzz-keys.js';
import type { FuzzPlans, PlannedUpdate } from './fuzz-plans.js';

/** A call that is to be given up. */
interface Abortable {
  readonly call: Promise<unknown>;
  readonly planned?: PlannedWrite;
  readonly isThere?: (siblings: readonly Sibling<unknown>[]) => boolean;
  /** Settled once an update has read, and writes. */
  readonly writing?: Promise<void>;
}

export const ABORTABLE = ['get', 'getMany', 'scan', 'put', 'put', 'putMany', 'delete', 'update', 'update'] as const;
export type AbortableCall = (typeof ABORTABLE)[number];

export class FuzzedAborts {
  private readonly random: Random;
  private readonly books: FuzzBooks;
  private readonly plans: FuzzPlans;

  constructor(random: Random, books: FuzzBooks, plans: FuzzPlans) {
    this.random = random;
    this.books = books;
    this.plans = plans;
  }

  /**
   * Makes a call and gives it up.
   * @returns whether it is a write of which some is on its way still, which what follows must replace on all replicas;
   * and how many calls of the API were made
   */
  async abort(act: AbortableCall, handle: Handle, key: string): Promise<{ isUnderWay: boolean; calls: number }> {
    const controller = new AbortController();
    const { call, planned, isThere, writing } = this.begin(act, handle, key, controller.signal);
    const ending = outcomeOf(call);
    if (writing !== undefined && below(this.random, 3) > 0) await Promise.race([writing, ending]);
    // Now, within the turn that sends it, or after some turns: a call of several steps is given up in each of them.
    for (let turns = below(this.random, 6) - 1; turns > 0; turns--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    controller.abort();
    const outcome = await ending;
    const isWholeStory = { isUnderWay: false, calls: 1 };
    if (planned === undefined) {
      assert(!(outcome instanceof QuoralError) || (outcome instanceof AbortedError && outcome.definite), `${outcome}`);
      return isWholeStory;
    }
    if (outcome instanceof ConflictError) {
      assert.equal((planned as PlannedUpdate).found, CONFLICT);
      return isWholeStory;
    }
    if (!(outcome instanceof AbortedError)) {
      this.books.conclude(planned, outcome as Receipt | QuoralError);
      return isWholeStory;
    }
    if (outcome.definite || typeof planned.expect() === 'string') return isWholeStory;
    return { isUnderWay: true, calls: 1 + (await readUntil(handle, key, isThere!)) };
  }

  /** @returns for a write, what was planned, and by what a read shows that it is there */
  private begin(act: AbortableCall, handle: Handle, key: string, signal: AbortSignal): Abortable {
    const { bucket } = handle;
    const given = spelt(key, this.random);
    if (act === 'get') return { call: bucket.get(given, { signal }) };
    if (act === 'scan') return { call: bucket.scan({ signal }).next() };
    if (act === 'getMany') {
      return { call: bucket.getMany([given], { signal }).then((reads) => thrown(reads.get(given)!)) };
    }
    if (act === 'delete') {
      const planned = this.plans.delete(handle, key);
      const covered = this.books.values(key, false).filter(({ id }) => planned.seen.has(id));
      // When a deletion of nothing is done cannot be seen.
      if (covered.length === 0) return this.begin('put', handle, key, signal);
      const gone = covered.map((write) => this.books.made(write));
      const isThere: Abortable['isThere'] = (siblings) => !gone.some((value) => isAmong(siblings, value));
      return { call: bucket.delete(given, { ...planned.options, signal }), planned, isThere };
    }
    const planned = act === 'update' ? this.plans.update(handle, key) : this.plans.put(handle, key);
    const value = this.books.kind.make(planned.value);
    const isThere: Abortable['isThere'] = (siblings) => isAmong(siblings, value);
    const options = { ...planned.options, signal };
    if (act === 'put') return { call: bucket.put(given, value, options), planned, isThere };
    if (act === 'update') {
      let call: Promise<unknown> = Promise.resolve();
      const writing = new Promise<void>((resolve) => {
        const fn = () => {
          resolve();
          return value;
        };
        call = bucket.update(given, fn, options);
      });
      return { call, planned, isThere, writing };
    }
    const receipts = bucket.putMany([{ ...planned.options, key: given, value }], { signal });
    return { call: receipts.then((all) => thrown(all.get(given)!)), planned, isThere };
  }
}

export function isAmong(siblings: readonly Sibling<unknown>[], value: unknown): boolean {
  return siblings.some((sibling) => isDeepStrictEqual(sibling.value, value));
}

function thrown<T>(result: T | Error): T {
  if (result instanceof Error) throw result;
  return result;
}
