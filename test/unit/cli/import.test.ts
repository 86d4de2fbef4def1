/** `quoral import` and `export`: what they store, write, skip, refuse, and how they go on after an interruption. */
import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'tap';
import { OverloadedError, QuorumNotMetError } from '../../../src/base/errors.js';
import { csvEnds, csvLine, fieldsOf } from '../../../src/cli/csv.js';
import { membersOf, onOneLine } from '../../../src/cli/export/json-text.js';
import { duration } from '../../../src/cli/figures.js';
import { linesOf } from '../../../src/cli/import/lines.js';
import { FORMATS, recordReader } from '../../../src/cli/import/record.js';
import { serveHttp } from '../../../src/service/http/server.js';
import { FakeTerminal } from '../../support/fake-terminal.js';
import { WatchedStore } from '../../support/watched-store.js';

type Test = { testdir(): string };

function setUp(t: Test, content: string | Uint8Array) {
  const terminal = new FakeTerminal();
  const directory = t.testdir();
  const file = `${directory}/input`;
  const data = `${directory}/store`;
  writeFileSync(file, content);
  return {
    terminal,
    file,
    data,
    store: () => terminal.stores.get(data)!,
    ndjson: (...args: string[]) =>
      terminal.run('import', file, '--bucket', 'b', '--key', 'id', '--data', data, ...args),
    words: (...args: string[]) =>
      terminal.run('import', file, '--bucket', 'b', '--format', 'lines', '--data', data, ...args),
    checkpoints: () => readdirSync(data, { recursive: true }).filter((name) => String(name).endsWith('.json')),
  };
}

async function contentOf(store: WatchedStore): Promise<Record<string, string[]>> {
  const content: Record<string, string[]> = {};
  store.closed = false;
  for await (const { key, siblings } of store.bucket('b').scan({ values: true })) {
    content[String(key)] = siblings!.map(({ value }) => Buffer.from(value).toString());
  }
  return content;
}

test('NDJSON is stored as it stands, under text and whole numbers; a second run changes nothing', async (t) => {
  const { ndjson, store, checkpoints } = setUp(t, '\ufeff{"id":7,"a": 1}\r\n\n{"id":"x","b":"é"}\n  \n{"b":[],"id":8}');
  t.match(await ndjson(), { code: 0, out: /^5 lines: 3 stored, 0 unchanged, 0 bad, 2 blank in / });
  const content = { 7: ['{"id":7,"a": 1}'], 8: ['{"b":[],"id":8}'], x: ['{"id":"x","b":"é"}'] };
  t.strictSame(await contentOf(store()), content);
  t.strictSame(checkpoints(), []);
  const puts = store().calls.put;
  t.match(JSON.parse((await ndjson('--json')).out), {
    lines: 5,
    stored: 0,
    unchanged: 3,
    bad: 0,
    blank: 2,
    badLines: [],
  });
  t.equal(store().calls.put, puts);
  t.strictSame(await contentOf(store()), content);
});

test('changed and conflicting values are replaced, and of lines with one key the last one wins', async (t) => {
  const lines = Array.from({ length: 500 }, (_, i) => `{"id":"${i % 3}","n":${i}}\n`);
  const { ndjson, store, terminal, data } = setUp(t, lines.join(''));
  const bucket = (await terminal.openStore({ path: data })).bucket('b');
  await bucket.put('0', Buffer.from('old'));
  await bucket.put('0', Buffer.from('other'));
  t.equal((await ndjson()).code, 0);
  t.strictSame(await contentOf(store()), {
    0: ['{"id":"0","n":498}'],
    1: ['{"id":"1","n":499}'],
    2: ['{"id":"2","n":497}'],
  });
});

test('bad lines: named by number with the reason; skipped as asked', async (t) => {
  const bad: [string | Uint8Array, RegExp][] = [
    ['{"id":1', /not JSON/],
    ['[1]', /not a JSON object/],
    ['null', /not a JSON object/],
    ['{"a":1}', /no field "id"/],
    ['{"id":1.5}', /not whole/],
    ['{"id":9007199254740993}', /over 2\^53/],
    ['{"id":true}', /neither text nor a number/],
    ['{"id":""}', /empty/],
    ['{"__proto__":{"id":1}}', /no field "id"/],
    [`{"id":"${'k'.repeat(2_000)}"}`, /at most 1900/],
    [Uint8Array.of(0x22, 0xff), /not UTF-8/],
  ];
  const content = Buffer.concat(
    bad.flatMap(([line]) => [Buffer.from(line), Buffer.from('\n')]).concat(Buffer.from('{"id":"good"}')),
  );
  const { ndjson, store, file } = setUp(t, content);
  const { code, out, err } = await ndjson('--on-error', 'skip', '--json');
  t.equal(code, 0);
  t.match(JSON.parse(out), { lines: bad.length + 1, stored: 1, bad: bad.length });
  bad.forEach(([, reason], index) => {
    const line = err.split('\n').find((text) => text.startsWith(`${file}:${index + 1}: `));
    t.match(line, reason, `line ${index + 1}`);
  });
  t.strictSame(Object.keys(await contentOf(store())), ['good']);
});

test('stopped at a bad line: all before it is stored, nothing after, and a mended file goes through', async (t) => {
  const good = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `{"id":${from + i}}\n`).join('');
  const { ndjson, store, file } = setUp(t, `${good(0, 300)}oops\n${good(300, 600)}`);
  t.match(await ndjson(), {
    code: 1,
    out: /^301 lines: 300 stored, 0 unchanged, 1 bad/,
    err: /:301: it is not JSON[\s\S]*stopped at line 301/,
  });
  t.equal(Object.keys(await contentOf(store())).length, 300);
  t.match(await ndjson(), { code: 1, err: /resuming after line 300[\s\S]*stopped at line 301/ });
  writeFileSync(file, good(0, 600));
  t.match(await ndjson(), { code: 0, out: /^600 lines: 300 stored, 300 unchanged/, err: '' });
});

test('word lists: each line is key and value', async (t) => {
  const { words, store } = setUp(t, 'beta\r\nalpha\n\n two words \n');
  t.match(await words(), { code: 0, out: /^4 lines: 3 stored, 0 unchanged, 0 bad, 1 blank/ });
  t.strictSame(await contentOf(store()), { ' two words ': [' two words '], alpha: ['alpha'], beta: ['beta'] });
  t.match(await words('--key', 'x'), { code: 2, err: /takes no --key/ });
});

test('an error of the store ends the import in order; the next run goes on where every line before is done', async (t) => {
  const count = 400;
  const { words, store, terminal, data, checkpoints, file } = setUp(
    t,
    Array.from({ length: count }, (_, i) => `word${i}\n`).join(''),
  );
  terminal.tickMs = 50; // Saves often.
  await terminal.openStore({ path: data });
  const error = new QuorumNotMetError('1 of 2', { definite: false, quorum: 'w', got: 1, wanted: 2 });
  const put = store().bucket.bind(store());
  let calls = 0;
  store().bucket = ((name: string) => {
    const bucket = put(name);
    return {
      ...bucket,
      put: (...args: Parameters<typeof bucket.put>) => (++calls === 200 ? Promise.reject(error) : bucket.put(...args)),
    };
  }) as typeof put;
  t.match(await words(), { code: 1, err: /QUORUM_NOT_MET/ });
  t.equal(checkpoints().length, 1);
  store().bucket = put;
  const before = await contentOf(store());
  const again = await words('--json');
  t.match(again, { code: 0, err: /^resuming after line (\d+) / });
  const after = Number(/after line (\d+)/.exec(again.err)![1]);
  t.ok(after > 0 && after < count, `line ${after}`);
  for (let i = 0; i < after; i++) t.ok(before[`word${i}`], `line ${i + 1} was done`);
  t.match(JSON.parse(again.out), { lines: count - after, bad: 0 });
  const content = await contentOf(store());
  t.equal(Object.keys(content).length, count);
  for (const [key, values] of Object.entries(content)) t.strictSame(values, [key]);
  t.strictSame(checkpoints(), []);

  // Of a file that has changed since, nothing is skipped.
  calls = 0;
  store().bucket = ((name: string) => ({ ...put(name), put: () => Promise.reject(error) })) as typeof put;
  writeFileSync(file, Array.from({ length: count + 1 }, (_, i) => `word${i}\n`).join(''));
  t.match(await words(), { code: 1 });
  t.equal(checkpoints().length, 1);
  utimesSync(file, 1, 1);
  store().bucket = put;
  const afresh = await words();
  t.match(afresh, { code: 0, out: /^401 lines: 1 stored, 400 unchanged/ });
  t.notMatch(afresh.err, /resuming/);
});

test('a stop signal finishes what is in hand and can be resumed; --restart begins anew', async (t) => {
  const { words, terminal, data, store } = setUp(t, Array.from({ length: 1_000 }, (_, i) => `word${i}\n`).join(''));
  await terminal.openStore({ path: data });
  const bucketOf = store().bucket.bind(store());
  let calls = 0;
  store().bucket = ((name: string) => {
    const bucket = bucketOf(name);
    return {
      ...bucket,
      put: (...args: Parameters<typeof bucket.put>) => {
        if (++calls === 100) terminal.signal();
        return bucket.put(...args);
      },
    };
  }) as typeof bucketOf;
  const { code, out, err } = await words();
  t.equal(code, 1);
  const stored = Number(/^(\d+) lines/.exec(out)![1]);
  t.match(err, `interrupted after line ${stored}: run again to go on`);
  t.ok(stored >= 100 && stored < 300, `${stored} stored`);
  t.match(await words('--restart'), {
    code: 0,
    out: new RegExp(`^1000 lines: ${1_000 - stored} stored, ${stored} unchanged`),
    err: '',
  });
});

test('an overloaded store is given the time it asks for', async (t) => {
  const { words, terminal, data, store } = setUp(t, 'a\nb\n');
  await terminal.openStore({ path: data });
  for (const operation of ['get', 'put'] as const) {
    store().failures.push({ operation, error: new OverloadedError('Busy', { definite: true, retryAfterMs: 30 }) });
  }
  t.match(await words(), { code: 0, out: /^2 lines: 2 stored/ });
  t.strictSame(terminal.slept, [30, 30]);
});

test('progress: a bar on a terminal, lines elsewhere', async (t) => {
  const content = Array.from({ length: 200 }, (_, i) => `word${i}\n`).join('');
  const plain = setUp(t, content);
  plain.terminal.tickMs = 200;
  const lines = (await plain.words()).err.trimEnd().split('\n');
  t.ok(lines.length > 1, `${lines.length} lines of progress`);
  for (const line of lines)
    t.match(line, /^importing: \d+%, \d+ lines, \d+ lines\/s, (–|\d+ (s|min \d\d s|h \d\d min)) left$/);
  t.ok(
    lines.some((line) => !line.includes('–')),
    'what remains is told once some of the file is done',
  );
  plain.terminal.isTTY = true;
  const { err } = await plain.words();
  t.match(err, /importing .*%.* lines\/s .* left/);
  t.strictSame([0, 59.6, 61, 3_600, 7_325, 187_199].map(duration), [
    '0 s',
    '1 min 00 s',
    '1 min 01 s',
    '1 h 00 min',
    '2 h 02 min',
    '2 d 03 h',
  ]);
});

test('over HTTP: the same counts, no progress file', async (t) => {
  const { terminal, file } = setUp(t, '{"id":1}\n{"id":2}\n');
  const store = new WatchedStore();
  const service = await serveHttp(store, { port: 0 });
  t.teardown(() => service.close());
  const run = () => terminal.run('import', file, '--bucket', 'b', '--key', 'id', '--url', service.url);
  t.match(await run(), { code: 0, out: /^2 lines: 2 stored, 0 unchanged/ });
  t.match(await run(), { code: 0, out: /^2 lines: 0 stored, 2 unchanged/ });
  t.strictSame(await contentOf(store), { 1: ['{"id":1}'], 2: ['{"id":2}'] });
});

test('CSV: records become objects of texts, whatever is between the quotes', async (t) => {
  const { terminal, file, data, store, checkpoints } = setUp(
    t,
    '\ufeffid,name,note\r\n1,Ann,"a, ""b"""\r\n2,"Bob\nthe second",\n\n"3",é,"x"\n4,5" pipe,\n5,"too",many,fields\n6,"open"x,\n7,last,one',
  );
  const csv = (...args: string[]) =>
    terminal.run('import', file, '--bucket', 'b', '--format', 'csv', '--key', 'id', '--data', data, ...args);
  const stopped = await csv();
  t.match(stopped, { code: 1, err: /:7: it is not CSV: field 2 has a quote but does not begin with one\n/ });
  const skipped = await csv('--on-error', 'skip', '--json');
  t.equal(skipped.code, 0);
  t.match(skipped.err, /resuming after line 6 [\s\S]*:8: it has 4 fields, the header 3\n[\s\S]*:9: .*goes on behind/);
  t.match(JSON.parse(skipped.out), { stored: 1, bad: 3, badLines: [{ line: 7 }, { line: 8 }, { line: 9 }] });
  const content = {
    1: ['{"id":"1","name":"Ann","note":"a, \\"b\\""}'],
    2: ['{"id":"2","name":"Bob\\nthe second","note":""}'],
    3: ['{"id":"3","name":"é","note":"x"}'],
    7: ['{"id":"7","name":"last","note":"one"}'],
  };
  t.strictSame(await contentOf(store()), content);
  t.strictSame(checkpoints(), []);
  t.match(JSON.parse((await csv('--on-error', 'skip', '--json')).out), { stored: 0, unchanged: 4, blank: 1 });
  t.strictSame(await contentOf(store()), content);

  writeFileSync(file, 'id;"na;me"\nx;"y;z"\n');
  t.equal((await csv('--separator', ';')).code, 0);
  t.strictSame((await contentOf(store())).x, ['{"id":"x","na;me":"y;z"}']);
  for (const [text, args, words] of [
    ['id,id\n', [], /names "id" twice/],
    ['name\n', [], /no field "id"; it has name/],
    ['"id\n', [], /not closed/],
    ['id\n', ['--separator', '""'], /one ASCII character/],
    ['id\n', ['--separator', '"'], /one ASCII character/],
    [Uint8Array.of(0xff), [], /not UTF-8/],
  ] as const) {
    writeFileSync(file, text);
    t.match(await csv(...args), { code: 2, err: words });
  }
});

// Goal: what is written by the rules of RFC 4180 is read as it was, however the file is cut into chunks.
test('CSV of any fields is read back, with the number of each line', async (t) => {
  const field = fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r\n', 'a', 'é', ' '), maxLength: 5 });
  const records = fc.array(fc.array(field, { minLength: 1, maxLength: 4 }), { maxLength: 6 });
  const property = fc.asyncProperty(
    records,
    fc.array(fc.nat(8)),
    fc.constantFrom('\n', '\r\n'),
    async (rows, cuts, end) => {
      const quoted = rows.map((row) => row.map((text) => `"${text.replaceAll('"', '""')}"`).join(','));
      const bytes = Buffer.from(quoted.map((row) => row + end).join(''));
      const chunks = (async function* () {
        let at = 0;
        for (const cut of cuts) {
          yield bytes.subarray(at, at + cut);
          at += cut;
        }
        yield bytes.subarray(at);
      })();
      let index = 0;
      let number = 1;
      for await (const line of linesOf(chunks, { offset: 0, line: 0 }, 1_000, csvEnds(','))) {
        const fields = fieldsOf(Buffer.from(line.bytes!).toString(), ',');
        if (JSON.stringify(fields) !== JSON.stringify(rows[index]) || line.number !== number) return false;
        number += quoted[index]!.split('\n').length;
        if (line.lastNumber !== number - 1) return false;
        index++;
      }
      return index === rows.length;
    },
  );
  await fc.assert(property, {
    interruptAfterTimeLimit: Number(process.env.QUORAL_PROPERTY_MS ?? 2_000),
    numRuns: 500,
  });
  t.pass('each record had its fields and numbers');
});

for (const target of ['--data', '--url'] as const) {
  test(`what is exported with ${target} is imported as it was, once`, async (t) => {
    const terminal = new FakeTerminal();
    const directory = t.testdir();
    const [data, copy, file] = [`${directory}/store`, `${directory}/copy`, `${directory}/export.ndjson`];
    const remote = new WatchedStore();
    const service = await serveHttp(remote, { port: 0 });
    t.teardown(() => service.close());
    const source = target === '--url' ? remote : await terminal.openStore({ path: data });
    const bucket = source.bucket('b');
    // Over HTTP each value is a request.
    const count = target === '--url' ? 300 : 2_000;
    const keys = Array.from({ length: count }, (_, i) => `key${i}`);
    await Promise.all(keys.map((key) => bucket.put(key, Buffer.from(`value of ${key}`))));
    const binary = Uint8Array.of(0, 0xff, 0x80);
    await bucket.put(binary, binary, { contentType: 'image/png', metadata: { colour: 'red' } });
    await bucket.put('twice', Buffer.from('"1"'), { contentType: 'application/json' });
    await bucket.put('twice', Buffer.from('2\n'));
    await bucket.put('gone', Buffer.from('x'));
    await bucket.delete('gone');

    const where = target === '--url' ? ['--url', service.url] : ['--data', data];
    const exported = await terminal.run('export', file, '--bucket', 'b', '--json', ...where);
    t.equal(exported.code, 0, exported.err);
    t.match(JSON.parse(exported.out), { file, keys: count + 2 });
    const text = readFileSync(file, 'utf8');
    t.equal(text.split('\n').length, count + 3);
    const streamed = await terminal.run('export', '-', '--bucket', 'b', ...where);
    t.equal(streamed.out, text);

    const again = () => terminal.run('import', file, '--bucket', 'b', '--format', 'export', '--data', copy, '--json');
    t.match(JSON.parse((await again()).out), { lines: count + 2, stored: count + 2, unchanged: 0 });
    t.match(JSON.parse((await again()).out), { lines: count + 2, stored: 0, unchanged: count + 2 });
    const contents = async (store: WatchedStore) => {
      store.closed = false;
      const found: unknown[] = [];
      for await (const { key, siblings } of store.bucket('b').scan({ values: true })) {
        found.push([
          key,
          siblings!.map(({ value, contentType, metadata }) => [Buffer.from(value), contentType, metadata]),
        ]);
      }
      return found;
    };
    t.strictSame(await contents(terminal.stores.get(copy)!), await contents(source));

    // Of a changed key, all is replaced.
    await terminal.stores.get(copy)!.bucket('b').put('twice', Buffer.from('3'));
    t.match(JSON.parse((await again()).out), { stored: 1, unchanged: count + 1 });
    t.strictSame(await contents(terminal.stores.get(copy)!), await contents(source));
  });
}

test('NDJSON and CSV are exported as they were imported; what has no such form is named', async (t) => {
  const { terminal, file, data, store } = setUp(t, 'id,na;me,note\nb,"a, ""b""",\n\na,é,"x\ny"\n"c",,\n');
  const out = `${file}.out`;
  const where = ['--bucket', 'b', '--data', data];
  const imported = await terminal.run('import', file, '--format', 'csv', '--key', 'id', ...where);
  t.equal(imported.code, 0, imported.err);
  const exported = async (format: string, ...args: string[]) => {
    const { code, err } = await terminal.run('export', out, '--format', format, ...where, ...args);
    return code === 0 ? readFileSync(out, 'utf8') : `${code} ${err}`;
  };
  t.equal(await exported('csv'), 'id,na;me,note\na,é,"x\ny"\nb,"a, ""b""",\nc,,\n');
  t.equal(await exported('csv', '--separator', ';'), 'id;"na;me";note\na;é;"x\ny"\nb;"a, ""b""";\nc;;\n');
  const ndjson = await exported('ndjson');
  t.equal(ndjson.split('\n')[1], '{"id":"b","na;me":"a, \\"b\\"","note":""}');

  // Each is read back as it was: nothing is left to do.
  const forms = [
    ['csv', await exported('csv')],
    ['ndjson', ndjson],
  ] as const;
  for (const [format, text] of forms) {
    writeFileSync(file, text);
    const again = await terminal.run('import', file, '--format', format, '--key', 'id', '--json', ...where);
    t.match(JSON.parse(again.out), { stored: 0, unchanged: 3, bad: 0 });
  }

  const bucket = store().bucket('b');
  const put = async (json: string) => {
    store().closed = false;
    await bucket.put('d', Buffer.from(json), { causalContext: (await bucket.get('d')).causalContext });
  };
  for (const [json, format, words] of [
    ['{"id":"d","na;me":1,"note":null}', 'csv', /\nd,1,\n$/],
    [
      '{"id":"d"}',
      'csv',
      /^1 what was written is kept.*\nquoral: d cannot be exported as csv: its fields are id, the header's id, na;me, note;/,
    ],
    [
      '{"id":"d","na;me":"","note":[1]}',
      'csv',
      /^1 what was written is kept.*\nquoral: d cannot .*: its field "note" is a list or an object;/,
    ],
    [
      '[1]',
      'ndjson',
      /^1 what was written is kept.*\nquoral: d cannot be exported as ndjson: its value is no JSON object;/,
    ],
    [
      'milk',
      'ndjson',
      /^1 what was written is kept.*\nquoral: d cannot .*: its value is not JSON; pass --on-error skip, or leave --format out/,
    ],
    [
      '{"id":"d","id":"e","note":""}',
      'csv',
      /^1 what was written is kept.*\nquoral: d cannot .*: it has two fields "id"/,
    ],
    [
      '{"id":"\\ud800","na;me":1,"note":1}',
      'csv',
      /^1 what was written is kept.*\nquoral: d cannot .*: its field "id" has no form in UTF-8/,
    ],
    // Numbers as they stand, however large or exact.
    ['{"id":90071992547409931234,"na;me":1.10,"note":-1e400}', 'csv', /\n90071992547409931234,1.10,-1e400\n$/],
    ['{"id":"d", "n":9007199254740993.0}', 'ndjson', /\n\{"id":"d", "n":9007199254740993\.0\}\n$/],
    ['{\r\n  "id": "a \\" b",\n  "n": [1e2, -0]\n}\n', 'ndjson', /\n\{"id":"a \\" b","n":\[1e2,-0\]\}\n$/],
  ] as const) {
    await put(json);
    t.match(await exported(format), words);
  }
  store().closed = false;
  await bucket.put('d', Buffer.from('{}'));
  t.match(
    await exported('ndjson'),
    /^1 what was written is kept.*\nquoral: d cannot be exported as ndjson: it has 2 siblings;/,
  );
  t.equal(await exported('ndjson', '--on-error', 'skip'), ndjson);
  const skipping = ['export', '-', '--format', 'ndjson', '--on-error', 'skip', ...where];
  t.match(await terminal.run(...skipping), {
    code: 0,
    out: ndjson,
    err: /^d cannot be exported as ndjson: it has 2 siblings\n3 keys exported, 1 unfit for ndjson left out, in /,
  });
  skipping[1] = out;
  t.match(JSON.parse((await terminal.run(...skipping, '--json')).out), { keys: 3, unfit: 1 });
  t.match(await exported('ndjson', '--separator', ';'), /^2 .*--separator is for --format csv/);
  t.match(await exported('ndjson', '--fields', 'id'), /^2 .*--fields is for --format csv/);
  t.match(await exported('csv', '--fields', 'id,"'), /^2 .*names with commas between.*not closed/);
  t.match(await exported('xml'), /^2 /);
  store().closed = false;
  await bucket.delete('d');
  t.equal(await exported('csv', '--fields', 'na;me,note,id'), 'na;me,note,id\né,"x\ny",a\n"a, ""b""",,b\n,,c\n');
  t.match(
    await exported('csv', '--fields', 'id'),
    /^1 quoral: a cannot .*: its fields are id, na;me, note, the header's id;/,
  );

  // Of nothing there is a header only if it is named; either way it can be taken back.
  for (const key of ['a', 'b', 'c']) {
    store().closed = false;
    await bucket.delete(key);
  }
  for (const [args, text] of [
    [['--fields', 'id,"na,me"', '--separator', ';'], 'id;na,me\n'],
    [[], ''],
  ] as const) {
    t.equal(await exported('csv', ...args), text);
    const back = ['import', out, '--format', 'csv', '--key', 'id', '--json', ...where, ...args.slice(2)];
    const taken = await terminal.run(...back);
    t.equal(taken.code, 0, taken.err);
    t.match(JSON.parse(taken.out), { lines: 0, stored: 0, bad: 0 });
  }
});

// Goal: whatever fields a record has, it is read back as it was.
test('CSV of any fields that is written is read back', async (t) => {
  const field = fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', 'a', 'é', ' ', '\ufeff'), maxLength: 5 });
  const fields = fc.array(field, { minLength: 1, maxLength: 4 });
  const property = fc.property(fields, fc.constantFrom(',', ';', '\t'), (record, between) => {
    const line = csvLine(record, between);
    const marked = line.startsWith('\ufeff');
    return (
      !marked && line.trim() !== '' && JSON.stringify(fieldsOf(line.slice(0, -1), between)) === JSON.stringify(record)
    );
  });
  fc.assert(property, { numRuns: 500 });
  t.pass('each record was as it was');
});

// Goal: whatever JSON is stored, its line is the same JSON, and no number has been touched.
test('JSON text stays what it was, on one line', (t) => {
  const number = fc.constantFrom('0', '-0', '1.10', '1e400', '-12345678901234567890.5', '1E+2');
  const white = fc.constantFrom('', ' ', '\n', '\r\n\t', '  ');
  const scalar = fc.oneof(
    number,
    fc.string({ unit: fc.constantFrom('"', '\\', '\n', ' ', ',', '}', 'é') }).map((text) => JSON.stringify(text)),
    fc.constantFrom('null', 'true', '{}', '[]', '[1.0, "]"]', '{"a": {"b" :[]}}'),
  );
  const members = fc.array(
    fc.tuple(
      white,
      scalar.filter((one) => one[0] === '"'),
      white,
      scalar,
      white,
    ),
  );
  const property = fc.property(members, white, (all, end) => {
    const object = `{${all.map(([a, name, b, value, c]) => `${a}${name}${b}:${c}${value}${a}`).join(',')}${end}}${end}`;
    const line = onOneLine(object);
    assert.doesNotMatch(line, /[\r\n]/);
    assert.deepEqual(JSON.parse(line), JSON.parse(object));
    if (!/[\r\n]/.test(object)) assert.equal(line, object);
    const found = all.map(([, name, , value]) => [JSON.parse(name), value]);
    assert.deepEqual(membersOf(object), found);
    assert.deepEqual(
      membersOf(line).map(([, value]) => value.replace(/\s/g, '')),
      found.map(([, value]) => value.replace(/\s/g, '')),
    );
  });
  fc.assert(property, { numRuns: 500, interruptAfterTimeLimit: 2_000 });
  t.pass('each text stayed');
  t.end();
});

// Goal: an export has every key once, however often it was stopped; until then the old file stands.
test('an export that was stopped leaves the old file, and is gone on with', async (t) => {
  const terminal = new FakeTerminal();
  const directory = t.testdir();
  const [data, file] = [`${directory}/store`, `${directory}/out`];
  const store = await terminal.openStore({ path: data });
  for (let i = 0; i < 100; i++) await store.bucket('b').put(`k${i}`, Buffer.from(i === 61 ? 'x' : `{"id":${i}}`));
  const exporting = (...args: string[]) => terminal.run('export', file, '--bucket', 'b', '--data', data, ...args);
  const failure = new QuorumNotMetError('1 of 2', { definite: true, quorum: 'r', got: 1, wanted: 2 });
  const failAfter = (entries: number) =>
    store.failures.push({ operation: 'scan', error: failure, after: store.given + entries + 1 });
  const beside = () => readdirSync(directory).filter((name) => name !== 'store');
  for (const form of [
    ['--format', 'export'],
    ['--format', 'csv', '--on-error', 'skip'],
  ]) {
    const anew = await exporting(...form, '--json');
    t.equal(anew.code, 0, anew.err);
    const whole = readFileSync(file, 'utf8');
    t.strictSame(beside(), ['out']);
    writeFileSync(file, 'old');

    // Nothing was dealt with: nothing is kept.
    failAfter(0);
    t.match(await exporting(...form), { code: 1, err: 'quoral: 1 of 2 (QUORUM_NOT_MET)\n' });
    t.strictSame(beside(), ['out']);

    failAfter(40);
    t.match(await exporting(...form), { code: 1, err: /^what was written is kept: .*--resume.*\nquoral: 1 of 2/ });
    let open = () => {};
    store.entryGate = new Promise((resolve) => {
      open = resolve;
    });
    const scans = store.calls.scan;
    const interrupted = exporting(...form, '--resume');
    while (store.calls.scan === scans) await new Promise((resolve) => setImmediate(resolve));
    terminal.signal();
    open();
    t.match(await interrupted, { code: 1, err: /^going on after 40 keys\n.*\nquoral: interrupted after 40 keys/ });
    t.equal(terminal.listens, false);
    t.equal(readFileSync(file, 'utf8'), 'old');
    t.strictSame(beside().sort(), ['out', 'out.part', 'out.part.json']);

    // What a process wrote that was killed before it remembered that is written again.
    terminal.tickMs = 600;
    failAfter(30);
    t.equal((await exporting(...form, '--resume')).code, 1);
    terminal.tickMs = 1;
    const mark = JSON.parse(readFileSync(`${file}.part.json`, 'utf8'));
    t.equal(mark.position.exported + mark.position.unfit, 70);
    appendFileSync(`${file}.part`, '{"key":"k9');

    // Somebody else's, or that of another export.
    t.match(await exporting('--resume', '--format', 'ndjson'), { code: 2, err: /is of another export/ });
    writeFileSync(`${file}.part.json`, JSON.stringify({ ...mark, pid: process.ppid }));
    for (const args of [['--resume'], []]) {
      t.match(await exporting(...form, ...args), { code: 2, err: /process \d+ is writing .*\/out already/ });
    }
    writeFileSync(`${file}.part.json`, JSON.stringify({ ...mark, pid: null }));

    const given = store.given;
    const resumed = await exporting(...form, '--resume', '--json');
    t.equal(resumed.code, 0, resumed.err);
    t.equal(store.given, given + 30);
    t.equal(readFileSync(file, 'utf8'), whole);
    const { keys, unfit } = JSON.parse(anew.out);
    t.match(JSON.parse(resumed.out), { file, keys, unfit });
    t.strictSame(beside(), ['out']);
  }

  // Nothing to go on from, also where only half of it is left; and without being asked it begins anew.
  for (const [left, args] of [
    [[], ['--resume']],
    [['.part'], ['--resume']],
    [['.part.json'], ['--resume']],
    [['.part', '.part.json'], []],
  ] as const) {
    failAfter(10);
    t.equal((await exporting()).code, 1);
    for (const end of ['.part', '.part.json'] as const) {
      if (!(left as readonly string[]).includes(end)) rmSync(`${file}${end}`);
    }
    const outcome = await exporting(...args);
    t.match(outcome, {
      code: 0,
      out: /^100 keys exported in /,
      err: args.length === 0 ? /^$/ : /^there is nothing to go on/,
    });
    t.equal(readFileSync(file, 'utf8').split('\n').length, 101);
    t.strictSame(beside(), ['out']);
  }
});

test('an export shows how far it is, and refuses what it cannot do', async (t) => {
  const terminal = new FakeTerminal();
  const directory = t.testdir();
  const data = `${directory}/store`;
  const store = await terminal.openStore({ path: data });
  for (let i = 0; i < 100; i++) await store.bucket('b').put(`k${i}`, Uint8Array.of(1));
  const exporting = (file: string, ...args: string[]) =>
    terminal.run('export', file, '--bucket', 'b', '--data', data, ...args);
  t.match(await exporting(`${directory}/no/where`), { code: 1, err: /^quoral: Cannot write [^\n]*ENOENT[^\n]*\n$/ });
  t.match(await exporting('-', '--json'), { code: 2 });
  t.match(await exporting('-', '--resume'), { code: 2, err: /--resume needs a file/ });

  terminal.isTTY = true;
  terminal.tickMs = 60;
  const shown = await exporting(`${directory}/out`);
  t.match(shown.out, /^100 keys exported in /);
  t.match(shown.err, /Kexporting: \d+ keys, \d+ keys\/s/);
});

// Goal: however a file is cut into chunks, its lines, their numbers and their places are the same.
test('lines do not depend on chunks', async (t) => {
  const line = fc.string({ maxLength: 6 }).map((text) => text.replaceAll('\n', 'n').replaceAll('\r', 'r'));
  const file = fc.tuple(fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n'))), line);
  const property = fc.asyncProperty(file, fc.array(fc.nat(8)), fc.nat(6), async ([lines, last], cuts, maxBytes) => {
    const bytes = Buffer.from(lines.map((parts) => parts.join('')).join('') + last);
    const chunks = (async function* () {
      let at = 0;
      for (const cut of cuts) {
        yield bytes.subarray(at, at + cut);
        at += cut;
      }
      yield bytes.subarray(at);
    })();
    const expected = last === '' ? lines.map(([text]) => text) : [...lines.map(([text]) => text), last];
    let end = 100;
    let number = 7;
    for await (const got of linesOf(chunks, { offset: 100, line: 7 }, maxBytes)) {
      const text = expected[number - 7]!;
      const fits = Buffer.byteLength(text) <= maxBytes;
      if (got.number !== ++number || got.start !== end) return false;
      if ((got.bytes === undefined ? undefined : Buffer.from(got.bytes).toString()) !== (fits ? text : undefined))
        return false;
      end = got.end;
    }
    return number === 7 + expected.length && end === 100 + bytes.length;
  });
  await fc.assert(property, {
    interruptAfterTimeLimit: Number(process.env.QUORAL_PROPERTY_MS ?? 2_000),
    numRuns: 2_000,
  });
  t.pass('each line had its number, place and bytes');
});

test('any bytes are a record, blank, or bad with a reason', (t) => {
  const property = fc.property(fc.uint8Array(), fc.constantFrom(...FORMATS), (bytes, format) => {
    const record = recordReader({ format, keyField: 'id', header: ['id', 'b'] })(bytes);
    return record === undefined || (typeof record === 'string' ? record.length > 0 : record.key.length > 0);
  });
  fc.assert(property, { interruptAfterTimeLimit: Number(process.env.QUORAL_PROPERTY_MS ?? 1_000), numRuns: 2_000 });
  t.pass('none threw');
  t.end();
});
