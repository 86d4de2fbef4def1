/**
 * What fuzzed buckets store. A value has a name, such as `v12` or `v12:9000`, by which the model knows it; a codec's kind
 * makes the value of a name, always the same one and never that of another name, of about so many bytes if it says so.
 */
import { type BucketOptions, type Codec, InvalidArgumentError } from '../../src/index.js';

/** Values of one codec. */
export interface ValueKind {
  readonly codec: BucketOptions<unknown>['codec'];
  /** What is stored with a value where the put does not say. */
  readonly contentType: string;
  make(name: string): unknown;
  /** Makes one of several, as a merge function. */
  merge(values: readonly unknown[]): unknown;
  /** What the codec refuses to encode. */
  readonly refused: unknown;
}

/** The number of a value's name, and how many bytes it is to have at least. */
function parse(name: string): { readonly n: number; readonly bytes: number } {
  const [, n, bytes = '0'] = /^v(\d+)(?::(\d+))?$/.exec(name)!;
  return { n: Number(n), bytes: Number(bytes) };
}

function textOf(name: string): string {
  const { bytes } = parse(name);
  return `${name} ü€😀 ${'x'.repeat(bytes)}`;
}

/** All byte values, in another order for each name. */
function bytesOf(name: string): Uint8Array {
  const { n, bytes } = parse(name);
  const made = new Uint8Array(8 + (n % 300) + bytes).fill(n);
  // As many as show that bytes are left as they are.
  for (let i = 0; i < 512 && i < made.length; i++) made[i] = (i * 167 + n) & 0xff;
  new DataView(made.buffer).setFloat64(0, n);
  return made;
}

/** JSON in all its forms. */
function jsonOf(name: string): unknown {
  const { n, bytes } = parse(name);
  const forms = [
    n,
    name,
    [n, null],
    { n, yes: true, no: false, none: null, deep: [{ 'ü"\\': -1.5e-7 }, [-0, '\ud83d']] },
  ];
  return bytes === 0 ? forms[n % forms.length] : { n, filler: 'ü'.repeat(bytes / 2) };
}

/** What JSON has no form for. */
function packedOf(name: string): unknown {
  const { n, bytes } = parse(name);
  const forms = [
    n,
    name,
    new Date(n),
    2n ** 70n + BigInt(n),
    { n, set: new Set(['ü', n]) },
    new Float64Array([n, 0.5]),
    [n, { odd: undefined }, -0, Number.NaN, Number.NEGATIVE_INFINITY],
  ];
  return bytes === 0 ? forms[n % forms.length] : [bytesOf(name)];
}

/** Lists of words, one a line. */
const words: Codec<readonly string[]> = {
  contentType: 'text/x-words',
  encode(list) {
    if (!Array.isArray(list)) throw new InvalidArgumentError('these are no words');
    return Buffer.from(list.join('\n'));
  },
  decode: (bytes) => Buffer.from(bytes).toString().split('\n'),
};

export const VALUE_KINDS: readonly ValueKind[] = [
  {
    codec: 'text',
    contentType: 'text/plain; charset=utf-8',
    make: textOf,
    merge: (values) => values.join('+'),
    refused: 5,
  },
  {
    codec: 'raw',
    contentType: 'application/octet-stream',
    make: bytesOf,
    merge: (values) => new Uint8Array(Buffer.concat(values as Uint8Array[])),
    refused: 'text',
  },
  {
    codec: 'json',
    contentType: 'application/json',
    make: jsonOf,
    merge: (values) => values,
    refused: [{ odd: Number.NaN }],
  },
  {
    codec: 'msgpack',
    contentType: 'application/msgpack',
    make: packedOf,
    merge: (values) => values,
    refused: ['\ud83d'],
  },
  {
    codec: words as Codec<unknown>,
    contentType: words.contentType,
    make: (name) => textOf(name).split(' '),
    merge: (values) => values.flat(),
    refused: 'a b',
  },
];
