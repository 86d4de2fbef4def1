/** Which warnings of a node are told. */
import assert from 'node:assert/strict';
import { ToldOnce } from '../../../src/store/told-once.js';
import { test } from '../../support/test.js';

test('troubles that go on, also in turns, are told once; again after a pause, or once the node was well', () => {
  const told = new ToldOnce();
  for (let second = 0; second < 600; second++) {
    for (const text of ['objects', 'hints']) assert.equal(told.isNews(1, text, second * 1_000), second === 0, text);
  }
  assert.equal(told.isNews(2, 'objects', 600_000), true, 'another node has its own');
  assert.equal(told.isNews(1, 'objects', 700_000), true, 'it was quiet for a while');
  assert.equal(told.isNews(1, 'objects', 700_001), false);
  told.forget(1);
  assert.equal(told.isNews(1, 'objects', 700_002), true);
});

test('what is remembered is bounded: the oldest goes', () => {
  const told = new ToldOnce();
  for (let i = 0; i < 100; i++) assert.equal(told.isNews(1, `${i}`, i), true);
  assert.equal(told.isNews(1, '99', 100), false);
  assert.equal(told.isNews(1, '0', 101), true);
});
