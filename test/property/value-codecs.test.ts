/**
 * Goal: what the codecs 'json' and 'msgpack' take, they give back as it was, but for the few changes that they promise; all
 * else they refuse. Method: values of every kind that JavaScript has, drawn at random.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { InvalidArgumentError } from '../../src/base/errors.js';
import { codecOf } from '../../src/store/value-codecs.js';
import { test } from '../support/test.js';

const json = codecOf<unknown>('json' as never);
const msgpack = codecOf<unknown>('msgpack' as never);
const runs = { numRuns: 3_000 * Number(process.env.QUORAL_RUNS ?? 1), interruptAfterTimeLimit: 20_000 };

const text = fc.oneof(
  fc.string(),
  fc.constantFrom('-0', '-0~', '\ud800', 'a\udc00', '\ufffd', 'x'.repeat(99), '__proto__'),
);
const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(0, -0, 1e-300, 2 ** 53));
class Point {
  readonly x = -0;
  readonly y = 1;
}
const odd = fc.constantFrom<unknown>(
  undefined,
  Symbol('s'),
  () => 1,
  new Point(),
  new Number(5),
  /x/g,
  new Map([[1, 2]]),
);
const anything = fc.anything({
  values: [text, number, fc.bigInt(), fc.boolean(), fc.constant(null), fc.date({ noInvalidDate: false }), odd],
  key: text,
  ...{ withMap: true, withSet: true, withSparseArray: true, withTypedArray: true, withNullPrototype: true },
});

/** What the codec says that becomes of a value: what an object is, and what is in it. */
type Change = (value: object) => unknown;

function changed(value: unknown, change: Change): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const whole = change(value);
  if (whole !== value) return whole;
  const within = (member: unknown) => changed(member, change);
  if (Array.isArray(value)) return Array.from(value, within);
  if (value instanceof Set) return new Set([...value].map(within));
  const isObject = Object.prototype.toString.call(value) === '[object Object]' || value instanceof Map;
  if (!isObject) return value;
  const entries: [string, unknown][] = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([name, member]) => [name, within(member)]));
}

/** A date becomes its text, and what is undefined is not there; what has a class is a plain object. */
const byJson: Change = (value) => {
  if (value instanceof Date) return value.toJSON();
  const isWhole = Array.isArray(value) || Object.values(value).every((member) => member !== undefined);
  if (isWhole) return value;
  return changed(Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)), byJson);
};

for (const [codec, change] of [
  [json, byJson],
  [msgpack, (value: object) => value],
] as const) {
  test(`${codec.contentType}: what is taken comes back`, () => {
    let taken = 0;
    const property = fc.property(anything, (value) => {
      let encoded: Uint8Array;
      try {
        encoded = codec.encode(value);
      } catch (error) {
        assert(error instanceof InvalidArgumentError && error.definite, `${error}`);
        return;
      }
      taken++;
      assert.deepStrictEqual(codec.decode(encoded), changed(value, change));
    });
    fc.assert(property, runs);
    assert(taken > 100, `only ${taken} were taken`);
  });

  test(`${codec.contentType}: takes all of JSON, and −0`, () => {
    const value = fc.oneof(fc.jsonValue({ stringUnit: 'grapheme' }), fc.array(number.filter(Number.isFinite)));
    const property = fc.property(
      value.filter((drawn) => !JSON.stringify(drawn).includes('"__proto__":')),
      (drawn) => assert.deepStrictEqual(codec.decode(codec.encode(drawn)), drawn),
    );
    fc.assert(property, runs);
  });
}
