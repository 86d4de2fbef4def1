/** The HTTP service from outside: over fetch what clients do, over raw sockets what nobody should. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'tap';
import {
  CorruptError,
  OverloadedError,
  type QuoralError,
  QuorumNotMetError,
  QuorumUnavailableError,
  StorageFullError,
  TimeoutError,
  TooManySiblingsError,
} from '../../../src/base/errors.js';
import { type Bucket, open } from '../../../src/index.js';
import { type HttpOptions, type HttpService, serveHttp } from '../../../src/service/http/server.js';
import { keyPrimaries } from '../../support/key-primaries.js';
import { exchange } from '../../support/raw-http.js';
import { WatchedStore } from '../../support/watched-store.js';

type Teardown = { teardown(fn: () => Promise<unknown>): void };

async function start(
  t: Teardown,
  options: HttpOptions = {},
): Promise<{ store: WatchedStore; service: HttpService; url: string }> {
  const store = new WatchedStore();
  const service = await serveHttp(store, { port: 0, ...options });
  t.teardown(() => service.close());
  return { store, service, url: service.url };
}

const put = (url: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
  fetch(url, { method: 'PUT', body: body as BodyInit, headers: { 'Content-Type': 'text/plain', ...headers } });

const textOf = async (url: string, init?: RequestInit) => {
  const response = await fetch(url, init);
  return `${response.status} ${await response.text()}`;
};

test('an object is put, read, headed, replaced and deleted in each URL family', async (t) => {
  const { url, store } = await start(t);
  await store.setBucketType('maps');
  const families = [
    ['/buckets/carts/keys/alice', '</buckets/carts>; rel="up"'],
    ['/riak/old/alice', '</riak/old>; rel="up"'],
    ['/types/maps/buckets/carts/keys/alice', '</types/maps/buckets/carts>; rel="up"'],
  ] as const;
  for (const [path, up] of families) {
    const object = url + path;
    t.equal(await textOf(object), '404 not found\n');

    const stored = await put(object, 'milk', {
      'X-Riak-Meta-Colour': 'red',
      'Content-Type': 'text/plain; charset=utf-8',
    });
    t.equal(stored.status, 204);
    t.equal(await stored.text(), '');

    const read = await fetch(object);
    t.equal(read.status, 200);
    t.equal(await read.text(), 'milk');
    t.equal(read.headers.get('content-type'), 'text/plain; charset=utf-8');
    t.equal(read.headers.get('x-riak-meta-colour'), 'red');
    t.equal(read.headers.get('link'), up);
    t.equal(read.headers.get('vary'), 'Accept-Encoding');
    t.match(read.headers.get('etag')!, /^"[0-9A-Za-z]+"$/);
    t.ok(Math.abs(Date.parse(read.headers.get('last-modified')!) - Date.now()) < 60_000);
    const context = read.headers.get('x-riak-vclock')!;

    const head = await fetch(object, { method: 'HEAD' });
    t.equal(head.status, 200);
    t.equal(await head.text(), '');
    t.equal(head.headers.get('content-length'), '4');
    t.equal(head.headers.get('etag'), read.headers.get('etag'));

    const replaced = await put(`${object}?returnbody=true&w=2`, 'bread', { 'X-Riak-Vclock': context });
    t.equal(replaced.status, 200);
    t.equal(await replaced.text(), 'bread');
    t.not(replaced.headers.get('etag'), read.headers.get('etag'));

    t.equal((await fetch(object, { method: 'DELETE' })).status, 204);
    const gone = await fetch(object);
    t.equal(gone.status, 404);
    t.equal(await gone.text(), 'not found\n');
    t.equal(gone.headers.get('x-riak-deleted'), 'true');

    // The tombstone's context lets the next put replace it.
    const again = await put(object, 'eggs', { 'X-Riak-Vclock': gone.headers.get('x-riak-vclock')! });
    t.equal(again.status, 204);
    t.equal(await textOf(object), '200 eggs');
  }
});

test('DELETE: 404 for what is not there; with a context, that version without a read', async (t) => {
  const { url, store } = await start(t);
  const object = `${url}/buckets/b/keys/k`;
  t.equal(await textOf(object, { method: 'DELETE' }), '404 not found\n');
  const first = await put(object, '1');
  await put(object, '2');
  const reads = store.calls.get;
  const context = first.headers.get('x-riak-vclock')!;
  t.equal((await fetch(object, { method: 'DELETE', headers: { 'X-Riak-Vclock': context } })).status, 204);
  t.equal(store.calls.get, reads);
  t.equal(await textOf(object), '200 2'); // Only the version of the context is gone.
});

test('bytes, empty values, odd keys and every header value come back as they were', async (t) => {
  const { url, store } = await start(t);
  const bytes = Uint8Array.from({ length: 1024 }, (_, i) => i & 0xff);
  for (const key of ['a%2Fb', '%00', '%FF%FE', 'k%C3%A9', 'a%20b+c', 'x'.repeat(1_800)]) {
    const object = `${url}/buckets/b%2F1/keys/${key}`;
    t.equal((await put(object, bytes, { 'Content-Type': 'application/octet-stream' })).status, 204, key);
    t.strictSame(new Uint8Array(await (await fetch(object)).arrayBuffer()), bytes, key);
  }
  const bracket = 'GET /buckets/b%2F1"<>/keys/%FF%FE HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  await store.bucket('b/1"<>').put(Uint8Array.of(0xff, 0xfe), bytes);
  t.match(await exchange(url, bracket), /\r\nlink: <\/buckets\/b%2F1%22%3C%3E>; rel="up"\r\n/i);
  // Client libraries fold dot segments away, escaped or not; the service does not.
  const dots =
    'PUT /buckets/b%2F1/keys/%2e%2e HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n';
  t.match(await exchange(url, dots), /^HTTP\/1.1 204 /);
  const keys = [];
  for await (const { key } of store.bucket('b/1').scan()) keys.push(key);
  t.strictSame(
    keys,
    ['\0', '..', 'a b+c', 'a/b', 'ké', 'x'.repeat(1_800), Uint8Array.of(0xff, 0xfe)].sort((a, b) =>
      Buffer.compare(Buffer.from(a), Buffer.from(b)),
    ),
  );

  const object = `${url}/buckets/b/keys/meta`;
  const headers = {
    'X-Riak-Meta-Name': Buffer.from('Zoë').toString('latin1'),
    'X-Riak-Meta-Empty': '',
    'X-Riak-Meta-__proto__': 'plain',
    'Content-Encoding': 'gzip',
    Link: '</buckets/b/keys/other>; riaktag="friend"',
  };
  t.equal((await put(object, '', headers)).status, 204);
  const said = await exchange(url, 'GET /buckets/b/keys/meta HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const said8 = Buffer.from(said, 'latin1').toString();
  t.match(said8, /^HTTP\/1.1 200 /);
  t.match(said8, /\r\nX-Riak-Meta-Name: Zoë\r\n/i);
  t.match(said8, /\r\nX-Riak-Meta-Empty: \r\n/i);
  t.match(said8, /\r\nX-Riak-Meta-__proto__: plain\r\n/i);
  t.match(said8, /\r\nContent-Encoding: gzip\r\n/i);
  t.match(said8, /\r\nLink: <\/buckets\/b>; rel="up", <\/buckets\/b\/keys\/other>; riaktag="friend"\r\n/i);
  t.match(said8, /\r\n\r\n$/);
  t.notMatch(said8, /x-quoral-content/i);

  // What is not UTF-8 is Latin-1; a link that the service itself has added is not kept.
  const latin1 = { 'X-Riak-Meta-Name': 'Zo\xeb', Link: '</buckets/b>; rel="up", <x>; riaktag="y"' };
  t.equal((await put(`${url}/buckets/b/keys/latin1`, '', latin1)).status, 204);
  const { metadata } = (await store.bucket('b').get('latin1')).siblings[0]!;
  t.strictSame(metadata, { name: 'Zoë', ':link': '<x>; riaktag="y"' });
  const many = Object.fromEntries(Array.from({ length: 2_100 }, (_, i) => [`X-Riak-Meta-${i}`, '']));
  t.equal((await put(`${url}/buckets/b/keys/many`, '', many)).status, 204);
  t.equal(Object.keys((await store.bucket('b').get('many')).siblings[0]!.metadata).length, 2_100);
});

test('metadata and content types of the embedded store that no header can carry do no harm', async (t) => {
  const { url, store } = await start(t);
  const metadata = { fine: 'yes', FINE: 'twice', 'two words': 'x', lines: 'a\r\nEvil: 1', snow: '☃' };
  await store.bucket('b').put('k', Uint8Array.of(1), { metadata, contentType: 'not a\ntype' });
  const response = await fetch(`${url}/buckets/b/keys/k`);
  t.equal(response.status, 200);
  t.equal(response.headers.get('content-type'), 'application/octet-stream');
  t.equal(response.headers.get('x-riak-meta-fine'), 'yes');
  t.equal(Buffer.from(response.headers.get('x-riak-meta-snow')!, 'latin1').toString(), '☃');
  t.equal(response.headers.get('evil'), null);
  const exact = { contentType: 'not a\ntype', metadata };
  t.strictSame(JSON.parse(Buffer.from(response.headers.get('x-quoral-content')!, 'base64').toString()), exact);
});

test('siblings: listed, in parts, one by vtag, resolved by a put with the context', async (t) => {
  const { url } = await start(t);
  const object = `${url}/buckets/b/keys/k`;
  await put(object, 'milk', { 'X-Riak-Meta-Who': 'alice' });
  await put(object, 'bread', { 'Content-Type': 'text/html' });
  await put(object, 'milk', { 'X-Riak-Meta-Who': 'alice' });

  const list = await fetch(object);
  t.equal(list.status, 300);
  t.equal(list.headers.get('content-type'), 'text/plain');
  t.equal(list.headers.get('vary'), 'Accept, Accept-Encoding');
  const lines = (await list.text()).split('\n');
  t.equal(lines[0], 'Siblings:');
  const vtags = lines.slice(1, -1);
  t.equal(new Set(vtags).size, 3);

  const one = await fetch(`${object}?vtag=${vtags[1]}`);
  t.equal(one.status, 200);
  t.equal(one.headers.get('content-type'), 'text/html');
  t.equal(one.headers.get('etag'), `"${vtags[1]}"`);
  t.equal(await one.text(), 'bread');
  t.equal(await textOf(`${object}?vtag=nothing`), '404 not found\n');

  const parts = await fetch(object, { headers: { Accept: 'multipart/mixed' } });
  t.equal(parts.status, 300);
  const boundary = /^multipart\/mixed; boundary=(\w+)$/.exec(parts.headers.get('content-type')!)![1];
  const pieces = (await parts.text()).split(`\r\n--${boundary}`);
  t.equal(pieces[0], '');
  t.equal(pieces.at(-1), '--\r\n');
  const bodies = pieces.slice(1, -1).map((piece) => piece.slice(piece.indexOf('\r\n\r\n') + 4));
  t.strictSame(bodies, ['milk', 'bread', 'milk']);
  t.match(pieces[1]!, /\r\nContent-Type: text\/plain\r\n/);
  t.match(pieces[1]!, /\r\nX-Riak-Meta-Who: alice\r\n/i);
  t.match(pieces[1]!, new RegExp(`\\r\\nETag: "${vtags[0]}"\\r\\n`));

  const returned = await put(`${object}?returnbody=true`, 'eggs', { Accept: 'application/json' });
  t.equal(`${returned.status} ${returned.headers.get('content-type')}`, '300 text/plain');
  const context = (await fetch(object)).headers.get('x-riak-vclock')!;
  t.equal((await put(object, 'all of it', { 'X-Riak-Vclock': context })).status, 204);
  t.equal(await textOf(object), '200 all of it');
});

test('Accept decides the form, and 406 says what there is', async (t) => {
  const { url } = await start(t);
  const object = `${url}/buckets/b/keys/k`;
  // What is stored is not refused for its type.
  const json = { 'Content-Type': 'application/json', Accept: 'text/html' };
  t.equal((await put(`${object}?returnbody=true`, '{}', json)).status, 200);
  const status = async (accept: string) => (await fetch(object, { headers: { Accept: accept } })).status;
  t.equal(await status('application/json'), 200);
  t.equal(await status('application/*;q=0.1, text/html'), 200);
  t.equal(await status('text/html'), 406);
  t.equal(await status('*/*, application/json;q=0'), 406);
  await put(object, 'x');
  const type = async (accept: string) =>
    (await fetch(object, { headers: { Accept: accept } })).headers.get('content-type');
  t.equal(await type('*/*'), 'text/plain');
  t.match((await type('multipart/mixed, */*'))!, /^multipart/);
  t.equal(await type('multipart/mixed;q=0.2, text/plain'), 'text/plain');
  t.equal(await status('image/png'), 406);
});

test('conditional reads answer 304 and 412', async (t) => {
  const { url } = await start(t);
  const object = `${url}/buckets/b/keys/k`;
  await put(object, 'x');
  const { headers } = await fetch(object);
  const etag = headers.get('etag')!;
  const date = headers.get('last-modified')!;
  const early = new Date(Date.parse(date) - 1_000).toUTCString();
  const status = async (conditions: Record<string, string>) => (await fetch(object, { headers: conditions })).status;
  t.equal(await status({ 'If-None-Match': `"other", W/${etag}` }), 304);
  t.equal(await status({ 'If-None-Match': '*' }), 304);
  t.equal(await status({ 'If-None-Match': '"other"', 'If-Modified-Since': date }), 200);
  t.equal(await status({ 'If-Modified-Since': date }), 304);
  t.equal(await status({ 'If-Modified-Since': early }), 200);
  t.equal(await status({ 'If-Modified-Since': 'yesterday' }), 200);
  t.equal(await status({ 'If-Match': etag }), 200);
  t.equal(await status({ 'If-Match': '"other"' }), 412);
  t.equal(await status({ 'If-Match': `W/${etag}` }), 412);
  t.equal(await status({ 'If-Unmodified-Since': early }), 412);
  t.equal(await status({ 'If-Unmodified-Since': date }), 200);

  // Where nothing is, nothing matches.
  const none = async (conditions: Record<string, string>, of = `${url}/buckets/b/keys/none`) =>
    (await fetch(of, { headers: conditions })).status;
  t.equal(await none({ 'If-Match': '*' }), 412);
  t.equal(await none({ 'If-Match': '*' }, `${object}?vtag=none`), 412);
  t.equal(await none({ 'If-None-Match': '*' }), 404);
  t.equal(await none({ 'If-Match': '"x"', 'If-Modified-Since': date }), 404);
  await fetch(object, { method: 'DELETE' });
  t.equal(await status({ 'If-Match': '*' }), 412);
});

test('conditional writes and deletes happen only if their condition holds', async (t) => {
  const { url, store } = await start(t);
  const object = `${url}/buckets/b/keys/k`;
  const status = async (conditions: Record<string, string>, body = 'y', to = object) =>
    (await put(to, body, conditions)).status;
  const remove = async (conditions: Record<string, string>) =>
    (await fetch(object, { method: 'DELETE', headers: conditions })).status;
  t.equal(await status({ 'If-Match': '*' }), 412);
  t.equal(await status({ 'If-None-Match': '*' }, 'first'), 204);
  t.equal(await status({ 'If-None-Match': '*' }), 412);
  const first = await fetch(object);
  t.equal(await first.text(), 'first');
  const etag = first.headers.get('etag')!;
  const date = first.headers.get('last-modified')!;
  const early = new Date(Date.parse(date) - 1_000).toUTCString();
  t.equal(await status({ 'If-Match': '"other"' }), 412);
  t.equal(await status({ 'If-None-Match': `"other", ${etag}` }), 412);
  t.equal(await status({ 'If-Unmodified-Since': early }), 412);
  t.equal(await textOf(object), '200 first');
  // Each replaces what it was for: no condition leaves siblings.
  t.equal(await status({ 'If-Match': etag }, 'second'), 204);
  t.equal(await textOf(object), '200 second');
  t.equal(await status({ 'If-Match': etag }), 412);
  t.equal(await status({ 'If-None-Match': etag }, 'third'), 204);
  t.equal(await status({ 'If-Unmodified-Since': new Date(Date.now() + 2_000).toUTCString() }, 'fourth'), 204);
  t.equal(await textOf(object), '200 fourth');

  // What comes between the read of the condition and the write makes it fail.
  const bucket = store.bucket('b');
  let racing = true;
  const real = store.bucket.bind(store);
  store.bucket = ((name: string, options: never) => {
    const handle = real(name, options) as typeof bucket;
    return {
      ...handle,
      get: async (...args: Parameters<typeof handle.get>) => {
        const read = await handle.get(...args);
        if (racing) await bucket.put(args[0], Buffer.from('between'), { causalContext: read.causalContext });
        return read;
      },
    };
  }) as never;
  t.equal(await status({ 'If-Match': '*' }), 412);
  t.equal(await status({ 'If-None-Match': '"x"' }, 'y', `${url}/buckets/b/keys/new`), 412);
  racing = false;
  t.equal(await textOf(object), '200 between');

  const { headers } = await fetch(object);
  const context = headers.get('x-riak-vclock')!;
  t.equal(await status({ 'X-Riak-If-Not-Modified': context, 'X-Riak-Vclock': context }, 'fifth'), 204);
  t.equal(await status({ 'X-Riak-If-Not-Modified': context }), 409);
  t.equal(await status({ 'X-Riak-If-Not-Modified': context, 'If-Match': '*' }), 400);
  t.equal(await status({ 'X-Riak-If-Not-Modified': context, 'If-None-Match': '*' }), 400);
  t.equal(await status({ 'X-Riak-If-Not-Modified': 'damaged' }), 400);
  t.equal(await textOf(object), '200 fifth');

  await put(object, 'sibling');
  const both = await fetch(object);
  t.equal(both.status, 300);
  t.equal(await remove({ 'If-Match': etag }), 412);
  t.equal(await remove({ 'If-None-Match': '*' }), 412);
  t.equal(await remove({ 'X-Riak-If-Not-Modified': context }), 501);
  t.equal(await remove({ 'If-Match': both.headers.get('etag')! }), 204);
  t.equal(await remove({ 'If-Match': '*' }), 412);
  t.equal(await textOf(object), '404 not found\n');
  t.equal(await status({ 'If-None-Match': '*' }, 'again'), 204);
  t.equal(await textOf(object), '200 again');

  const writes = store.calls.put;
  t.equal(await status({ 'X-Riak-Index-age_int': '1' }), 501);
  for (const path of ['buckets/b/index/age_int/1', 'buckets/b/counters/k', 'types/default/buckets/b/datatypes/k']) {
    t.match(await textOf(`${new URL(object).origin}/${path}`), /^501 .* not supported\n$/, path);
  }
  t.match(await textOf(`${new URL(object).origin}/buckets/b/nothing/k`), /^404 /);
  t.equal(store.calls.put, writes);
});

test('POST without a key makes one and says where', async (t) => {
  const { url, store } = await start(t);
  await store.setBucketType('t t');
  for (const [path, pattern] of [
    ['/buckets/b/keys', /^\/buckets\/b\/keys\/[0-9A-Za-z]{15,22}$/],
    ['/buckets/b/keys/', /^\/buckets\/b\/keys\/[0-9A-Za-z]{15,22}$/],
    ['/types/t%20t/buckets/b/keys', /^\/types\/t%20t\/buckets\/b\/keys\/[0-9A-Za-z]{15,22}$/],
    ['/riak/b', /^\/riak\/b\/[0-9A-Za-z]{15,22}$/],
  ] as const) {
    const made = await fetch(url + path, { method: 'POST', body: 'x', headers: { 'Content-Type': 'text/plain' } });
    t.equal(made.status, 201);
    t.equal(`${made.headers.get('content-type')} ${made.headers.get('content-length')}`, 'null 0');
    t.match(made.headers.get('location')!, pattern);
    t.equal(await textOf(url + made.headers.get('location')), '200 x');
  }
  const body = await fetch(`${url}/riak/b?returnbody=true`, {
    method: 'POST',
    body: 'y',
    headers: { 'Content-Type': 'a/b' },
  });
  t.equal(`${body.status} ${await body.text()}`, '201 y');
});

test('parameters: read, and refused with the words of Riak', async (t) => {
  const { url } = await start(t);
  const object = `${url}/buckets/b/keys/k`;
  await put(object, 'x');
  for (const good of [
    'r=1',
    'r=quorum&pr=one',
    'r=default',
    'timeout=1000',
    'notfound_ok=true&basic_quorum=false',
    'unknown=1',
  ]) {
    t.equal(await textOf(`${object}?${good}`), '200 x', good);
  }
  for (const name of ['r', 'w', 'pr', 'pw', 'dw']) {
    const words = `400 ${name} query parameter must be an integer or one of the following words: 'one', 'quorum' or 'all'\n`;
    for (const bad of ['two', '-1', '1.5', '', '%00', '1e3']) t.equal(await textOf(`${object}?${name}=${bad}`), words);
  }
  t.equal(await textOf(`${object}?notfound_ok=false&basic_quorum=true`), '200 x');
  t.equal(await textOf(`${url}/buckets/b/keys/none?notfound_ok=false&basic_quorum=TRUE`), '404 not found\n');
  t.equal(await textOf(`${object}?notfound_ok=1`), '400 notfound_ok query parameter must be true or false\n');
  t.equal(await textOf(`${object}?timeout=soon`), '400 Bad timeout value "soon"\n');
  t.match(await textOf(`${object}?timeout=0`), /^400 /);
  t.equal(await textOf(`${object}?r=4`), '400 Specified r/pr values invalid for bucket n value of 3\n');
  const write = (query: string) =>
    textOf(`${object}?${query}`, { method: 'PUT', body: 'y', headers: { 'Content-Type': 'a/b' } });
  t.equal(await write('dw=4'), '400 Specified w/dw/pw/node_confirms values invalid for bucket n value of 3\n');
  t.equal(await write('returnbody=perhaps'), '400 returnbody query parameter must be true or false\n');
  t.match(await write('w=0'), /^400 /);
  const remove = (query: string) => textOf(`${url}/buckets/b/keys/none?${query}`, { method: 'DELETE' });
  t.equal(await remove('rw=all'), '404 not found\n');
  t.match(await remove('rw=most'), /^400 rw query parameter must be an integer/);
  t.match(await remove('rw=4'), /^400 Specified /);
  t.equal(await remove('rw=4&r=1&w=1'), '404 not found\n');
  t.match(await write('node_confirms=2'), /^501 /);
  t.equal(await textOf(object), '200 x');
});

test('bad heads and bodies: a 4xx that says what to do, and nothing stored', async (t) => {
  const { url, store } = await start(t, { maxValueBytes: 1_000 });
  const object = `${url}/buckets/b/keys/k`;
  const untyped = await fetch(object, { method: 'PUT', body: Buffer.from('x') });
  t.equal(`${untyped.status} ${await untyped.text()}`, '400 Missing Content-Type request header\n');
  for (const type of ['text', 'text/', '/plain', 'a b/c', 'text/plain/x']) {
    const expected = `415 "${type}" is not a valid media type for the Content-type header.\n`;
    t.equal(await textOf(object, { method: 'PUT', body: 'x', headers: { 'Content-Type': type } }), expected);
  }
  t.match(
    await textOf(object, { method: 'PUT', body: 'x', headers: { 'Content-Type': 'a/b', 'X-Riak-Vclock': '!' } }),
    /^400 /,
  );
  t.match(
    await textOf(object, { method: 'PUT', body: 'x', headers: { 'Content-Type': 'a/b', 'X-Quoral-Content': 'e30=' } }),
    /^400 X-Quoral-Content is damaged/,
  );
  t.equal((await put(object, 'x'.repeat(1_001))).status, 413);
  for (const path of [
    '/buckets//keys/k',
    '/buckets/%/keys/k',
    '/buckets/b/keys/%4',
    '/buckets/%ff/keys/k',
    '/types//buckets/b/keys/k',
  ]) {
    t.match(await textOf(url + path), /^400 \w/, path);
  }
  t.match(await textOf(`${url}/buckets/b/keys/${'x'.repeat(1_901)}`), /^400 .* at most 1900/);
  for (const path of [
    '/nothing',
    '/stats/x',
    '/admin',
    '/buckets/b',
    '/types/t',
    '/riak/b/k/more',
    '/types/t/riak',
    '/types//buckets',
    '/%zz',
  ]) {
    t.match(await textOf(url + path), /^40[04] /, path);
  }
  for (const [method, path, allow] of [
    ['PATCH', '/buckets/b/keys/k', 'GET, HEAD, PUT, POST, DELETE'],
    ['PROPFIND', '/buckets/b/keys/k', 'GET, HEAD, PUT, POST, DELETE'],
    ['SEARCH', '/stats', 'GET, HEAD'],
    ['PUT', '/buckets/b/keys', 'GET, HEAD, POST'],
    ['DELETE', '/riak/b', 'GET, HEAD, PUT, POST'],
    ['POST', '/buckets/b/props', 'GET, HEAD, PUT, DELETE'],
    ['DELETE', '/types/t/props', 'GET, HEAD, PUT'],
    ['POST', '/buckets', 'GET, HEAD'],
    ['DELETE', '/types/t/buckets', 'GET, HEAD'],
  ] as const) {
    const response = await fetch(url + path, { method });
    t.equal(response.status, 405);
    t.equal(response.headers.get('allow'), allow);
  }
  const coded =
    'PUT /buckets/b/keys/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: a/b\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n';
  t.match(await exchange(url, coded), /^HTTP\/1.1 501 [\s\S]*only as chunked\n$/);
  t.equal(store.calls.put, 1); // Only the damaged context got as far as the store, which refused it.
  t.equal(await textOf(object), '404 not found\n');
});

test('what the store refuses becomes the status, text and headers of its code', async (t) => {
  const { url, store } = await start(t);
  const object = `${url}/buckets/b/keys/k`;
  const failing = async (operation: 'get' | 'put', error: QuoralError) => {
    store.failures.push({ operation, error });
    const response = operation === 'get' ? await fetch(object) : await put(object, 'x');
    const definite = response.headers.get('x-quoral-definite');
    return `${response.status} ${response.headers.get('x-quoral-error')} ${definite} ${await response.text()}`;
  };
  // As Riak says them; which quorum, the error knows.
  for (const quorum of ['r', 'pr', 'w', 'pw', 'dw'] as const) {
    const [operation, definite] = quorum.endsWith('r') ? (['get', true] as const) : (['put', false] as const);
    const text = `${quorum.toUpperCase()}-value unsatisfied: 1/2\n`;
    const notMet = new QuorumNotMetError('m', { definite, quorum, got: 1, wanted: 2 });
    t.equal(await failing(operation, notMet), `503 QUORUM_NOT_MET ${definite} ${text}`);
    const unavailable = new QuorumUnavailableError('Start nodes', { quorum, got: 1, wanted: 2 });
    const said = quorum.startsWith('p') ? text : 'Start nodes\n';
    t.equal(await failing(operation, unavailable), `503 QUORUM_UNAVAILABLE true ${said}`);
  }
  t.equal(await failing('put', new TimeoutError('m')), '503 TIMEOUT false request timed out\n');
  t.equal(await failing('put', new StorageFullError('Free space')), '507 STORAGE_FULL false Free space\n');
  t.equal(await failing('put', new TooManySiblingsError('Resolve')), '409 TOO_MANY_SIBLINGS true Resolve\n');
  t.equal(await failing('get', new CorruptError('All bad')), '500 CORRUPT true All bad\n');

  store.failures.push({
    operation: 'get',
    error: new OverloadedError('Busy', { definite: true, retryAfterMs: 1_200 }),
  });
  const busy = await fetch(object);
  t.equal(`${busy.status} ${busy.headers.get('retry-after')} ${await busy.text()}`, '503 2 Busy\n');

  store.failures.push({ operation: 'get', error: new TimeoutError('m', { definite: true }) });
  const unread = await put(`${object}?returnbody=true`, 'x');
  t.equal(unread.status, 503);
  t.equal(unread.headers.get('x-quoral-definite'), 'false');
  t.equal(await unread.text(), 'Stored, but could not be read back: request timed out\n');
});

test('keys and buckets are listed in each URL family, whole or streamed, and not unasked', async (t) => {
  const { url, store } = await start(t);
  const keys = ['a', 'a"b', 'é', '\\', '0'];
  await store.setBucketType('my type');
  for (const type of ['default', 'my type']) {
    for (const key of keys) await store.bucket('b/1', { type }).put(key, Uint8Array.of(1));
    await store.bucket('gone', { type }).put('k', Uint8Array.of(1));
    await store.bucket('gone', { type }).delete('k');
  }
  const json = async (path: string) => {
    const response = await fetch(url + path);
    t.equal(response.headers.get('content-type'), 'application/json');
    return `${response.status} ${await response.text()}`;
  };
  const list = JSON.stringify({ keys: ['0', '\\', 'a', 'a"b', 'é'] });
  for (const path of ['/buckets/b%2F1/keys', '/types/my%20type/buckets/b%2F1/keys/', '/riak/b%2F1']) {
    const old = path.startsWith('/riak') ? '&props=false' : '';
    t.equal(await json(`${path}?keys=true${old}`), `200 ${list}`);
    t.equal(await json(`${path}?keys=stream&timeout=1000${old}`), `200 ${list}{"keys":[]}`);
    t.equal(await json(`${path}?keys=stream&prefix=a&limit=1${old}`), '200 {"keys":["a"]}{"keys":[]}');
    t.equal(await json(`${path}?keys=true&gte=0&lt=a&r=all${old}`), '200 {"keys":["0","\\\\"]}');
    t.equal(await json(`${path}?keys=true&gt=a&lte=a%22b${old}`), '200 {"keys":["a\\"b"]}');
    t.equal(await json(`${path}?keys=true&after=YQ&limit=1${old}`), '200 {"keys":["a\\"b"]}');
    t.equal(await json(`${path}?${old}`), '200 {}');
  }
  t.equal(await json('/buckets/gone/keys?keys=true'), '200 {"keys":[]}');
  t.equal(await json('/buckets/none/keys?keys=stream'), '200 {"keys":[]}');
  for (const path of ['/buckets', '/types/my%20type/buckets', '/riak', '/buckets/']) {
    t.equal(await json(`${path}?buckets=true`), '200 {"buckets":["b/1"]}');
    t.equal(await json(`${path}?buckets=stream`), '200 {"buckets":["b/1"]}{"buckets":[]}');
    t.equal(await json(path), '200 {"buckets":[]}');
  }
  const begun = store.calls.scan + store.calls.buckets;
  for (const path of ['/buckets/b%2F1/keys?keys=true', '/buckets?buckets=stream']) {
    const head = await fetch(url + path, { method: 'HEAD' });
    t.equal(`${head.status} ${head.headers.get('content-type')} ${await head.text()}`, '200 application/json ');
  }
  t.match(await textOf(`${url}/buckets/b/keys?keys=true&timeout=soon`), /^400 Bad timeout/);
  t.match(await textOf(`${url}/buckets/b/keys?keys=true&limit=-1`), /^400 Bad limit/);
  t.match(await textOf(`${url}/buckets/b/keys?keys=true&r=most`), /^400 r query parameter must be an integer/);
  t.match(await textOf(`${url}/buckets?buckets=true&prefix=a`), /^400 A list of buckets takes no bounds/);
  t.equal(store.calls.scan + store.calls.buckets, begun);
  t.match(await textOf(`${url}/buckets/b/keys?keys=true&timeout=0`), /^400 timeoutMs/);
  t.match(await textOf(`${url}/buckets/b/keys?keys=true&r=9`), /^400 r must be/);
  t.match(await textOf(`${url}/buckets/b/keys?keys=true&after=none!`), /^400 after must be the cursor/);

  // The oldest URLs give the bucket's properties first.
  const withProps = await (await fetch(`${url}/riak/b%2F1?keys=true`)).json();
  t.match(withProps, { props: { name: 'b/1', n_val: 3 }, keys: JSON.parse(list).keys });
  t.match(
    await textOf(`${url}/riak/b%2F1?keys=stream`),
    /^200 \{"props":\{"name":"b\/1",.*\}\}\{"keys":\["0".*\{"keys":\[\]\}$/,
  );
  for (const path of ['/riak/b%2F1', '/riak/b%2F1?keys=false']) {
    t.match(await (await fetch(url + path)).json(), { props: { name: 'b/1' } });
  }

  // JSON has no text for these.
  await store.bucket('b/1').put(Uint8Array.of(0xff), Uint8Array.of(1));
  await store.bucket('b/1').put(Uint8Array.of(0x80), Uint8Array.of(1));
  const both = JSON.stringify({ keys: JSON.parse(list).keys, binaryKeys: ['gA==', '/w=='] });
  t.equal(await json('/buckets/b%2F1/keys?keys=true'), `200 ${both}`);
  t.equal(await json('/buckets/b%2F1/keys?keys=stream'), `200 ${both}{"keys":[]}`);
});

const setProps = (url: string, props: unknown, type = 'application/json') =>
  textOf(url, { method: 'PUT', body: JSON.stringify({ props }), headers: { 'Content-Type': type } });

const propsOf = async (url: string): Promise<Record<string, unknown>> => {
  const response = await fetch(url);
  return response.ok
    ? ((await response.json()) as { props: Record<string, unknown> }).props
    : { status: response.status };
};

test('properties of buckets and types are read, set and reset under the names of Riak', async (t) => {
  const { url } = await start(t);
  const ofBucket = `${url}/buckets/b%2F1/props`;
  const defaults = await propsOf(ofBucket);
  t.match(defaults, {
    ...{ name: 'b/1', n_val: 3, r: 2, w: 2, pr: 0, pw: 0, dw: 0, rw: 'quorum', max_siblings: 100 },
    ...{ allow_mult: true, last_write_wins: false, notfound_ok: true, basic_quorum: false },
    ...{ precommit: [], chash_keyfun: { mod: 'riak_core_util', fun: 'chash_std_keyfun' } },
  });
  t.notOk('ttl_ms' in defaults);
  const head = await exchange(url, 'HEAD /buckets/b%2F1/props HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  t.match(head, /^HTTP\/1\.1 200 OK\r\n[\s\S]*content-type: application\/json\r\n[\s\S]*\r\n\r\n$/i);

  t.equal(await setProps(ofBucket, { w: 'all', r: 1, notfound_ok: false, ttl_ms: 60_000, max_siblings: 5 }), '204 ');
  t.match(await propsOf(ofBucket), { w: 'all', r: 1, notfound_ok: false, ttl_ms: 60_000, max_siblings: 5 });
  t.match(await propsOf(`${url}/types/default/buckets/b%2F1/props`), { w: 'all' });
  t.match(await propsOf(`${url}/buckets/other/props`), { w: 2, r: 2 });
  // A client may put back what it got, changed or not.
  t.equal(await setProps(ofBucket, { ...(await propsOf(ofBucket)), r: 'one' }), '204 ');
  t.match(await propsOf(ofBucket), { w: 'all', r: 'one' });
  t.equal(await setProps(`${url}/riak/b%2F1`, { r: 'default', ttl_ms: null }), '204 ');
  t.match(await propsOf(`${url}/riak/b%2F1`), { w: 'all', r: 2 });
  t.equal(await textOf(ofBucket, { method: 'DELETE' }), '204 ');
  t.strictSame(await propsOf(ofBucket), defaults);

  // A type is created by its properties, which its buckets have where they have none.
  const ofType = `${url}/types/my%20type/props`;
  const typed = `${url}/types/my%20type/buckets/b/props`;
  t.match(await textOf(ofType), /^404 Unknown bucket type: my type\n$/);
  t.match(await textOf(typed), /^404 Unknown bucket type: my type\n$/);
  t.match(await setProps(typed, { r: 1 }), /^404 Unknown bucket type: my type\n$/);
  t.equal(await setProps(ofType, { n_val: 3, dw: 0, pw: 'one' }), '204 ');
  t.match(await propsOf(ofType), { n_val: 3, pw: 'one' });
  t.notOk('name' in (await propsOf(ofType)));
  t.equal(await setProps(typed, { pw: 'quorum' }), '204 ');
  t.match(await propsOf(typed), { name: 'b', pw: 'quorum' });
  t.match(await propsOf(`${url}/types/my%20type/buckets/c/props`), { name: 'c', pw: 'one' });
});

test('what is no property, or no value of one, is refused and changes nothing', async (t) => {
  const { url, store } = await start(t);
  const path = `${url}/buckets/b/props`;
  const before = await propsOf(path);
  for (const props of [
    ...[{ r: 4 }, { r: 0 }, { w: 'most' }, { dw: true }, { pr: -1 }, { dw: 1 }],
    ...[{ notfound_ok: 'yes' }, { allow_mult: 1 }, { allow_mult: true, last_write_wins: true }],
    ...[{ n_val: 2 }, { n_val: 3, name: 'c' }, { search: true }, { __proto__: null, constructor: 1 }],
    ...[{ precommit: [{ mod: 'm', fun: 'f' }] }, { old_vclock: 1 }, { rw: 'all' }, { ttl_ms: '5' }, { ttl_ms: 0 }],
    ...[{ max_siblings: 0 }, null, [], 'r=1'],
  ]) {
    t.match(await setProps(path, props), /^400 \w.*\n$/, JSON.stringify(props));
  }
  t.match(await setProps(`${url}/types/default/props`, { n_val: 2 }), /^400 n_val is 3 /);
  const json = { 'Content-Type': 'application/json' };
  t.match(await textOf(path, { method: 'PUT', body: '{', headers: json }), /^400 The body is not JSON/);
  t.match(await textOf(path, { method: 'PUT', body: Uint8Array.of(0xff), headers: json }), /^400 The body is not JSON/);
  t.match(await setProps(path, { r: 1 }, 'text/plain'), /^415 /);
  t.match(await setProps(`${path}?timeout=soon`, { r: 1 }), /^400 Bad timeout/);
  t.match(await setProps(`${path}?timeout=0`, { r: 1 }), /^400 timeoutMs/);
  t.match(await textOf(`${url}/types//props`), /^400 Type cannot be zero-length/);
  t.match(await textOf(`${url}/buckets//props`), /^400 Bucket cannot be zero-length/);
  t.match(await textOf(`${url}/buckets/%ff/props`), /^400 Bucket is not UTF-8/);
  t.strictSame(await propsOf(path), before);
  store.failures.push({
    operation: 'properties',
    error: new QuorumNotMetError('m', { definite: false, quorum: 'w', got: 1, wanted: 2 }),
  });
  t.equal(await setProps(path, { r: 1 }), '503 W-value unsatisfied: 1/2\n');
});

test('stored properties hold for objects over HTTP', async (t) => {
  const { url, store } = await start(t);
  const object = `${url}/buckets/b/keys/k`;
  await put(object, 'one');
  await put(object, 'two');
  t.match(await textOf(object), /^300 Siblings:/);
  t.equal(await setProps(`${url}/buckets/b/props`, { allow_mult: false }), '204 ');
  t.equal(await textOf(object), '200 two');
  t.match(await propsOf(`${url}/buckets/b/props`), { allow_mult: false, last_write_wins: true });
  await put(object, 'three');
  t.equal(await setProps(`${url}/buckets/b/props`, { last_write_wins: false }), '204 ');
  t.equal(await textOf(object), '200 three', 'the last put left no siblings');

  t.equal(await setProps(`${url}/types/short/props`, { ttl_ms: 1, max_siblings: 1 }), '204 ');
  const brief = `${url}/types/short/buckets/b/keys/k`;
  t.equal((await put(brief, 'x')).status, 204);
  t.equal((await put(brief, 'y')).status, 409);
  const nowMs = Date.now();
  while (Date.now() <= nowMs + 1) await fetch(brief);
  t.match(await textOf(brief), /^404 not found/);
  t.equal((await store.bucket('b', { type: 'short' }).get('k')).found, false);

  const unknown = '404 Unknown bucket type: no\n';
  const text = { 'Content-Type': 'text/plain' };
  t.equal(await textOf(`${url}/types/no/buckets/b/keys/k`), unknown);
  t.equal(await textOf(`${url}/types/no/buckets/b/keys/k`, { method: 'PUT', body: 'x', headers: text }), unknown);
  t.equal(await textOf(`${url}/types/no/buckets/b/keys`, { method: 'POST', body: 'x', headers: text }), unknown);
  t.equal(await textOf(`${url}/types/no/buckets/b/keys/k`, { method: 'DELETE' }), unknown);
  t.equal(await textOf(`${url}/types/no/buckets/b/keys?keys=true`), unknown);
  t.equal(await textOf(`${url}/types/no/buckets?buckets=stream`), unknown);
});

test('a long list comes in pieces; an error is told by the status, or in the stream, or breaks the list off', async (t) => {
  const { url, store } = await start(t);
  const keys = Array.from({ length: 2_000 }, (_, i) => `${1_000_000 + i}${'x'.repeat(60)}`);
  await Promise.all(keys.map((key) => store.bucket('b').put(key, Uint8Array.of(1))));
  const streamed = async (query = 'keys=stream') => {
    const text = await (await fetch(`${url}/buckets/b/keys?${query}`)).text();
    return text
      .replaceAll('}{', '}\n{')
      .split('\n')
      .map((line) => JSON.parse(line));
  };
  t.strictSame((await (await fetch(`${url}/buckets/b/keys?keys=true`)).json()).keys, keys);
  const pieces = await streamed();
  t.ok(pieces.length > 5);
  t.strictSame(pieces.at(-1), { keys: [] });
  t.strictSame(
    pieces.flatMap((piece) => piece.keys),
    keys,
  );

  const timeout = () => new TimeoutError('m', { definite: true });
  for (const path of ['/buckets/b/keys?keys=true', '/buckets/b/keys?keys=stream', '/buckets?buckets=stream']) {
    store.failures.push({ operation: path.startsWith('/buckets?') ? 'buckets' : 'scan', error: timeout() });
    t.equal(await textOf(url + path), '503 request timed out\n');
  }
  store.failures.push({ operation: 'scan', error: timeout(), after: store.given + 1_500 });
  const broken = await streamed();
  t.strictSame(broken.at(-1), { error: 'timeout' });
  t.strictSame(
    broken.slice(0, -1).flatMap((piece) => piece.keys),
    keys.slice(0, 1_499),
  );
  const unmet = new QuorumNotMetError('m', { definite: true, quorum: 'r', got: 1, wanted: 2 });
  store.failures.push({ operation: 'scan', error: unmet, after: store.given + 1_500 });
  t.strictSame((await streamed()).at(-1), { error: 'R-value unsatisfied: 1/2' });
  store.failures.push({ operation: 'scan', error: timeout(), after: store.given + 1_500 });
  await t.rejects(streamed('keys=true'), 'what is not whole must not look whole');
});

test('a list waits for its client, and ends with it: one that takes nothing, one that leaves, one that is too late', async (t) => {
  const { url, store } = await start(t, { stallTimeoutMs: 100 });
  const real = store.bucket.bind(store);
  let given = 0;
  let ended = () => {};
  store.bucket = <V>(name: string) => ({
    ...real<V>(name),
    scan: (() => Object.assign(endless(), { unreachable: [], mayMissHints: false })) as Bucket<V>['scan'],
  });
  async function* endless() {
    try {
      for (;;) yield { key: String(given++).padStart(1_000, '0'), cursor: '' };
    } finally {
      ended();
    }
  }
  const scanEnds = () => {
    given = 0;
    return new Promise<void>((resolve) => {
      ended = resolve;
    });
  };
  const { hostname, port } = new URL(url);
  for (const mode of ['true', 'stream']) {
    for (const leaves of [false, true]) {
      const end = scanEnds();
      const client = connect(Number(port), hostname);
      client.write(`GET /buckets/b/keys?keys=${mode} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await once(client, 'data');
      client.pause();
      if (leaves) client.destroy();
      // Without back-pressure an endless list would never come to a stand.
      await end;
      t.ok(given < 100_000, `${given} keys were read for a client that took few`);
      client.destroy();
    }
  }
  // One that does take what comes is cut off only when the service stops, and will wait no longer.
  const other = await serveHttp(store, { port: 0, drainTimeoutMs: 100 });
  const end = scanEnds();
  const outcome = t.rejects(fetch(`${other.url}/buckets/b/keys?keys=stream`).then((response) => response.text()));
  while (given < 10_000) await new Promise((resolve) => setImmediate(resolve));
  await other.close();
  await Promise.all([end, outcome]);
});

test('a value that nobody takes is not held for ever', async (t) => {
  const { url, store, service } = await start(t, { stallTimeoutMs: 50, drainTimeoutMs: 3_600_000 });
  // More than the kernels hold of a connection.
  const value = new Uint8Array(64 * 2 ** 20);
  const real = store.bucket.bind(store);
  const asked = new Promise<void>((resolve) => {
    store.bucket = ((name: string) => ({
      ...real(name),
      get: async () => {
        resolve();
        const siblings = [{ value, contentType: 'a/b', metadata: {}, timestampMs: 0 }];
        return { found: true, siblings, value, causalContext: 'x', mayMissHints: false };
      },
    })) as never;
  });
  const { hostname, port } = new URL(url);
  const client = connect(Number(port), hostname);
  client.pause();
  client.write('GET /buckets/b/keys/k HTTP/1.1\r\nHost: x\r\n\r\n');
  await asked;
  // It ends when the last connection has.
  await service.close();
  client.destroy();
});

test('a mistake of the service is a 500 without its details, and is reported', async (t) => {
  const reported: unknown[] = [];
  const { url, store } = await start(t, { onError: (error) => reported.push(error) });
  const mistake = new Error('secret');
  store.failures.push({ operation: 'get', error: mistake });
  t.equal(await textOf(`${url}/buckets/b/keys/k`), '500 Error:\ninternal error\n');
  t.strictSame(reported, [mistake]);
});

test('/ping answers; /ready follows the replicas', async (t) => {
  const store = await open({ nodes: 4 });
  t.teardown(() => store.close());
  const service = await serveHttp(store, { port: 0 });
  t.teardown(() => service.close());
  const { url } = service;
  const ping = await fetch(`${url}/ping`);
  t.equal(`${ping.status} ${ping.headers.get('content-type')} ${await ping.text()}`, '200 text/html OK');
  t.equal(await textOf(`${url}/ping`, { method: 'POST', body: 'x' }), '405 Allowed here: GET, HEAD\n');
  t.equal(await textOf(`${url}/ready`), '200 ready\n');
  await store.admin.stop('b');
  t.equal(await textOf(`${url}/ready`), '200 ready\n');
  let key = 0;
  while (!keyPrimaries(store, 'b', `${key}`).includes('b')) key++;
  const object = `${url}/buckets/b/keys/${key}`;
  t.equal(await textOf(`${object}?pr=all`), '503 PR-value unsatisfied: 2/3\n');
  const text = { 'Content-Type': 'text/plain' };
  t.equal(
    await textOf(`${object}?pw=all&w=1`, { method: 'PUT', body: 'x', headers: text }),
    '503 PW-value unsatisfied: 2/3\n',
  );
  t.equal(await textOf(`${object}?r=all`), '404 not found\n', 'a stand-in answers');
  await store.admin.stop('c');
  t.match(await textOf(`${url}/ready`), /^503 not ready: \d+ partitions/);
  await store.admin.start('b');
  t.equal(await textOf(`${url}/ready`), '200 ready\n');
});

test('/ lists what there is, /stats counts it, /admin/status shows the nodes and the ring', async (t) => {
  const { url, store } = await start(t);
  await put(`${url}/buckets/b/keys/k`, 'x');
  const root = await fetch(url);
  t.equal(root.headers.get('content-type'), 'application/json');
  const resources = await root.json();
  t.match(resources, { riak_kv_wm_buckets: '/buckets', riak_kv_wm_ping: '/ping', riak_kv_wm_stats: '/stats' });
  t.match(root.headers.get('link')!, /<\/ping>; rel="riak_kv_wm_ping", /);
  const page = await fetch(url, { headers: { Accept: 'text/html, */*;q=0.1' } });
  t.equal(page.headers.get('content-type'), 'text/html');
  t.match(await page.text(), /<a href="\/stats">riak_kv_wm_stats<\/a>/);

  const stats = await fetch(`${url}/stats`);
  t.equal(stats.headers.get('content-type'), 'application/json');
  const { node_puts_total, node_put_fsm_time_99, ring_num_partitions, ring_members, quoral } = await stats.json();
  t.ok(node_puts_total >= 1);
  t.ok(Number.isInteger(node_put_fsm_time_99) && node_put_fsm_time_99 > 0);
  t.equal(ring_num_partitions, 64);
  t.strictSame(ring_members, ['a', 'b', 'c', 'd', 'e']);
  t.ok(Object.values(quoral.nodes as Record<string, { minted: number }>).some(({ minted }) => minted > 0));
  t.ok(Array.isArray(quoral.hottest));
  t.strictSame(Object.keys(quoral.latencies), ring_members);
  t.ok(quoral.total.latencies.puts.count >= 1 && quoral.total.latencies.puts.maxMs > 0);
  t.ok(quoral.total.counters.minted >= 1);
  const text = await fetch(`${url}/stats`, { headers: { Accept: 'text/plain' } });
  t.equal(text.headers.get('content-type'), 'text/plain');
  t.match(await text.text(), /^\{\n {2}"node_gets_total": \d+,\n/);

  const status = await (await fetch(`${url}/admin/status`)).json();
  t.strictSame(status.nodes, store.nodes());
  t.strictSame(status.ring, store.ring());
  t.ok(status.stats.puts.count >= 1);
});

test('only loopback without insecure', async (t) => {
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.com', '127.0.0.1.example.com']) {
    await t.rejects(serveHttp(new WatchedStore(), { host, port: 0 }), {
      code: 'INVALID_ARGUMENT',
      message: /--insecure/,
    });
  }
  const open = await serveHttp(new WatchedStore(), { host: '0.0.0.0', port: 0, insecure: true });
  t.equal(await textOf(`${open.url.replace('0.0.0.0', '127.0.0.1')}/ping`), '200 OK');
  await open.close();
});

// Goal: nothing that arrives on a socket crashes the service, hangs it, or gets an answer that is not HTTP.
test('what is not HTTP, too large or never finished gets an answer or a closed connection', async (t) => {
  const { url } = await start(t, { maxValueBytes: 1_000, requestTimeoutMs: 200 });
  const head = 'PUT /buckets/b/keys/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\n';
  const cases: [string, string | Uint8Array, RegExp][] = [
    ['noise', Uint8Array.from({ length: 300 }, (_, i) => (i * 7) & 0xff), /^HTTP\/1.1 400 /],
    ['a TLS hello', Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01), /^HTTP\/1.1 400 /],
    ['no method', 'nonsense\r\n\r\n', /^HTTP\/1.1 400 /],
    ['an unknown method', 'BREW /buckets/b/keys/k HTTP/1.1\r\nHost: x\r\n\r\n', /^HTTP\/1.1 400 /],
    ['a header without a colon', `${head}broken\r\n\r\n`, /^HTTP\/1.1 400 /],
    ['a NUL in a header', `${head}X-Riak-Meta-A: a\0b\r\n\r\n`, /^HTTP\/1.1 400 /],
    ['huge headers', `${head}X-Riak-Meta-A: ${'a'.repeat(70_000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
    ['a huge target', `GET /buckets/b/keys/${'k'.repeat(70_000)} HTTP/1.1\r\n\r\n`, /^HTTP\/1.1 431 /],
    ['a bad length', `${head}Content-Length: ten\r\n\r\n`, /^HTTP\/1.1 400 /],
    ['two lengths', `${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx`, /^HTTP\/1.1 400 /],
    ['length and chunks', `${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, /^HTTP\/1.1 400 /],
    ['a bad chunk', `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n`, /^HTTP\/1.1 400 /],
    ['a length over the limit', `${head}Content-Length: 99999999999\r\n\r\n`, /^HTTP\/1.1 413 /],
    [
      'chunks over the limit',
      `${head}Transfer-Encoding: chunked\r\n\r\n5dc\r\n${'x'.repeat(1_500)}\r\n`,
      /^HTTP\/1.1 413 /,
    ],
    [
      'a length over the limit that waits for its turn',
      `${head.replace('Connection: close\r\n', '')}Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n`,
      /^HTTP\/1.1 413 .*\r\nX-Quoral-Error: VALUE_TOO_LARGE\r\n.*over maxValueBytes \(1000\)/is,
    ],
    [
      'a bad head that waits for its turn',
      'PUT /buckets/b/keys/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
      /^HTTP\/1.1 400 .*Missing Content-Type/s,
    ],
    ['an unfinished head', 'GET /ping HTTP/1.1\r\nHost:', /^HTTP\/1.1 408 /],
    ['an unfinished body', `${head}Content-Length: 10\r\n\r\nabc`, /^(HTTP\/1.1 408 |$)/],
    [
      'the absolute form',
      'GET http://x/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      /^HTTP\/1.1 (200|404) /,
    ],
    ['chunks', `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`, /^HTTP\/1.1 204 /],
    ['HTTP/1.0', 'GET /buckets/b/keys/k HTTP/1.0\r\n\r\n', /^HTTP\/1.1 200 /],
  ];
  for (const [name, bytes, expected] of cases) t.match(await exchange(url, bytes), expected, name);
  t.equal(await textOf(`${url}/buckets/b/keys/k`), '200 hi');
});

// Goal: whoever sends a value that is too large hears so, also if it reads only once all is sent: a connection that were
// closed with something unread would be reset, and the reply lost.
test('a body over the limit is read to its end, and left: the 413 arrives, and the connection goes on', async (t) => {
  const { url } = await start(t, { maxValueBytes: 1_000 });
  const bytes = 20_000_000;
  const head = (more: string) => `PUT /buckets/b/keys/k HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n${more}\r\n`;
  const refused = 'HTTP/1.1 413 [^]*over maxValueBytes \\(1000\\)[^]*';
  const body = 'x'.repeat(bytes);
  const next = `${head('Connection: close\r\nContent-Length: 2\r\n')}hi`;
  for (const [name, sent, expected] of [
    [
      'the connection is used again',
      `${head(`Content-Length: ${bytes}\r\n`)}${body}${next}`,
      `${refused}HTTP/1.1 204 `,
    ],
    ['and closed as asked', `${head(`Connection: close\r\nContent-Length: ${bytes}\r\n`)}${body}`, refused],
    [
      'in chunks',
      `${head('Transfer-Encoding: chunked\r\n')}${bytes.toString(16)}\r\n${body}\r\n0\r\n\r\n${next}`,
      `${refused}HTTP/1.1 204 `,
    ],
    // What is refused for its head, too.
    [
      'a bad head',
      `PUT /buckets/b/keys/k HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n${body}${next}`,
      'HTTP/1.1 400 [^]*HTTP/1.1 204 ',
    ],
  ] as const) {
    const said = await exchange(url, sent, true).catch((error: Error) => error.message);
    t.match(said, new RegExp(`^${expected}`), name);
  }
});

test('close finishes what is in flight, and refuses what comes after', async (t) => {
  const { url, service, store } = await start(t, { drainTimeoutMs: 60_000 });
  const object = `${url}/buckets/b/keys/k`;
  let open = () => {};
  store.gate = new Promise((resolve) => {
    open = resolve;
  });
  const inFlight = put(object, 'kept');
  while (store.calls.put === 0) await new Promise((resolve) => setImmediate(resolve));
  const closed = service.close();
  open();
  t.equal((await inFlight).status, 204);
  await closed;
  await t.rejects(fetch(object));
  t.equal(store.closed, false);
});

test('close cuts off what never ends', async (t) => {
  const { url, service } = await start(t, { drainTimeoutMs: 50 });
  // A connection that is in the middle of a request when the service stops, and sends no more.
  const { hostname, port } = new URL(url);
  const stuck = connect(Number(port), hostname);
  stuck.write(
    'PUT /buckets/b/keys/k HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n',
  );
  await once(stuck, 'data'); // 100 Continue: the service has its head, and waits for its body.
  stuck.resume();
  const stuckClosed = once(
    stuck.on('error', () => stuck.destroy()),
    'close',
  );
  await Promise.all([service.close(), stuckClosed]);
});
