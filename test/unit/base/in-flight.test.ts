// Goal: the table of things under way behaves like a Map whose keys are never used twice.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'tap';
import { InFlight } from '../../../src/base/in-flight.js';

interface Entry {
  readonly name: number;
}

test('random additions and removals agree with a Map of tickets never given twice', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.record({ add: fc.boolean(), which: fc.nat() }), { maxLength: 200 }),
      (capacity, steps) => {
        const table = new InFlight<Entry>(capacity);
        const model = new Map<number, Entry>();
        const given: number[] = [];
        for (const { add, which } of steps) {
          if (add) {
            const entry = { name: which };
            const ticket = table.add(entry);
            if (model.size === capacity) {
              assert.equal(ticket, -1);
            } else {
              assert.ok(Number.isSafeInteger(ticket) && ticket >= 0 && ticket < 2 ** 48);
              assert.ok(!given.includes(ticket), 'a ticket is used once');
              given.push(ticket);
              model.set(ticket, entry);
            }
          } else if (given.length > 0) {
            const ticket = given[which % given.length]!; // Often one that was taken out long ago.
            table.remove(ticket);
            model.delete(ticket);
          }
          assert.equal(table.size, model.size);
          for (const ticket of given) assert.equal(table.get(ticket), model.get(ticket));
          const visited = new Map<number, Entry>();
          table.forEach((entry, ticket) => {
            visited.set(ticket, entry);
          });
          assert.equal(visited.size, model.size);
          for (const [ticket, entry] of visited) assert.equal(model.get(ticket), entry);
        }
      },
    ),
  );
  t.pass('held for every case');
});

test('a visitor may take out the entry that it is given', async (t) => {
  const table = new InFlight<Entry>(3);
  for (let name = 0; name < 3; name++) table.add({ name });
  const visited: number[] = [];
  table.forEach((entry, ticket) => {
    visited.push(entry.name);
    table.remove(ticket);
  });
  t.same(visited, [0, 1, 2]);
  t.equal(table.size, 0);
});

test('tickets that were never given find nothing', async (t) => {
  const table = new InFlight<Entry>(2);
  table.add({ name: 1 });
  for (const ticket of [-1, 1, 65_536, Number.MAX_SAFE_INTEGER]) {
    t.equal(table.get(ticket), undefined);
    table.remove(ticket);
  }
  t.equal(table.size, 1);
});

test('the capacity is at most what tickets can name', async (t) => {
  const table = new InFlight<Entry>(1_000_000);
  for (let i = 0; i < 65_536; i++) table.add({ name: i });
  t.equal(table.size, 65_536);
  t.equal(table.add({ name: -1 }), -1);
});
