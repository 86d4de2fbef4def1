/** The client of a running service: that nothing is lost on the way, whatever is stored and however a connection ends. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { test } from 'tap';
import { cursorOf } from '../../../src/cli/remote-list.js';
import { RemoteService } from '../../../src/cli/remote-service.js';
import { RemoteBucket } from '../../../src/cli/remote-store.js';
import { contentHeaders, contentHeadOf } from '../../../src/service/http/headers.js';
import type { Key, PutOptions } from '../../../src/store/api/call-options.js';
import type { Store } from '../../../src/store/api/store.js';
import { FakeTerminal } from '../../support/fake-terminal.js';
import { startWatchedService } from '../../support/watched-service.js';

type Test = { testdir(): string; teardown(fn: () => unknown): void };

/** A server that is not quoral. @param prepare - told of it before it listens */
async function startStranger(t: Test, answer: RequestListener, prepare = (_server: Server) => {}): Promise<string> {
  const server = createServer(answer);
  prepare(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function contents(store: Store): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const { key, siblings } of store.bucket<Uint8Array>('b').scan({ values: true })) {
    const those = siblings!.map(({ value, contentType, metadata }) => [Buffer.from(value), contentType, metadata]);
    found.push([typeof key === 'string' ? key : Buffer.from(key), those]);
  }
  return found;
}

// Goal: what one service holds, another holds after an export and an import, both over HTTP.
test('what is exported and imported over HTTP is the same', async (t) => {
  const from = await startWatchedService(t);
  const to = await startWatchedService(t);
  const bucket = from.store.bucket<Uint8Array>('b');
  const zipped = gzipSync('milk');
  const objects: [Key, Uint8Array, string, Record<string, string>][] = [
    ['zipped', zipped, 'text/plain', { ':content-encoding': 'gzip' }],
    ['not zipped', Buffer.from('milk'), 'text/plain', { ':content-encoding': 'gzip' }],
    ['.', Buffer.from('dot'), 'text/plain', {}],
    ['..', Buffer.from(''), 'text/plain', { ':link': '</buckets/b/keys/x>; riaktag="y", <z>; rel="z"' }],
    [
      'é/?#%',
      Buffer.from('\r\n--x\r\n\r\n'),
      'text/plain; charset=utf-8',
      { name: 'Zoë ☃', latin1: '\xe9', empty: '' },
    ],
    [Uint8Array.of(0xff, 0), Uint8Array.of(0xff), 'a/b', { ['__proto__']: 'x' }],
    ['odd', Buffer.from('x'), 'no type\n', { Upper: 'a', upper: 'b', 'two words': 'c', lines: 'a\r\nb', ' ': ' ' }],
    ['links', Buffer.from('x'), 'a/b', { ':link': '</b>; rel="up"', ':content-encoding': '', ':other': '' }],
    ['large', new Uint8Array(1_500_000).fill(7), 'a/b', {}],
  ];
  for (const [key, value, contentType, metadata] of objects) await bucket.put(key, value, { contentType, metadata });
  for (const [, value, contentType, metadata] of objects.slice(0, 7)) {
    await bucket.put('siblings', value, { contentType, metadata });
  }
  await bucket.put('gone', Buffer.from('x'));
  await bucket.delete('gone');
  for (let i = 0; i < 60; i++) await bucket.put(`many${i}`, Buffer.from(`${i}`));

  const terminal = new FakeTerminal();
  const file = `${t.testdir()}/export`;
  const exported = await terminal.run('export', file, '--bucket', 'b', '--url', from.url);
  t.equal(exported.code, 0, exported.err);
  const import_ = ['import', file, '--bucket', 'b', '--format', 'export', '--url', to.url, '--json'];
  const imported = await terminal.run(...import_);
  t.equal(imported.code, 0, imported.err);
  t.match(JSON.parse(imported.out), { stored: objects.length + 61, bad: 0 });
  t.strictSame(await contents(to.store), await contents(from.store));
  t.match(JSON.parse((await terminal.run(...import_)).out), { stored: 0, unchanged: objects.length + 61 });

  // Contexts are the store's own: a read here answers a put there.
  const remote = new RemoteBucket(from.url, 'b', 'default');
  const read = await remote.get('siblings', { notfoundOk: false, basicQuorum: true, pr: 1 });
  t.equal(read.causalContext, (await bucket.get('siblings')).causalContext);
  t.strictSame(new Uint8Array((await remote.get('zipped')).value!), new Uint8Array(zipped));
});

test('any content type and metadata are read from the headers that they are written to', (t) => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 5 }), fc.constantFrom(' x', 'x\t', 'é', ''));
  const name = fc.oneof(fc.constantFrom('a', 'A', ':link', ':content-encoding', '__proto__', ''), text);
  const metadata = fc.dictionary(name, text, { maxKeys: 4 });
  const contentType = fc.oneof(fc.constantFrom('a/b', 'text/plain; charset=utf-8', 'a/b;'), text).filter(Boolean);
  const property = fc.property(contentType, metadata, fc.boolean(), (type, given, isReply) => {
    const head = { contentType: type, metadata: { ...given } };
    const headers = contentHeaders(head, isReply ? '/buckets/b' : undefined);
    // As a transport gives them: by lower-case name, without white space around.
    const arrived = Object.fromEntries(
      Object.entries(headers).map(([header, value]) => {
        if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) throw new Error(`${header} cannot be sent`);
        return [header.toLowerCase(), value.replace(/^[ \t]+|[ \t]+$/g, '')];
      }),
    );
    assert.deepEqual(contentHeadOf(arrived, arrived['content-type']!), head);
  });
  fc.assert(property, { numRuns: 500, interruptAfterTimeLimit: 2_000 });
  t.pass('each was as it was');
  t.end();
});

test('conditions are honoured; what the service has no word for is refused', async (t) => {
  const { url } = await startWatchedService(t);
  const remote = new RemoteBucket(url, 'b', 'default');
  const value = Buffer.from('x');
  const { causalContext } = await remote.put('k', value, { ifNoneMatch: true });
  await t.rejects(remote.put('k', value, { ifNoneMatch: true }), { code: 'PRECONDITION_FAILED', definite: true });
  const second = await remote.put('k', Buffer.from('second'), { ifMatch: causalContext });
  t.equal(Buffer.from((await remote.get('k')).value!).toString(), 'second');
  await t.rejects(remote.put('k', value, { ifMatch: causalContext }), { code: 'PRECONDITION_FAILED' });
  await remote.put('k', value, { ifMatch: second.causalContext, causalContext: second.causalContext });
  t.equal((await remote.get('k')).siblings.length, 1);
  for (const options of [
    { ifNoneMatch: true, ifMatch: causalContext },
    { ttlMs: 5 },
    { metadata: { a: 'x'.repeat(62_000) } },
  ]) {
    await t.rejects(remote.put('k', value, options as PutOptions), { code: 'INVALID_ARGUMENT', definite: true });
  }
  await t.rejects(remote.get('k', { session: causalContext }), { code: 'INVALID_ARGUMENT' });
  await t.rejects(remote.scan({ gte: Uint8Array.of(1) }).next(), { code: 'INVALID_ARGUMENT' });
  t.type((await remote.delete('never')).causalContext, 'string');
});

test('errors have types, and say what is certain', async (t) => {
  const closed = new RemoteService('http://127.0.0.1:1');
  await t.rejects(closed.ask('/', { method: 'PUT' }), {
    name: 'CommandError',
    definite: true,
    message: /ECONNREFUSED/,
  });
  let cut = () => {};
  const silent = await startStranger(t, (request, response) => {
    if (request.url === '/head') return void request.socket.destroy();
    if (request.url === '/body') {
      response.writeHead(200, { 'Content-Length': 10 }).write('half');
      cut = () => request.socket.destroy();
    }
    if (request.url === '/page') response.writeHead(502).end(`<html>${'x'.repeat(100_000)}`);
    if (request.url === '/endless') {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(10_000)));
      };
      response.on('drain', more);
      more();
    }
  });
  const service = new RemoteService(`${silent}/`);
  const hasty = new RemoteService(silent, 20);
  await t.rejects(service.ask('/head'), { definite: true, message: /Cannot reach/ });
  await t.rejects(service.ask('/head', { method: 'DELETE' }), { definite: false, message: /may still take effect/ });
  await t.rejects(hasty.ask('/'), { code: 'TIMEOUT', definite: true });
  await t.rejects(hasty.ask('/', { method: 'PUT', body: Buffer.from('x') }), { code: 'TIMEOUT', definite: false });
  const half = await service.ask('/body');
  const reading = half.bytes(100);
  cut();
  await t.rejects(reading, { name: 'CommandError', message: /Cannot reach/ });
  await t.rejects(async () => (await hasty.ask('/body')).bytes(100), { code: 'TIMEOUT' });
  await t.rejects(
    async () => {
      for await (const _ of (await hasty.ask('/body', { isStream: true })).pieces());
    },
    { code: 'TIMEOUT' },
  );
  await t.rejects((await service.ask('/body')).bytes(9), { code: 'VALUE_TOO_LARGE' });
  await t.rejects((await service.ask('/endless')).bytes(100_000), { code: 'VALUE_TOO_LARGE' });
  t.match(await (await service.ask('/page')).failure(), { name: 'CommandError', message: /answered 502: <html>x/ });
  const abort = new AbortController();
  const given = t.rejects(service.ask('/', { method: 'PUT', signal: abort.signal }), {
    code: 'ABORTED',
    definite: false,
  });
  abort.abort();
  await given;
  await t.rejects(service.ask('/', { method: 'PUT', signal: abort.signal }), { code: 'ABORTED', definite: true });

  for (const [head, body] of [
    [{ 'Content-Type': 'a/b' }, 'no date'],
    [{ 'Content-Type': 'multipart/mixed' }, 'no boundary'],
    [
      { 'Content-Type': 'multipart/mixed; boundary=x' },
      '\r\n--x\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\nno end',
    ],
  ] as const) {
    const status = body === 'no date' ? 200 : 300;
    const odd = await startStranger(t, (_request, response) => response.writeHead(status, head).end(body));
    await t.rejects(new RemoteBucket(odd, 'b', 'default').get('k'), { message: /does not answer as quoral does/ });
  }
});

// Goal: what was given up is never taken for all there was, also where the end of an answer is that of its connection.
test('an answer that is given up within ends by that, not as if it were complete', async (t) => {
  const url = await startStranger(t, (_request, response) => {
    response.useChunkedEncodingByDefault = false;
    response.shouldKeepAlive = false;
    response.write('the first half');
  });
  const service = new RemoteService(url);
  for (const isStream of [false, true]) {
    const abort = new AbortController();
    const answer = await service.ask('/', { signal: abort.signal, isStream });
    const taken: string[] = [];
    const reading = async () => {
      for await (const piece of answer.pieces()) {
        taken.push(Buffer.from(piece).toString());
        abort.abort();
      }
    };
    await t.rejects(reading(), { code: 'ABORTED', definite: true });
    t.same(taken, ['the first half']);
  }
});

// Goal: a value over the limit is refused as what it is, however large; the client never hears of its own broken pipe first.
test('a large value is sent only once the service wants it', async (t) => {
  const limit = 1_000_000;
  const { url, store } = await startWatchedService(t, { maxValueBytes: limit });
  const remote = new RemoteBucket(url, 'b', 'default');
  for (const over of [1, 63 * 2 ** 20]) {
    for (let i = 0; i < 5; i++) {
      const refused = remote.put('k', new Uint8Array(limit + over));
      await t.rejects(refused, { code: 'VALUE_TOO_LARGE', definite: true, message: /maxValueBytes \(1000000\)/ });
    }
  }
  t.equal(store.calls.put, 0);
  for (const length of [2 ** 16 - 1, 2 ** 16, limit]) {
    await remote.put(`${length}`, new Uint8Array(length).fill(7));
    t.strictSame((await remote.get(`${length}`)).value, new Uint8Array(length).fill(7));
  }

  // A service that never says so gets it all the same; one that dies before has it not.
  let length = 0;
  const mute = await startStranger(
    t,
    () => {},
    (server) => {
      server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
        request.on('data', (chunk: Buffer) => {
          length += chunk.length;
        });
        request.on('end', () => response.writeHead(204).end());
      });
    },
  );
  const asked = { method: 'PUT', body: new Uint8Array(100_000) } as const;
  const answer = await new RemoteService(mute).ask('/', asked);
  await answer.bytes(0);
  t.strictSame([answer.status, length], [204, 100_000]);
  const dying = await startStranger(
    t,
    () => {},
    (server) => server.on('checkContinue', ({ socket }: IncomingMessage) => socket.destroy()),
  );
  await t.rejects(new RemoteService(dying).ask('/', asked), { definite: true, message: /Cannot reach/ });
  const long = { headers: { 'X-Riak-Vclock': 'x'.repeat(70_000) } };
  const asking = new RemoteService(mute).ask('/', long);
  await t.rejects(asking, { code: 'INVALID_ARGUMENT', message: /61440/ });
});

test('a list that is cut off goes on behind its last key, as long as it gets on', async (t) => {
  const keys = Array.from({ length: 10 }, (_, i) => `k${i}`);
  let left = 4;
  const asked: string[] = [];
  const url = await startStranger(t, (request, response) => {
    const query = new URL(request.url!, 'http://x').searchParams;
    asked.push(`${query.get('after')} ${query.get('limit')} ${query.get('gte')}`);
    const at = query.has('after') ? keys.findIndex((key) => cursorOf(key) === query.get('after')) + 1 : 0;
    response.writeHead(200);
    if (left-- > 0) response.write(JSON.stringify({ keys: keys.slice(at, at + 2) }), () => request.socket.destroy());
    else response.end(`${JSON.stringify({ keys: keys.slice(at) })}{"keys":[]}`);
  });
  const listed = async () => {
    const found: Key[] = [];
    const remote = new RemoteBucket(url, 'b', 'default');
    for await (const { key } of remote.scan({ gte: 'k0', limit: 10 })) found.push(key);
    return found;
  };
  t.strictSame(await listed(), keys);
  t.strictSame(asked, ['null 10 k0', 'azE 8 k0', 'azM 6 k0', 'azU 4 k0', 'azc 2 k0']);
  const none = await startStranger(t, (request, response) => {
    response.writeHead(200).write('{"keys":["a"', () => request.socket.destroy());
  });
  await t.rejects(new RemoteBucket(none, 'b', 'default').scan().next(), { message: /Cannot reach/ });
});
