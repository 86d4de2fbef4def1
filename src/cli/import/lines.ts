/** Lines of a file, as bytes, with where they stand. Holds no more of the file than a chunk and a line. */

export interface Line {
  /** From 1. */
  readonly number: number;
  /** The number of its last line: `number`, unless it has line ends within it. */
  readonly lastNumber: number;
  /** Offset of its first byte in the file. */
  readonly start: number;
  /** Offset behind its line end. */
  readonly end: number;
  /** Without its line end (`\n` or `\r\n`); undefined if it is longer than was allowed. */
  readonly bytes: Uint8Array | undefined;
}

/** Where the line that goes on at `at` ends in `chunk`: the index of its newline, or -1 if that is in a later chunk. */
export type LineEnds = (chunk: Uint8Array, at: number) => number;

const NEWLINE = 0x0a;
const RETURN = 0x0d;

const atNewlines: LineEnds = (chunk, at) => chunk.indexOf(NEWLINE, at);

/**
 * Splits chunks of a file into lines. The last one may lack its line end.
 * @param from - the offset and number of lines before the first chunk
 * @param maxBytes - longer lines are passed over and come without their bytes
 * @param endOf - called for each stretch of the file once, in order. Default: every newline ends a line
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  from: { readonly offset: number; readonly line: number },
  maxBytes: number,
  endOf: LineEnds = atNewlines,
): AsyncGenerator<Line, void, undefined> {
  let lastNumber = from.line;
  let start = from.offset;
  let pieces: Uint8Array[] = [];
  let length = 0;
  let endsWithin = 0;
  const finish = (end: number): Line => {
    const whole = length > maxBytes + 1 ? undefined : withoutReturn(Buffer.concat(pieces));
    const bytes = whole !== undefined && whole.length > maxBytes ? undefined : whole;
    const number = lastNumber + 1;
    lastNumber = number + endsWithin;
    const line = { number, lastNumber, start, end, bytes };
    start = end;
    pieces = [];
    length = 0;
    endsWithin = 0;
    return line;
  };
  const take = (piece: Uint8Array): void => {
    length += piece.length;
    for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, at + 1)) endsWithin++;
    // A line over the limit (and its possible `\r`) is measured but no longer kept.
    if (length <= maxBytes + 1) pieces.push(piece);
    else pieces = [];
  };
  let offset = from.offset;
  for await (const chunk of chunks) {
    let at = 0;
    for (let newline = endOf(chunk, 0); newline >= 0; newline = endOf(chunk, at)) {
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
