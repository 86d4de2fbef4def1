/** An answer of the HTTP service, as data: what the pure parts make and `server.ts` sends. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Pieces are sent as the client takes them. */
  readonly body: string | Uint8Array | AsyncIterable<string>;
}

/** A reply of plain text. */
export function textReply(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status, headers: { 'Content-Type': 'text/plain', ...headers }, body };
}
