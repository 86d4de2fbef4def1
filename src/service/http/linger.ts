/**
 * A reply to a request that is still being sent: one whose body is too large, or that came while the service stops. Whoever
 * closes a connection of which something is unread has the system reset it, and what was said on it is lost, if the client
 * sends first and reads then. So the rest is read, and left, before the connection is closed or used again; within bounds.
 * Source: RFC 9112, §9.6 (a lingering close).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What is read and left at most, in bytes: of whoever has announced more, nothing. */
const MAX_BYTES = 256 * 2 ** 20;
/** And for how long at most, in milliseconds. */
const MAX_MS = 30_000;

/** Connections whose request has its reply, and is still being sent. */
const lingering = new WeakSet<Socket>();

/** True if the request at hand of this connection has had its reply. */
export function isLingering(socket: Socket): boolean {
  return lingering.has(socket);
}

/** True if the request is not whole, and does not say that it is too long to be waited for. */
export function mayLinger({ complete, headers }: IncomingMessage): boolean {
  return !complete && !(Number(headers['content-length']) > MAX_BYTES);
}

/**
 * To be called before the reply's head is written, if the request may linger.
 * @param closes - asked once the request is whole: whether the connection is not to be used again
 * @param withinMs - how long a request may take to come
 */
export function lingerAfter(
  request: IncomingMessage,
  response: ServerResponse,
  { closes, withinMs }: { readonly closes: () => boolean; readonly withinMs: number },
): void {
  const { socket } = request;
  const asked = !response.shouldKeepAlive;
  // As Node has it, a connection of which the reply says that it closes is closed with the reply.
  response.removeHeader('Connection');
  response.shouldKeepAlive = true;
  response.once('finish', () => {
    const whole = (): void => {
      clearTimeout(late);
      lingering.delete(socket);
      if (asked || closes()) socket.end();
    };
    const late = setTimeout(() => socket.destroy(), Math.min(MAX_MS, withinMs));
    if (request.complete) {
      whole();
      return;
    }
    lingering.add(socket);
    let bytes = 0;
    request.on('data', (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (bytes > MAX_BYTES) socket.destroy();
    });
    request.once('end', whole);
    socket.once('close', () => clearTimeout(late));
  });
}
