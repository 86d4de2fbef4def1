/**
 * What an application does with a value that it got, as far as cores are concerned: some time on its own thread. Here a
 * document is rendered as JSON and parsed again, the same one whatever the size of the value.
 *
 * SHA-256 by node:crypto was tried: two threads that hash small values hold each other up in OpenSSL, so that it says nothing
 * about the store.
 */

const ITEMS = 40;

const DOCUMENT = Array.from({ length: ITEMS }, (_, i) => ({
  id: 1_000 + i,
  name: `item number ${i}`,
  price: 19.99 + i,
  tags: ['first', 'second'],
  available: i % 3 !== 0,
}));

/** Takes about 40 µs. */
export function workOn(value: Uint8Array): void {
  const text = JSON.stringify({ size: value.length, first: value[0], document: DOCUMENT });
  const { size, document } = JSON.parse(text) as { size: number; document: unknown[] };
  if (size !== value.length || document.length !== ITEMS)
    throw new Error('a document is what it was when it is read again');
}

/** What that takes by itself, in microseconds. */
export function workMicros(): number {
  const value = new Uint8Array(100).fill(7);
  const times = 4_000;
  for (let i = 0; i < times; i++) workOn(value);
  const before = process.cpuUsage();
  for (let i = 0; i < times; i++) workOn(value);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}
