/**
 * Lists of keys or buckets as JSON text, in pieces, so that neither side must hold a whole list. Pure.
 *
 * - `all`: one object, `{"keys":[…]}`. An error ends it in the middle; it is thrown on.
 * - `stream`: objects one after another, each with some, the last one with none; or `{"error":"timeout"}` as the last.
 *
 * JSON has no text for a key that is not UTF-8. Such keys come in base64 under a name of their own, `binaryKeys`, that
 * is only there if there are any, and which clients that do not know it pass over.
 * Source: Riak KV's HTTP API (list keys, list buckets).
 */
import { QuoralError } from '../../base/errors.js';
import type { Key } from '../../store/api/call-options.js';

/** What is listed. */
export type Listed = 'keys' | 'buckets';

export type ListMode = 'all' | 'stream';

/** A piece is sent when it is about so long. */
const PIECE_CHARS = 16_384;
const BINARY: Readonly<Record<Listed, string>> = { keys: 'binaryKeys', buckets: 'binaryBuckets' };

/**
 * The pieces of a list.
 * @param names - begins a pass over what is listed; a second one is begun, for `all`, only if there are binary names
 * @param textOfFailure - what a stream says of an error of the store
 * @param before - members of the object that is the list; of a stream, an object of its own before it
 */
export function listPieces(
  listed: Listed,
  mode: ListMode,
  names: () => AsyncIterable<Key>,
  textOfFailure: (error: QuoralError) => string,
  before: object = {},
): AsyncGenerator<string, void, undefined> {
  const opening = JSON.stringify(before);
  if (mode === 'all') return onePieceByPiece(listed, names, opening === '{}' ? '{' : `${opening.slice(0, -1)},`);
  return streamed(listed, names(), textOfFailure, opening === '{}' ? '' : opening);
}

async function* onePieceByPiece(
  listed: Listed,
  names: () => AsyncIterable<Key>,
  opening: string,
): AsyncGenerator<string, void, undefined> {
  const binary = { seen: false };
  yield* members(`${opening}"${listed}":[`, jsonTexts(names(), binary));
  // Two arrays cannot be written at once, and the keys of one may be too many to hold.
  if (binary.seen) yield* members(`],"${BINARY[listed]}":[`, base64Texts(names()));
  yield ']}';
}

async function* members(opening: string, texts: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let piece = opening;
  let comma = '';
  for await (const text of texts) {
    piece += comma + text;
    comma = ',';
    if (piece.length < PIECE_CHARS) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}

async function* jsonTexts(names: AsyncIterable<Key>, binary: { seen: boolean }): AsyncGenerator<string> {
  for await (const name of names) {
    if (typeof name === 'string') yield JSON.stringify(name);
    else binary.seen = true;
  }
}

async function* base64Texts(names: AsyncIterable<Key>): AsyncGenerator<string> {
  for await (const name of names) if (typeof name !== 'string') yield `"${base64(name)}"`;
}

async function* streamed(
  listed: Listed,
  names: AsyncIterable<Key>,
  textOfFailure: (error: QuoralError) => string,
  opening: string,
): AsyncGenerator<string, void, undefined> {
  let begun = false;
  let before = opening;
  let texts: string[] = [];
  let binaries: string[] = [];
  let length = 0;
  const take = (): string => {
    const binary = binaries.length === 0 ? {} : { [BINARY[listed]]: binaries };
    const piece = before + JSON.stringify({ [listed]: texts, ...binary });
    [texts, binaries, length, begun, before] = [[], [], 0, true, ''];
    return piece;
  };
  try {
    for await (const name of names) {
      const text = typeof name === 'string' ? name : base64(name);
      (typeof name === 'string' ? texts : binaries).push(text);
      length += text.length + 3;
      if (length >= PIECE_CHARS) yield take();
    }
    if (length > 0) yield take();
    yield take();
  } catch (error) {
    // Before the first piece, the status can still tell.
    if (!begun || !(error instanceof QuoralError)) throw error;
    if (length > 0) yield take();
    yield JSON.stringify({ error: textOfFailure(error) });
  }
}

function base64(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('base64');
}
