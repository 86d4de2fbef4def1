/**
 * What the calls of a bucket handle are given: which options each has, and what is wrong with them, told before anything
 * is sent. Compound calls check everything first: a mistake must not show only after the read, or when half is done.
 */
import { InvalidArgumentError, ValueTooLargeError } from '../base/errors.js';
import { encodeBody } from '../codec/body.js';
import type { PutCondition } from '../messages/object-request.js';
import type { ContentOptions, GetOptions, PutOptions, Quorum } from './api/call-options.js';
import type { StoreHome } from './bucket-home.js';
import { checkDurable, checkSignal, checkTimeout, checkTtl, flag, type Quorums, quorumOf, show } from './options.js';

export const READ_OPTIONS = new Set(['r', 'pr', 'notfoundOk', 'basicQuorum', 'timeoutMs', 'signal']);
export const GET_OPTIONS = new Set([...READ_OPTIONS, 'session']);
export const PUT_OPTIONS = new Set([
  'causalContext',
  'w',
  'pw',
  'dw',
  'metadata',
  'contentType',
  'ttlMs',
  'ifNoneMatch',
  'ifMatch',
  'timeoutMs',
  'signal',
]);
export const PUT_MANY_OPTIONS = new Set(
  [...PUT_OPTIONS].filter((name) => name !== 'causalContext' && name !== 'ifMatch'),
);
export const UPDATE_OPTIONS = new Set([...READ_OPTIONS, ...PUT_MANY_OPTIONS].filter((name) => name !== 'ifNoneMatch'));
export const DELETE_OPTIONS = new Set(['causalContext', 'r', 'w', 'pw', 'dw', 'timeoutMs', 'signal']);
/** What content type and metadata may take together, encoded. */
const MAX_HEADER_BYTES = 65_536;
export const NO_METADATA: Readonly<Record<string, string>> = {};

/** @throws {InvalidArgumentError} Something is wrong with the options of a read. */
export function checkRead(home: StoreHome, options: GetOptions): void {
  checkQuorum(home, 'r', options.r);
  checkQuorum(home, 'pr', options.pr);
  flag('notfoundOk', options.notfoundOk);
  flag('basicQuorum', options.basicQuorum);
  checkTimeout(options.timeoutMs);
  checkSignal(options.signal);
}

/**
 * @param defaultType - the media type where the call gives none
 * @throws {InvalidArgumentError} Something is wrong with the options of a write.
 */
export function checkWrite(home: StoreHome, options: Omit<PutOptions, 'causalContext'>, defaultType: string): void {
  checkQuorum(home, 'w', options.w);
  checkQuorum(home, 'pw', options.pw);
  checkQuorum(home, 'dw', options.dw);
  checkTtl(options.ttlMs);
  checkTimeout(options.timeoutMs);
  checkSignal(options.signal);
  conditionOf(options.ifNoneMatch, options.ifMatch);
  const { contentType = defaultType, metadata = NO_METADATA } = options;
  checkHeaders(contentType, metadata);
}

function checkQuorum(home: StoreHome, which: keyof Quorums, asked: Quorum | undefined): void {
  if (asked === undefined) return;
  const replicas = quorumOf(which, asked, home.n);
  if (which === 'dw') checkDurable(replicas, home.canBeDurable);
}

/** The condition of a put. @throws {InvalidArgumentError} Two of them were given. */
export function conditionOf(ifNoneMatch: boolean | undefined, ifMatch: string | undefined): PutCondition {
  flag('ifNoneMatch', ifNoneMatch);
  if (ifMatch === undefined) return ifNoneMatch === true ? 'if-none-match' : 'none';
  if (ifNoneMatch === true) {
    throw new InvalidArgumentError('ifMatch and ifNoneMatch rule each other out: give one of them');
  }
  return 'if-match';
}

/**
 * A condition that is left out by mistake must not make a put unconditional.
 * @throws {InvalidArgumentError} `ifMatch` was given, and is undefined: the context of a key that was never seen.
 */
export function checkIfMatch(options: PutOptions): void {
  if (options.ifMatch !== undefined || !('ifMatch' in options)) return;
  throw new InvalidArgumentError(
    'ifMatch is undefined: a key that was never seen has no context to match; ifNoneMatch: true puts if nothing is there',
  );
}

/** @throws {InvalidArgumentError} They are no texts. */
export function checkHeaders(contentType: string, metadata: Readonly<Record<string, string>>): void {
  if (typeof contentType !== 'string' || contentType === '') {
    throw new InvalidArgumentError(`contentType must be a text that is not empty, not ${show(contentType)}`);
  }
  if (metadata === NO_METADATA) return;
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw new InvalidArgumentError(`metadata must be an object of strings, not ${show(metadata)}`);
  }
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') {
      throw new InvalidArgumentError(`metadata "${name}" must be a string, not ${show(value)}`);
    }
  }
}

/**
 * A value with what goes with it, as it is stored.
 * @throws {ValueTooLargeError} It is, or what goes with it. @throws {InvalidArgumentError} The codec gave no bytes.
 */
export function bodyOf(
  { maxValueBytes }: StoreHome,
  { contentType, metadata }: Required<Pick<ContentOptions, 'contentType' | 'metadata'>>,
  value: Uint8Array,
): Uint8Array {
  if (!(value instanceof Uint8Array)) {
    throw new InvalidArgumentError(`the codec's encode must give a Uint8Array, not ${show(value)}`);
  }
  if (value.length > maxValueBytes) {
    throw new ValueTooLargeError(
      `the value is ${value.length} bytes, over maxValueBytes (${maxValueBytes}): store less, or raise maxValueBytes up to 64 MiB`,
    );
  }
  const body = encodeBody({ contentType, metadata, value });
  const headerBytes = body.length - value.length;
  if (headerBytes <= MAX_HEADER_BYTES) return body;
  throw new ValueTooLargeError(
    `contentType and metadata are ${headerBytes} bytes together: shorten them to ${MAX_HEADER_BYTES}`,
  );
}
