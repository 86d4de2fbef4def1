/** Thread groups: real threads that ask one another, die and come back. */

import { test } from 'tap';

import { ThreadGroup } from '../../../../src/runtime/threads/thread-group.js';
import { Asker, told } from '../../../support/threads/asker.js';

const ENTRY = new URL('../../../support/threads/echo-worker.js', import.meta.url);

test('three threads ask and answer one another', async (t) => {
  const group = new ThreadGroup({ entry: ENTRY, workers: 2 });
  t.teardown(() => group.close());
  await Promise.all([group.start(0, {}), group.start(1, {})]);
  const asker = await Asker.on(group.host);

  const echo = told(await asker.ask(0, { number: 12.5, body: Buffer.from('hello') }));
  t.equal(echo.told.number, 12.5);
  t.equal(Buffer.from(echo.told.body).toString(), 'hello');

  const forwarded = told(await asker.ask(0, { verb: 'forward', number: 1, body: Buffer.from('via 0 to 1') }));
  t.equal(Buffer.from(forwarded.told.body).toString(), 'via 0 to 1');

  const noticed = told(await asker.ask(1, { verb: 'notice' }));
  t.same([noticed.notices.map((each) => each.number), noticed.told.number], [[1], 2]);

  const many = await Promise.all(Array.from({ length: 5_000 }, (_, i) => asker.ask(i % 2, { number: i })));
  t.same(
    many.map((each) => told(each).told.number),
    Array.from({ length: 5_000 }, (_, i) => i),
  );
  t.same(await asker.ask(0, {}, 99), { failure: 'unreachable' });
});
