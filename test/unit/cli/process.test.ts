/** The `quoral` command as a process of its own, on a store on disk: exit codes, signals, pipes. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { t as file, test } from 'tap';

// Every process opens a store of five threads, which takes a busy machine seconds.
file.setTimeout(110_000);

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

const BENCHMARKS = fileURLToPath(new URL('../../../benchmarks/run.js', import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function quoral(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], (error, out, err) => {
      resolve({ code: error === null ? 0 : ((error.code as number | undefined) ?? null), out, err });
    });
  });
}

/** Starts `quoral serve` and waits for the line in which it says where. */
async function serve(data: string): Promise<{ child: ChildProcess; url: string; ended: Promise<number | null> }> {
  const child = spawn(process.execPath, [MAIN, 'serve', '--data', data, '--http', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const [line] = await Promise.race([
    once(child.stdout!, 'data'),
    ended.then((code) => Promise.reject(new Error(`ended with ${code}`))),
  ]);
  return { child, url: JSON.parse(String(line)).url, ended };
}

test('serve drains on SIGTERM and SIGINT and exits 0; what it acknowledged is there for the next one', {
  timeout: 110_000,
}, async (t) => {
  const data = `${t.testdir()}/store`;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const { child, url, ended } = await serve(data);
    t.teardown(() => child.kill('SIGKILL'));
    if (signal === 'SIGTERM') t.equal((await quoral('put', 'b', 'k', 'kept', '--url', url)).code, 0);
    t.strictSame(await quoral('get', 'b', 'k', '--url', url), { code: 0, out: 'kept', err: '' });
    if (signal === 'SIGINT')
      t.match(await quoral('get', 'b', 'k', '--data', data), { code: 1, out: '', err: /^quoral: [^\n]*LOCKED\)\n$/ });
    child.kill(signal);
    t.equal(await ended, 0);
  }
  t.strictSame(await quoral('get', 'b', 'k', '--data', data), { code: 0, out: 'kept', err: '' });
});

// Goal: stopping a service under load loses no write that it acknowledged, and leaves nobody without an answer who got in.
// What a request meets once the service stops: one whose head it has taken, its outcome; one that comes later, no connection
// (ECONNREFUSED), or, on a connection that was there before, 503 with CLOSED in X-Quoral-Error, or the connection's end before
// anything was answered (ECONNRESET, EPIPE). After every answer the connection ends.
test('SIGTERM under load: what was acknowledged is there, the rest was refused or never taken, exit 0', {
  timeout: 110_000,
}, async (t) => {
  const data = `${t.testdir()}/store`;
  const { child, url, ended } = await serve(data);
  t.teardown(() => child.kill('SIGKILL'));
  const acknowledged: string[] = [];
  const ends = new Map<string, number>();
  const body = 'x'.repeat(10_000);
  let stopping = false;
  // Each client puts until the service takes no more.
  const client = async (name: number) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      for (let i = 0; ; i++) {
        const key = `${name}-${i}`;
        const answer = await putOver(agent, `${url}/buckets/b/keys/${key}`, body);
        if (answer !== 'stored' && answer !== 'stored, and closed') {
          t.ok(stopping, `before the service was to stop: ${answer}`);
          ends.set(answer, (ends.get(answer) ?? 0) + 1);
          return;
        }
        // Who was told that the connection closes would have to make another: see below.
        acknowledged.push(key);
        if (acknowledged.length === 150) {
          stopping = true;
          child.kill('SIGTERM');
        }
      }
    } finally {
      agent.destroy();
    }
  };
  const late = await takenPut(`${url}/buckets/b/keys/late`, 4);
  await Promise.all(Array.from({ length: 20 }, (_, name) => client(name)));
  while ((await putOver(new Agent(), `${url}/buckets/b/keys/refused`, '')) !== 'no connection: ECONNREFUSED');
  t.match(await late('body'), /^HTTP\/1.1 204 [\s\S]*\r\nConnection: close\r\n/i);
  acknowledged.push('late');
  t.equal(await ended, 0);
  for (const end of ends.keys()) t.ok(END_OF_SERVICE.has(end), end);
  t.ok(acknowledged.length >= 150);
  await t.rejects(fetch(`${url}/ping`), { cause: { code: 'ECONNREFUSED' } });
  const scanned = await quoral('scan', 'b', '--data', data);
  t.equal(scanned.code, 0);
  const stored = new Set(scanned.out.split('\n'));
  t.strictSame(
    acknowledged.filter((key) => !stored.has(key)),
    [],
  );
});

/** A put whose head the service has taken. @returns sends its body, and gives what is answered until the connection ends */
async function takenPut(url: string, bytes: number): Promise<(body: string) => Promise<string>> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname).setEncoding('latin1');
  const head = ['Host: x', 'Content-Type: text/plain', `Content-Length: ${bytes}`, 'Expect: 100-continue'];
  socket.write(`PUT ${pathname} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n`);
  await once(socket, 'data'); // 100 Continue
  return async (body) => {
    socket.write(body);
    let said = '';
    for await (const chunk of socket) said += chunk;
    return said;
  };
}

/** What a put may come to once the service stops, if it is not stored. */
const END_OF_SERVICE = new Set([
  '503 CLOSED, and closed',
  'no connection: ECONNREFUSED',
  'unanswered: ECONNRESET',
  'unanswered: EPIPE',
]);

/** Puts over the agent's connection, or a new one if that is gone. @returns what came of it, in words */
function putOver(agent: Agent, url: string, body: string): Promise<string> {
  return new Promise((resolve) => {
    let answered = '';
    const headers = { 'Content-Type': 'text/plain', 'Content-Length': body.length };
    const put = request(url, { method: 'PUT', agent, headers }, (response) => {
      const closed = response.headers.connection === 'close' ? ', and closed' : '';
      const { statusCode } = response;
      answered = statusCode === 204 ? 'stored' : `${statusCode} ${response.headers['x-quoral-error']}`;
      answered += closed;
      response
        .on('end', () => resolve(answered))
        .on('error', (error) => resolve(`cut off after ${answered}: ${error}`));
      response.resume();
    });
    put.on('error', (error: NodeJS.ErrnoException) => {
      if (answered !== '') return;
      resolve(`${error.syscall === 'connect' ? 'no connection' : 'unanswered'}: ${error.code}`);
    });
    put.end(body);
  });
}

test('import, scan and their exit codes, on disk', { timeout: 110_000 }, async (t) => {
  const directory = t.testdir();
  const [data, file] = [`${directory}/store`, `${directory}/words`];
  const words = Array.from({ length: 1_000 }, (_, i) => `word${i}`);
  writeFileSync(file, words.join('\n'));
  const args = ['import', file, '--bucket', 'words', '--format', 'lines', '--data', data, '--json'];
  const first = await quoral(...args);
  t.equal(first.code, 0);
  t.match(JSON.parse(first.out), { lines: 1_000, stored: 1_000, unchanged: 0, bad: 0 });
  const second = await quoral(...args);
  t.match(JSON.parse(second.out), { lines: 1_000, stored: 0, unchanged: 1_000, bad: 0 });
  const scanned = await quoral('scan', 'words', '--data', data);
  t.equal(
    scanned.out,
    [...words]
      .sort()
      .map((word) => `${word}\n`)
      .join(''),
  );
  t.match(await quoral('get', 'words', 'none', '--data', data), { code: 1, out: '' });
  t.match(await quoral('get', 'words'), { code: 2, out: '' });

  // A reader that leaves early, as `head` does, is no failure and gets no stack.
  const scan = spawn(process.execPath, [MAIN, 'scan', 'words', '--data', data, '--values', '--json']);
  scan.stdout.once('data', () => scan.stdout.destroy());
  let said = '';
  scan.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = await once(scan, 'close');
  t.equal(code, 0);
  t.equal(said, '');

  // Nor is one that has left before anything is said; and what is wrong stays wrong where nobody hears it.
  for (const [command, stream, expected] of [
    [[MAIN, '--help'], 'stdout', 0],
    [[BENCHMARKS, '--help'], 'stdout', 0],
    [[MAIN, 'fly'], 'stderr', 2],
  ] as const) {
    const child = spawn(process.execPath, command);
    child[stream].destroy();
    let heard = '';
    child[stream === 'stdout' ? 'stderr' : 'stdout'].on('data', (chunk) => {
      heard += chunk;
    });
    const [code] = await once(child, 'close');
    t.strictSame([code, heard], [expected, ''], command.join(' '));
  }
});
