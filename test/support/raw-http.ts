/** Bytes to a socket and back: what an HTTP client library would not let a test send. */
import { once } from 'node:events';
import { connect } from 'node:net';

/**
 * Sends `bytes` to the service at `url` and gives all it says until it closes the connection.
 * @param readsLate - not before everything is sent, as simple clients do
 */
export async function exchange(url: string, bytes: string | Uint8Array, readsLate = false): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let said = '';
  let failure: Error | undefined;
  socket.setEncoding('latin1');
  socket.on('data', (chunk) => {
    said += chunk;
  });
  socket.on('error', (error) => {
    failure = error;
  });
  if (readsLate) socket.pause();
  socket.write(bytes, () => socket.resume());
  await once(socket, 'close');
  // A reset after the answer is how a server refuses what is still being sent.
  if (failure !== undefined && said === '') throw failure;
  return said;
}
