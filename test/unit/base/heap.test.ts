/** The heap gives what sorting gives. */
import fc from 'fast-check';
import { test } from 'tap';
import { Heap } from '../../../src/base/heap.js';

const ascending = (a: number, b: number) => a - b;

function drain<T extends NonNullable<unknown>>(heap: Heap<T>): T[] {
  const items: T[] = [];
  for (let item = heap.pop(); item !== undefined; item = heap.pop()) items.push(item);
  return items;
}

test('an empty heap has nothing to give', (t) => {
  const heap = new Heap<number>(ascending);
  t.equal(heap.size, 0);
  t.equal(heap.peek(), undefined);
  t.equal(heap.pop(), undefined);
  t.equal(heap.replace(1), undefined, 'there is nothing to replace …');
  t.equal(heap.pop(), 1, '… but the item is in');
  heap.push(2);
  heap.clear();
  t.equal(heap.pop(), undefined);
  t.end();
});

test('any mix of pushes, pops and replacements gives what a sorted list gives', (t) => {
  const operation = fc.oneof(
    fc.record({ does: fc.constantFrom('push', 'replace'), item: fc.integer({ min: 0, max: 20 }) }),
    fc.constant({ does: 'pop', item: 0 }),
  );
  const property = fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
    const heap = new Heap<number>(ascending);
    const sorted: number[] = [];
    for (const { does, item } of operations) {
      if (does !== 'push') {
        const least = sorted.shift();
        if (least !== (does === 'pop' ? heap.pop() : heap.replace(item))) return false;
      }
      if (does === 'push') heap.push(item);
      if (does !== 'pop') sorted.push(item);
      sorted.sort(ascending);
      if (heap.size !== sorted.length || heap.peek() !== sorted[0]) return false;
    }
    return drain(heap).join() === sorted.join();
  });
  t.equal(fc.check(property, { numRuns: 2_000 }).counterexample, null);
  t.end();
});

test('a k-way merge: the smallest head of several sorted lists, again and again', (t) => {
  const lists = [[1, 4, 9], [], [2, 3, 10], [5]];
  const heads = new Heap<{ list: number[]; at: number }>((a, b) => a.list[a.at]! - b.list[b.at]!);
  for (const list of lists) if (list.length > 0) heads.push({ list, at: 0 });
  const merged: number[] = [];
  for (let head = heads.peek(); head !== undefined; head = heads.peek()) {
    merged.push(head.list[head.at]!);
    if (head.at + 1 < head.list.length) heads.replace({ list: head.list, at: head.at + 1 });
    else heads.pop();
  }
  t.strictSame(merged, [1, 2, 3, 4, 5, 9, 10]);
  t.end();
});
