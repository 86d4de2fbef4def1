/**
 * Sessions of a web application: each ends by itself when it is not used (`ttlMs`), the last write wins, and the bucket
 * says so itself, by properties that are stored with it: every part of the application that opens it does the same.
 *
 *     node dist/examples/web-sessions.js
 */
import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { open } from 'quoral';

interface Session {
  readonly user: string;
  readonly visits: number;
}

/** A session that is not used for so long is over. A real application says half an hour. */
const LIFETIME_MS = 2_000;

await using store = await open({ nodes: 3 });
// Two requests of one browser may come at once; of their sessions one is as good as the other.
await store.setBucketProperties('sessions', { ttlMs: LIFETIME_MS, resolution: 'last-write-wins' });
// The handle says nothing of that: it follows the bucket.
const sessions = store.bucket<Session>('sessions', { codec: 'json' });

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const id = /\bsession=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1];
  const session = id === undefined ? undefined : (await sessions.get(id)).value;
  if (request.url === '/login') {
    const fresh = randomUUID();
    await sessions.put(fresh, { user: await bodyOf(request), visits: 0 });
    response.setHeader('Set-Cookie', `session=${fresh}; HttpOnly; SameSite=Lax`).end('welcome');
  } else if (id === undefined || session === undefined) {
    response.writeHead(401).end('please log in');
  } else if (request.url === '/logout') {
    await sessions.delete(id);
    response.end('goodbye');
  } else {
    // Each visit puts the session anew, and with it begins its lifetime anew.
    const visits = session.visits + 1;
    await sessions.put(id, { ...session, visits });
    response.end(`${session.user}, visit ${visits}`);
  }
}

const server = createServer((request, response) => {
  // What the store refuses (too few nodes are up, say) says what to do, but not to the browser.
  answer(request, response).catch((error: unknown) => {
    console.error(error);
    response.writeHead(503).end('please try again');
  });
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

server.listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

async function login(user: string): Promise<string> {
  const response = await fetch(`${url}/login`, { method: 'POST', body: user });
  return response.headers.get('set-cookie')!.split(';')[0]!;
}

async function visit(path: string, cookie: string): Promise<string> {
  const response = await fetch(url + path, { headers: { cookie } });
  return `${response.status} ${await response.text()}`;
}

try {
  const [alice, bob] = [await login('alice'), await login('bob')];
  assert.equal(await visit('/', alice), '200 alice, visit 1');
  assert.equal(await visit('/', bob), '200 bob, visit 1');
  assert.equal(await visit('/logout', bob), '200 goodbye');
  assert.equal(await visit('/', bob), '401 please log in');
  console.log('bob has logged out, and is out');

  // Alice is there for more than two lifetimes; Carol logs in and goes away.
  const carol = await login('carol');
  const begun = performance.now();
  let visits = 1;
  while (performance.now() - begun < 2.5 * LIFETIME_MS) {
    assert.equal(await visit('/', alice), `200 alice, visit ${++visits}`);
    await pause(LIFETIME_MS / 20);
  }
  assert.equal(await visit('/', carol), '401 please log in');
  console.log(`alice made ${visits} visits in ${2.5 * LIFETIME_MS} ms, and is still known; carol's session is over`);
} finally {
  server.close();
  server.closeAllConnections();
}
