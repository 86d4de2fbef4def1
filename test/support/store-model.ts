/**
 * The naive model of a store: one map, and per key what a single replica would keep, with contexts as plain sets of
 * writes. It knows no nodes, vectors, dots or times: in a store that nothing happens to, every call must agree with it.
 */

/** One write, numbered in the order in which the store was asked. */
export interface ModelWrite {
  readonly id: number;
  /** Null for a delete. */
  readonly value: string | null;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export type Seen = ReadonlySet<number>;

export interface ModelPut {
  readonly value: string | null;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** What the put's context covers. */
  readonly seen: Seen;
  readonly lastWriteWins: boolean;
  readonly ifNoneMatch: boolean;
  /** What must cover all that is there; undefined for no such condition. */
  readonly ifMatch: Seen | undefined;
  readonly maxSiblings: number;
}

export class StoreModel {
  private readonly keys = new Map<string, { seen: Set<number>; siblings: ModelWrite[] }>();
  private writes = 0;

  /** @returns what the receipt covers, or the code of the error */
  put(key: string, put: ModelPut): Seen | 'PRECONDITION_FAILED' | 'TOO_MANY_SIBLINGS' {
    const { value, contentType, metadata, seen, ifMatch } = put;
    const { siblings = [], seen: known = [] } = this.keys.get(key) ?? {};
    if (put.ifNoneMatch && siblings.some((sibling) => sibling.value !== null)) return 'PRECONDITION_FAILED';
    if (ifMatch !== undefined && siblings.some(({ id }) => !ifMatch.has(id))) return 'PRECONDITION_FAILED';
    const id = this.writes + 1;
    const kept = put.lastWriteWins ? [] : siblings.filter((sibling) => !seen.has(sibling.id));
    if (kept.length + 1 > put.maxSiblings) return 'TOO_MANY_SIBLINGS';
    this.writes = id;
    this.keys.set(key, {
      siblings: [...kept, { id, value, contentType, metadata }],
      seen: new Set([...known, ...seen, id]),
    });
    return new Set([...seen, id]);
  }

  /** The values that are there, oldest first. */
  values(key: string, lastWriteWins: boolean): readonly ModelWrite[] {
    const siblings = this.keys.get(key)?.siblings ?? [];
    return (lastWriteWins ? siblings.slice(-1) : siblings).filter(({ value }) => value !== null);
  }

  /** What a read's context covers; undefined if the key was never written. */
  seen(key: string): Seen | undefined {
    return this.keys.get(key)?.seen;
  }
}
