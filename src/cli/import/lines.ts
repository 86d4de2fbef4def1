/** Lines of a file, as bytes, with where they stand. Holds no more of the file than a chunk and a line. */

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Offset of its first byte in the file. */
  readonly start: number;
  /** Offset behind its line end. */
  readonly end: number;
  /** Without its line end (`\n` or `\r\n`); undefined if it is longer than was allowed. */
  readonly bytes: Uint8Array | undefined;
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/**
 * Splits chunks of a file into lines. The last one may lack its line end.
 * @param from - the offset and number of lines before the first chunk
 * @param maxBytes - longer lines are passed over and come without their bytes
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  from: { readonly offset: number; readonly line: number },
  maxBytes: number,
): AsyncGenerator<Line, void, undefined> {
  let number = from.line;
  let start = from.offset;
  let pieces: Uint8Array[] = [];
  let length = 0;
  const finish = (end: number): Line => {
    const whole = length > maxBytes + 1 ? undefined : withoutReturn(Buffer.concat(pieces));
    const bytes = whole !== undefined && whole.length > maxBytes ? undefined : whole;
    const line = { number: ++number, start, end, bytes };
    start = end;
    pieces = [];
    length = 0;
    return line;
  };
  const take = (piece: Uint8Array): void => {
    length += piece.length;
    // A line over the limit (and its possible `\r`) is measured but no longer kept.
    if (length <= maxBytes + 1) pieces.push(piece);
    else pieces = [];
  };
  let offset = from.offset;
  for await (const chunk of chunks) {
    let at = 0;
    for (let newline = chunk.indexOf(NEWLINE); newline >= 0; newline = chunk.indexOf(NEWLINE, at)) {
      take(chunk.subarray(at, newline));
      at = newline + 1;
      yield finish(offset + at);
    }
    take(chunk.subarray(at));
    offset += chunk.length;
  }
  if (length > 0) yield finish(offset);
}

function withoutReturn(bytes: Uint8Array): Uint8Array {
  return bytes.at(-1) === RETURN ? bytes.subarray(0, -1) : bytes;
}
