/** get, put, delete, scan and serve, on a directory and on a running service, with the exit codes they promise. */
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'tap';
import { OverloadedError, QuorumNotMetError, TimeoutError } from '../../../src/base/errors.js';
import { RemoteBucket } from '../../../src/cli/remote-store.js';
import { FakeTerminal } from '../../support/fake-terminal.js';
import { startWatchedService } from '../../support/watched-service.js';

const bytesOf = (text: string): AsyncIterable<Uint8Array> =>
  (async function* () {
    for (const byte of Buffer.from(text)) yield Uint8Array.of(byte);
  })();

// Both targets must tell the same story.
for (const target of ['--data', '--url'] as const) {
  test(`put, get and delete with ${target}`, async (t) => {
    const terminal = new FakeTerminal();
    const { url } = await startWatchedService(t);
    const where = [target, target === '--url' ? url : `${t.testdir()}/store`];
    const run = (...args: string[]) => terminal.run(...args, ...where);
    if (target === '--url')
      t.match(await run('get', 'carts', 'alice'), { code: 1, out: '', err: 'quoral: not found: carts/alice\n' });

    t.match(await run('put', 'carts', 'alice', 'milk'), { code: 0, out: /^stored carts\/alice/, err: '' });
    t.strictSame(await run('get', 'carts', 'alice'), { code: 0, out: 'milk', err: '' });
    t.match(await run('get', 'carts', 'bob'), { code: 1, out: '', err: 'quoral: not found: carts/bob\n' });

    terminal.stdin = bytesOf('brêad');
    t.equal((await run('put', 'carts', 'alice', '-', '--replace', '--content-type', 'text/html')).code, 0);
    const read = JSON.parse((await run('get', 'carts', 'alice', '--json', '--r', 'all')).out);
    t.match(read, { found: true, siblings: [{ value: 'brêad', encoding: 'utf8', contentType: 'text/html' }] });

    terminal.stdin = bytesOf('eggs');
    t.equal((await run('put', 'carts', 'alice')).code, 0);
    const conflict = await run('get', 'carts', 'alice');
    t.match(conflict, { code: 1, err: /^quoral: 2 siblings: [^\n]*--replace\n$/ });
    t.match(conflict.out, /brêad[\s\S]*eggs/);
    t.equal((await run('put', 'carts', 'long', 'x')).code, 0);
    t.equal((await run('put', 'carts', 'long', 'é'.repeat(500), '--content-type', `a/${'b'.repeat(90)}`)).code, 0);
    const table = (await run('get', 'carts', 'long')).out;
    t.match(table, / éé+… /);
    for (const line of table.split('\n')) t.ok(line.length <= 80, line);
    const both = JSON.parse((await run('get', 'carts', 'alice', '--json')).out);
    t.strictSame(
      both.siblings.map((sibling: { value: string }) => sibling.value),
      ['brêad', 'eggs'],
    );
    t.equal((await run('put', 'carts', 'alice', 'both', '--context', both.causalContext)).code, 0);
    t.equal((await run('get', 'carts', 'alice')).out, 'both');

    t.strictSame(await run('delete', 'carts', 'alice'), { code: 0, out: 'deleted carts/alice\n', err: '' });
    t.match(await run('delete', 'carts', 'alice'), { code: 1, err: 'quoral: not found: carts/alice\n' });
    const gone = await run('get', 'carts', 'alice', '--json');
    t.equal(gone.code, 1);
    t.match(JSON.parse(gone.out), { found: false, siblings: [], causalContext: String });

    t.match(await run('get', 'carts', 'alice', '--r', '4'), { code: 2 });
    t.match(await run('put', 'carts', 'alice', 'x', '--context', 'damaged'), {
      code: 2,
      err: /^quoral: [^\n]*context[^\n]*\n$/,
    });
    t.match(await run('put', 'carts', '', 'x'), { code: 2, err: /^quoral: [^\n]*\n$/ });
    if (target === '--data') for (const store of terminal.stores.values()) t.equal(store.closed, true);
  });
}

for (const target of ['--data', '--url'] as const) {
  test(`scan with ${target}: keys in order, by prefix, up to a limit, with values, as JSON`, async (t) => {
    const terminal = new FakeTerminal();
    const { url, store } = await startWatchedService(t);
    const data = `${t.testdir()}/store`;
    const source = target === '--url' ? store : await terminal.openStore({ path: data });
    const bucket = source.bucket('b');
    for (const key of ['b2', 'a', 'b1', 'tab\t']) await bucket.put(key, Buffer.from(`of ${key}\n`));
    await bucket.put(Uint8Array.of(0xff), Uint8Array.of(0xfe));
    await bucket.put(Uint8Array.of(0x80), Uint8Array.of(1));
    await bucket.put('é', Uint8Array.of(2));
    // More than is read ahead, in many objects of the list.
    const many = Array.from({ length: 1_500 }, (_, i) => `${10_000 + i}${'k'.repeat(40)}`);
    await Promise.all(many.map((key) => source.bucket('many').put(key, Buffer.from(key))));

    const where = [target, target === '--url' ? url : data];
    const scan = (...args: string[]) => terminal.run('scan', 'b', ...where, ...args);
    t.strictSame(await scan(), { code: 0, out: 'a\nb1\nb2\ntab\\t\n0x80\né\n0xff\n', err: '' });
    t.equal((await scan('--prefix', 'b')).out, 'b1\nb2\n');
    t.equal((await scan('--limit', '1', '--values')).out, 'a\tof a\\n\n');
    t.equal((await scan('--gte', 'b1', '--lt', 'tab\t', '--r', 'all')).out, 'b1\nb2\n');
    t.equal((await scan('--gt', 'b1', '--lte', 'tab\t', '--timeout', '5000')).out, 'b2\ntab\\t\n');
    t.equal((await scan('--after', 'YjE', '--limit', '1')).out, 'b2\n');
    t.match(await scan('--after', 'no cursor!'), { code: 2, err: /after must be the cursor/ });
    t.match(await scan('--r', '9'), { code: 2, err: /r must be/ });
    const lines = (await scan('--json', '--values')).out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    t.match(lines[0], { key: 'a', siblings: [{ value: 'of a\n', encoding: 'utf8' }], cursor: 'YQ' });
    t.match(lines[6], { key: '/w==', keyEncoding: 'base64', siblings: [{ value: '/g==', encoding: 'base64' }] });
    t.equal((await terminal.run('scan', 'empty', ...where)).out, '');
    const all = await terminal.run('scan', 'many', ...where, '--values');
    t.equal(all.out, many.map((key) => `${key}\t${key}\n`).join(''));
  });
}

for (const target of ['--data', '--url'] as const) {
  test(`properties with ${target}: of a bucket, of a type, changed and taken back, types created`, async (t) => {
    const terminal = new FakeTerminal();
    const { url } = await startWatchedService(t);
    const data = `${t.testdir()}/store`;
    const where = [target, target === '--url' ? url : data];
    const run = (...args: string[]) => terminal.run('properties', ...args, ...where);
    if (target === '--data') {
      t.match(await run('carts'), { code: 1, err: /There is no store in/ });
      await terminal.run('put', 'carts', 'alice', 'milk', ...where);
    }
    const json = async (...args: string[]) => JSON.parse((await run(...args, '--json')).out);
    const defaults = { n: 3, r: 2, w: 2, pr: 0, pw: 0, dw: 0, notfoundOk: true, basicQuorum: false };
    t.strictSame(await json('carts'), { ...defaults, maxSiblings: 100, resolution: 'siblings' });
    const changed = await run('carts', '--set', 'w=all', '--set', 'ttlMs=60000', '--set', 'notfoundOk=false');
    t.match(changed, { code: 0, out: /│ w +│ all +│[\s\S]*│ ttlMs +│ 60000 +│/, err: '' });
    t.match(await json('carts', '--set', 'resolution=last-write-wins', '--unset', 'notfoundOk'), {
      ...{ w: 'all', ttlMs: 60_000, notfoundOk: true, resolution: 'last-write-wins' },
    });
    t.match(await json('carts', '--unset', 'w', '--unset', 'ttlMs', '--unset', 'resolution', '--timeout', '4000'), {
      ...{ w: 2, ttlMs: undefined, resolution: 'siblings' },
    });

    t.match(await run('--type', 'brief'), { code: 2, err: /brief[^\n]*\n$/ });
    t.match(await run('--type', 'brief', '--set', 'r=1'), { code: 2, err: /brief[^\n]*\n$/ });
    t.match(await run('carts', '--type', 'brief', '--set', 'r=1'), { code: 2, err: /brief[^\n]*\n$/ });
    t.match(await json('--type', 'brief', '--create', '--set', 'r=one'), { r: 'one', w: 2 });
    t.match(await json('--type', 'brief', '--set', 'maxSiblings=5'), { r: 'one', maxSiblings: 5 });
    t.match(await json('b', '--type', 'brief'), { r: 'one', maxSiblings: 5 });
    t.match(await json(), defaults);

    for (const wrong of [
      'w=9',
      'ttlMs=-1',
      'ttlMs=soon',
      'resolution=merge',
      'n=2',
      'notfoundOk=perhaps',
      'w',
      'x=1',
    ]) {
      t.match(await run('carts', '--set', wrong), { code: 2, out: '', err: /\S/ }, wrong);
    }
    t.match(await run('carts', '--unset', 'codec'), { code: 2, err: /There is no property "codec"/ });
    t.match(await run('carts', '--create'), { code: 2, err: /--create is for a bucket type/ });
  });
}

test('a remote list that does not come to its end is a failure, however it ends', async (t) => {
  const terminal = new FakeTerminal();
  const { url, store } = await startWatchedService(t);
  const keys = Array.from({ length: 1_000 }, (_, i) => `${1_000 + i}${'k'.repeat(60)}`);
  await Promise.all(keys.map((key) => store.bucket('b').put(key, Uint8Array.of(1))));
  const broken = (error: Error, after: number) => {
    store.failures.push({ operation: 'scan', error, ...(after > 0 && { after: store.given + after }) });
    return terminal.run('scan', 'b', '--url', url);
  };
  t.match(await broken(new TimeoutError('m', { definite: true }), 0), { code: 1, err: /\(TIMEOUT\)\n$/ });
  const late = await broken(new TimeoutError('m', { definite: true }), 900);
  t.match(late, { code: 1, err: 'quoral: The list of keys timed out (TIMEOUT)\n' });
  t.ok(late.out.startsWith(`${keys[0]}\n`));

  const answers = ['{"keys":["a"]}', '{"keys":["a"]}{"keys":', 'nonsense', '[]', '{"keys":["a"]}{"error":"odd"}'];
  const stranger = createServer((_request, response) => response.end(answers.shift()));
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  t.teardown(() => stranger.close());
  const where = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
  while (answers.length > 0) {
    const { code, err } = await terminal.run('scan', 'b', '--url', where);
    t.equal(code, 1);
    t.match(err, /^quoral: The list of keys broke off[^\n]*\n$/);
  }
});

test('status shows nodes and ring in 80 columns, or as JSON', async (t) => {
  const terminal = new FakeTerminal();
  const { url, store } = await startWatchedService(t);
  const data = `${t.testdir()}/store`;
  const opened = await terminal.openStore({ path: data });
  for (const [looked, ...where] of [
    [store, '--url', url],
    [opened, '--data', data],
  ] as const) {
    const { code, out, err } = await terminal.run('status', ...where);
    t.equal(`${code} ${err}`, '0 ');
    t.match(out, /│ a +│ up +│ a +│ +1 │ +1[0-9] │ +\d+ │ +[\d.]+ \w+ │/);
    t.match(out, /Hints kept for nodes[^\n]*\n[\s\S]*│ a +│ +\d+ │ +(–|[\d.]+ \w+) │ +(–|\d+ s) │ +\d+ │ +\d+ │/);
    t.match(
      out,
      /Requests coordinated, since the node's start:[\s\S]*│ all +│ +\d+ │ +(–|[\d.]+) │ +(–|[\d.]+) │ +\d+ │ +(–|[\d.]+) │ +(–|[\d.]+) │ +\d+ │/,
    );
    t.match(
      out,
      /keys that differed; deletions reaped:[\s\S]*│ a +│ (–|20\d\d-\d\d-\d\d \d\d:\d\d) +│ +\d+ │ +\d+ │ +[\d.]+ \w+ │ +– │ +0 │/,
    );
    t.match(out, /\nSince two replicas were found equal, or their nodes started: (\d+ min )?\d+ s at most\.\n/);
    t.match(out, /64 partitions, 3 replicas of each:[\s\S]*│ [a-e] [a-e] [a-e] +│ [a-e] [a-e] +│ /);
    for (const line of out.split('\n')) t.ok(line.length <= 80, line);
    const json = JSON.parse((await terminal.run('status', '--json', ...where)).out);
    t.strictSame(json.nodes, looked.toldNodes);
    t.strictSame(json.ring, store.ring());
    t.type(json.stats.nodes.a.storedEntries, 'number');
    t.ok(Array.isArray(json.stats.hottest));
  }
  const stats = store.stats.bind(store);
  const show = async (figures: Record<string, Record<string, number>>): Promise<string> => {
    const told = await stats();
    const nodes = { ...told.nodes };
    for (const [name, of] of Object.entries(figures)) nodes[name] = { ...nodes[name], ...of };
    store.stats = async () => ({ ...told, nodes });
    const { out } = await terminal.run('status', '--url', url);
    for (const line of out.split('\n')) t.ok(line.length <= 80, line);
    return out;
  };
  t.notMatch(await show({}), /stores nothing/);
  const failing = await show({ a: { diskFull: 1, writesRefused: 3 }, b: { diskFailing: 1, writesRefused: 4 } });
  t.match(failing, /\na stores nothing: its disk is full \(3 writes refused\)\n/);
  t.match(failing, /\nb stores nothing: its disk fails, or is read-only \(4 writes refused\)\n/);
  // Hints wait at a; meanwhile b is refilled.
  const kept = { hints: 1_200, hintBytes: 5_452_595, hintsWaitingMs: 3_725_000, hintsDelivered: 17, hintsTaken: 4 };
  const none = { hints: 0, hintBytes: 0, hintsWaitingMs: 0, hintsDelivered: 1_217, hintsTaken: 4 };
  const refilled = async (a: Record<string, number>, partitionsToRefill: number) => {
    const out = await show({ a, b: { partitionsToRefill } });
    const hints = /Hints kept for nodes[^\n]*\n[\s\S]*?│ a +(│[^\n]*)/.exec(out)?.[1];
    const toRefill = /Replicas compared[\s\S]*?│ b +(?:│[^│\n]*){4}│ +([^│\n]*) │ +\d+ │/.exec(out)?.[1];
    return [hints?.replaceAll(/ +/g, ' '), toRefill];
  };
  const ofB = store.ring().filter(({ primaries }) => primaries.includes('b')).length;
  t.strictSame(await refilled(kept, 5), ['│ 1200 │ 5.2 MiB │ 1 h 02 min │ 17 │ 4 │', `5 of ${ofB}`]);
  t.strictSame(await refilled(kept, 2), ['│ 1200 │ 5.2 MiB │ 1 h 02 min │ 17 │ 4 │', `2 of ${ofB}`]);
  t.strictSame(await refilled(none, 0), ['│ 0 │ – │ – │ 1217 │ 4 │', '–']);
  store.stats = stats;
  const binary = new Uint8Array([0xff, 0x0a]);
  for (let i = 0; i < 4_000; i++) await store.bucket('hot').get(i % 2 === 0 ? 'a\nkey' : binary);
  const { out } = await terminal.run('status', '--url', url);
  t.match(out, /Keys that are asked for most:[\s\S]*│ default[^│]*│ hot[^│]*│ (a\\nkey|0xff0a) +│ +\d\d\.\d % │/);
  for (const line of out.split('\n')) t.ok(line.length <= 80, line);
  const json = JSON.parse((await terminal.run('status', '--json', '--url', url)).out);
  t.match(json.stats.hottest, [{ bucket: /^hot/ }, { bucket: /^hot/ }]);
  t.match(await terminal.run('status', '--data', `${data}/none`), { code: 1, err: /There is no store/ });
  t.match(await terminal.run('status', '--url', `${url}/x`), { code: 1, err: /answered 404/ });
  t.match(await terminal.run('status', 'more'), { code: 2 });
});

test('wrong use ends with 2 and says what is wrong, failure with 1, help with 0 and an example', async (t) => {
  const terminal = new FakeTerminal();
  const data = `${t.testdir()}/none`;
  for (const [args, words] of [
    [['get', 'b'], /missing required argument 'key'/],
    [['fly'], /unknown command 'fly'/],
    [['get', 'b', 'k', '--colour'], /unknown option '--colour'/],
    [['get', 'b', 'k', '--data', data, '--url', 'http://x'], /cannot be used with/],
    [['get', 'b', 'k', '--url', 'nonsense'], /Not an HTTP URL/],
    [['get', 'b', 'k', '--r', 'two'], /'one', 'quorum' or 'all'/],
    [['get', 'b', 'k', '--timeout', '0'], /from 1 to 3600000/],
    [['put', 'b', 'k', 'v', '--replace', '--context', 'x'], /not both/],
    [['serve', '--http', '70000'], /from 0 to 65535/],
    [['serve', '--data', data, '--host', '0.0.0.0', '--http', '0'], /--insecure/],
    [['import', 'none.ndjson', '--bucket', 'b', '--key', 'k'], /no file/],
    [['import', data, '--bucket', 'b'], /needs --key/],
    [['import', data, '--key', 'k'], /--bucket/],
    [['get', 'b', 'k', '--url', 'http://127.0.0.1:1?x=1'], /Not an HTTP URL/],
  ] as const) {
    const { code, out, err } = await terminal.run(...args);
    t.equal(code, 2, args.join(' '));
    t.equal(out, '');
    t.match(err, words);
    t.notMatch(err, /\n\s+at /);
  }
  t.match(await terminal.run('get', 'b', 'k', '--data', `${data}/nowhere`), { code: 1, err: /There is no store in/ });
  t.equal(existsSync(`${data}/nowhere`), false);
  t.match(await terminal.run('get', 'b', 'k', '--url', 'http://127.0.0.1:1'), {
    code: 1,
    err: /^quoral: Cannot reach [^\n]*serve[^\n]*\n$/,
  });
  const breaksOff = createServer((request) => void request.socket.destroy());
  await new Promise<void>((resolve) => breaksOff.listen(0, '127.0.0.1', resolve));
  t.teardown(() => breaksOff.close());
  const { port } = breaksOff.address() as AddressInfo;
  t.match(await terminal.run('put', 'b', 'k', 'v', '--url', `http://127.0.0.1:${port}`), {
    code: 1,
    err: /^quoral: Cannot reach [^\n]*the write may still take effect[^\n]*\n$/,
  });
  t.match(await terminal.run('--version'), { code: 0, out: /^\d+\.\d+\.\d+\n$/ });
  for (const name of ['serve', 'get', 'put', 'delete', 'scan', 'import', 'export', 'status']) {
    t.match(await terminal.run(name, '--help'), {
      code: 0,
      out: new RegExp(`Example:\n  \\$ quoral ${name}\\b`),
      err: '',
    });
  }
  t.match(await terminal.run('--help'), { code: 0, out: /serve[\s\S]*import/ });
  t.match(await terminal.run(), { code: 2, err: /Usage/ });
});

test('errors of the store come as one line with their code, and say if the write may still take effect', async (t) => {
  const terminal = new FakeTerminal();
  const data = `${t.testdir()}/store`;
  const store = await terminal.openStore({ path: data });
  const remote = await startWatchedService(t);
  const error = () => new QuorumNotMetError('1 of 2\nreplicas', { definite: false, quorum: 'w', got: 1, wanted: 2 });
  store.failures.push({ operation: 'put', error: error() });
  remote.store.failures.push({ operation: 'put', error: error() });
  t.match(await terminal.run('put', 'b', 'k', 'v', '--data', data), {
    code: 1,
    err: 'quoral: 1 of 2 replicas (QUORUM_NOT_MET; the write may still take effect)\n',
  });
  t.match(await terminal.run('put', 'b', 'k', 'v', '--url', remote.url), {
    code: 1,
    err: 'quoral: W-value unsatisfied: 1/2 (QUORUM_NOT_MET; the write may still take effect)\n',
  });
  terminal.isTTY = true;
  store.failures.push({ operation: 'get', error: new Error('plain') });
  t.match(await terminal.run('get', 'b', 'k', '--data', data), { code: 1, err: '\u001b[31mquoral:\u001b[39m plain\n' });
});

test('a remote bucket keeps bytes, metadata and the kinds of errors', async (t) => {
  const { store, url } = await startWatchedService(t);
  const remote = new RemoteBucket(`${url}/`, 'b/ü', 'my type');
  await t.rejects(remote.get('k'), { code: 'INVALID_ARGUMENT', message: /Unknown bucket type: my type/ });
  await store.setBucketType('my type');
  const local = store.bucket('b/ü', { type: 'my type' });
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (const key of ['a/b?c#d', Uint8Array.of(0, 0xff), '%41']) {
    await remote.put(key, bytes, { metadata: { colour: 'red' }, contentType: 'image/png' });
    t.match(await local.get(key), {
      found: true,
      siblings: [{ contentType: 'image/png', metadata: { colour: 'red' } }],
    });
    const read = await remote.get(key);
    t.strictSame(read.value, bytes);
    t.strictSame(read.siblings[0]!.metadata, { colour: 'red' });
  }
  await remote.put('k', Buffer.from('\r\n--x\r\n\r\n'));
  await remote.put('k', bytes, { metadata: { n: '2' } });
  const read = await remote.get('k');
  t.strictSame(
    read.siblings.map(({ value }) => Buffer.from(value)),
    [Buffer.from('\r\n--x\r\n\r\n'), Buffer.from(bytes)],
  );
  t.equal(read.siblings[1]!.metadata.n, '2');
  t.throws(() => read.value, { code: 'CONFLICT' });
  const receipt = await remote.put('k', bytes, { causalContext: read.causalContext });
  t.equal((await remote.get('k')).siblings.length, 1);
  await remote.delete('k', { causalContext: receipt.causalContext });
  t.equal((await remote.get('k')).found, false);

  store.failures.push({
    operation: 'get',
    error: new OverloadedError('Busy', { definite: true, retryAfterMs: 1_500 }),
  });
  await t.rejects(remote.get('k'), { code: 'OVERLOADED', retryAfterMs: 2_000, definite: true });
  await t.rejects(remote.put('k', new Uint8Array(8 * 2 ** 20 + 1)), { code: 'VALUE_TOO_LARGE' });

  const stranger = createServer((_request, response) => response.writeHead(418).end('teapot'));
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  t.teardown(() => stranger.close());
  const other = new RemoteBucket(`http://127.0.0.1:${(stranger.address() as AddressInfo).port}`, 'b', 'default');
  await t.rejects(other.get('k'), { name: 'CommandError', message: /answered 418: teapot/ });
});

test('serve says what to try, serves, and closes all in order when asked to stop', async (t) => {
  const terminal = new FakeTerminal();
  const data = `${t.testdir()}/store`;
  for (const json of [false, true]) {
    const running = terminal.run(
      'serve',
      '--data',
      data,
      '--http',
      '0',
      '--nodes',
      '4',
      '--sync',
      'none',
      ...(json ? ['--json'] : []),
    );
    while (!/http:\/\/127\.0\.0\.1:\d+/.test(terminal.printed)) await new Promise((resolve) => setImmediate(resolve));
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(terminal.printed)![0];
    t.equal(await (await fetch(`${url}/ping`)).text(), 'OK');
    t.match(terminal.openings.at(-1), { path: data, nodes: 4, sync: 'none' });
    terminal.signal();
    const { code, out } = await running;
    t.equal(code, 0);
    if (json) t.match(JSON.parse(out), { event: 'listening', url, nodes: { length: 5 } });
    else t.match(out, /5 nodes \(a, b, c, d, e\)[\s\S]*curl -X PUT[\s\S]*curl -i [\s\S]*stopped\n$/);
    t.equal(terminal.stores.get(data)!.closed, true);
    t.equal(terminal.listens, false);
    await t.rejects(fetch(`${url}/ping`));
  }
});

test('serve says what to do where it cannot listen, and leaves nothing open', async (t) => {
  const terminal = new FakeTerminal();
  const { url } = await startWatchedService(t);
  const data = `${t.testdir()}/store`;
  const taken = await terminal.run('serve', '--data', data, '--http', new URL(url).port);
  t.match(taken, { code: 1, out: '', err: /^quoral: Cannot listen on 127.0.0.1:\d+: the port is taken; [^\n]*--http/ });
  const foreign = await terminal.run('serve', '--data', data, '--http', '0', '--host', '192.0.2.1', '--insecure');
  t.match(foreign, { code: 1, err: /no such address; name another one with --host/ });
  t.equal(terminal.stores.get(data)!.closed, true);
});

test('serve takes its options from a file, the command line before it', async (t) => {
  const terminal = new FakeTerminal();
  const directory = t.testdir({
    'quoral.json': JSON.stringify({
      path: 'x',
      nodes: [{ name: 'one' }],
      n: 1,
      maxValueBytes: 10,
      http: 1,
      sync: 'none',
    }),
    'text.json': 'nodes: 5',
    'list.json': '[]',
    'port.json': '{ "http": 70000 }',
    'host.json': '{ "host": 5 }',
    'insecure.json': '{ "insecure": "yes" }',
  });
  const data = `${directory}/data`;
  const config = `${directory}/quoral.json`;
  const running = terminal.run('serve', '--config', config, '--data', data, '--http', '0', '--json');
  while (!/http:\/\/127\.0\.0\.1:\d+/.test(terminal.printed)) await new Promise((resolve) => setImmediate(resolve));
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(terminal.printed)![0];
  const open = { path: data, nodes: [{ name: 'one' }], n: 1, maxValueBytes: 10, sync: 'none' };
  t.strictSame(terminal.openings, [open]);
  const init = { method: 'PUT', headers: { 'Content-Type': 'a/b' }, body: 'x'.repeat(11) };
  t.equal((await fetch(`${url}/buckets/b/keys/k`, init)).status, 413);
  terminal.signal();
  t.equal((await running).code, 0);

  for (const [name, err] of [
    ['none.json', /cannot be read: ENOENT/],
    ['text.json', /is not JSON/],
    ['list.json', /must be a JSON object/],
    ['port.json', /http must be a port/],
    ['host.json', /host must be/],
    ['insecure.json', /insecure must be/],
  ] as const) {
    t.match(await terminal.run('serve', '--config', `${directory}/${name}`), { code: 2, err });
  }
});
