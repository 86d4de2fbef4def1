/**
 * What has changed in the replicas of a node and is not in their trees yet. Writes come from all of its vnodes, and their
 * notes stand one behind the other in one page, whatever tree they are for: a log for each tree would cost ten times as much
 * at the write, in memory that is in no cache.
 *
 *     vnodes ──note──▶ page ──full, or somebody asks──▶ under way ──folded──▶ trees
 *                                                          └──failed──▶ waits to be taken again: a worker that died has lost nothing
 *
 * A change has a number; once all up to it are folded in, trees are as fresh as when it was noted.
 *
 * Bounded: when so many pages wait that there is no room for another, all of the trees are dropped, to be built anew.
 */
import { assert } from '../base/assert.js';
import { ChangeBuffer, changeBytes } from './change-buffer.js';
import { FoldingTree } from './folding-tree.js';
import { type FoldResult, type FoldTask, foldPage, type NumberedTask } from './hash-task.js';
import type { MerkleTree } from './merkle-tree.js';

export interface ChangeLogOptions {
  /** Bytes of changes that are folded in together: at least those of one (default 4 KiB). */
  readonly pageBytes?: number;
  /** Pages that may wait, or be under way (default 16). */
  readonly maxPages?: number;
  /** Memory for a page (default: of the thread's own). */
  readonly newMemory?: (bytes: number) => ArrayBufferLike;
}

/** Memory that is kept for the next changes while others are under way. */
const MAX_SPARE = 2;

/** In the place of a tree's number: its keeper has to know of each write. */
export const KEEPER_NOTES = 0xffff_ffff;

/** Changes that are folded in together, and the number of the first of them. */
interface Page {
  readonly changes: ChangeBuffer;
  readonly first: number;
}

export class ChangeLog {
  /** The number of the last change that was noted. */
  noted = 0;
  /** True if there is a page that is worth a task: `nextFold`. */
  isWaiting = false;
  private readonly pageBytes: number;
  private readonly maxPages: number;
  private readonly newMemory: (bytes: number) => ArrayBufferLike;
  private readonly trees = new Map<number, FoldingTree>();
  private numbers = 0;
  /** By partition: the number of its tree; 0 if there is none; or `KEEPER_NOTES`. All in memory that is always in a cache. */
  private routes = new Uint32Array(64);
  private page: ChangeBuffer;
  /** The number of the first change on that page. */
  private first = 1;
  private readonly waiting: Page[] = [];
  private readonly underWay = new Map<number, Page>();
  private tasks = 0;
  /** The memory of pages that were folded in: making some costs more than filling it. */
  private readonly spare: Uint8Array[] = [];

  constructor({ pageBytes, maxPages, newMemory }: ChangeLogOptions = {}) {
    this.pageBytes = pageBytes ?? 4_096;
    this.maxPages = maxPages ?? 16;
    this.newMemory = newMemory ?? ((bytes) => new ArrayBuffer(bytes));
    // It gets its memory with the first change.
    this.page = new ChangeBuffer(new Uint8Array(0));
  }

  /** From now on changes of `tree` can be noted, under its number. */
  enlist(tree: MerkleTree): FoldingTree {
    const folding = new FoldingTree(tree, ++this.numbers);
    this.trees.set(folding.number, folding);
    return folding;
  }

  /** Nobody needs that tree any more: what changes there are for it, and will be, are left out. */
  drop(folding: FoldingTree): void {
    folding.isDropped = true;
    this.trees.delete(folding.number);
    const partition = this.routes.indexOf(folding.number);
    if (partition !== -1) this.routes[partition] = 0;
  }

  /** From now on writes to a partition are changes of the tree of that number; 0: of none; or its keeper notes them. */
  route(partition: number, number: number): void {
    if (partition >= this.routes.length) {
      const larger = new Uint32Array(2 * partition);
      larger.set(this.routes);
      this.routes = larger;
    }
    this.routes[partition] = number;
  }

  /** A write to a partition that was routed, as `note`. @returns false if its keeper is to note it */
  noteWrite(
    partition: number,
    located: Uint8Array,
    before: Uint8Array | undefined,
    after: Uint8Array | undefined,
  ): boolean {
    const number = this.routes[partition]!;
    if (number === KEEPER_NOTES) return false;
    if (number !== 0) this.note(number, located, before, after);
    return true;
  }

  /** The record under `located` was `before` and is `after`; undefined: there was, or is, none. Copies what it needs. */
  note(tree: number, located: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    if (!this.page.fits(located)) this.turnPage(located);
    this.page.note(tree, located, before, after);
    this.noted++;
  }

  /** A page for whoever folds; undefined if none is full, or, if `all`, none has a change. */
  nextFold(all = false): NumberedTask<FoldTask> | undefined {
    if (all && this.waiting.length === 0) this.endPage();
    const page = this.waiting.shift();
    this.isWaiting = this.waiting.length > 0;
    if (page === undefined) return undefined;
    const number = ++this.tasks;
    this.underWay.set(number, page);
    return { number, task: this.taskOf(page) };
  }

  /** A page is folded. One that was given up meanwhile, or folded otherwise, is left aside. */
  folded(number: number, result: FoldResult): void {
    const page = this.underWay.get(number);
    if (page === undefined) return;
    this.underWay.delete(number);
    if (this.spare.length < MAX_SPARE) this.spare.push(page.changes.bytes);
    this.apply(result);
  }

  /** Nothing came of it: the page will be taken again. */
  failed(number: number): void {
    const page = this.underWay.get(number);
    if (page === undefined) return;
    this.underWay.delete(number);
    this.waiting.push(page);
    this.isWaiting = true;
  }

  /** True if all changes up to that one are in their trees. */
  has(number: number): boolean {
    if (this.page.changes > 0 && this.first <= number) return false;
    for (const { first } of this.waiting) if (first <= number) return false;
    for (const { first } of this.underWay.values()) if (first <= number) return false;
    return true;
  }

  /** Folds all that is outstanding in, here and now: at a stop, when there is nobody left to do it. */
  settle(): void {
    this.endPage();
    for (const page of [...this.waiting, ...this.underWay.values()]) this.apply(foldPage(this.taskOf(page)));
    this.clear();
  }

  /** The page is full, or there is none yet. */
  private turnPage(located: Uint8Array): void {
    assert(changeBytes(located) <= this.pageBytes, 'a page has room for a change');
    this.endPage();
    if (this.waiting.length + this.underWay.size >= this.maxPages) {
      for (const folding of [...this.trees.values()]) this.drop(folding);
      this.clear();
    }
    this.page = new ChangeBuffer(this.spare.pop() ?? new Uint8Array(this.newMemory(this.pageBytes)));
  }

  private endPage(): void {
    const { page } = this;
    if (page.changes === 0) return;
    this.waiting.push({ changes: page, first: this.first });
    this.isWaiting = true;
    this.page = new ChangeBuffer(new Uint8Array(0));
    this.first = this.noted + 1;
  }

  /** What is under way is read by others: its memory is theirs. */
  private clear(): void {
    this.waiting.length = 0;
    this.underWay.clear();
    this.isWaiting = false;
  }

  private taskOf({ changes }: Page): FoldTask {
    const trees = new Uint32Array(2 * this.trees.size);
    let at = 0;
    for (const { number, tree } of this.trees.values()) {
      trees[at++] = number;
      trees[at++] = tree.depth;
    }
    const { buffer } = changes.bytes;
    return { type: 'fold', memory: buffer, bytes: changes.length, changes: changes.changes, trees };
  }

  private apply({ trees, words }: FoldResult): void {
    let at = 0;
    for (let i = 0; i < trees.length; i += FOLDED_STRIDE) {
      const end = at + trees[i + 2]!;
      // Unless the tree was dropped meanwhile.
      this.trees.get(trees[i]!)?.apply({ depth: trees[i + 1]!, words: words.subarray(at, end) });
      at = end;
    }
  }
}

/** Numbers for one tree in a result. */
const FOLDED_STRIDE = 3;
