/** Who may open a data directory, and as what. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { t, test } from 'tap';
import { InvariantError } from '../../../src/base/assert.js';
import { type FixedOptions, openDataDirectory } from '../../../src/store/data-directory.js';
import { isLockFile, lockDirectory } from '../../../src/store/directory-lock.js';

const child = fileURLToPath(new URL('../../support/lock-child.js', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'quoral-directory-'));
t.teardown(() => rmSync(root, { recursive: true, force: true }));
let places = 0;
const place = (): string => join(root, `${++places}`);
const emptyPlace = (): string => {
  const path = place();
  mkdirSync(path);
  return path;
};

const node = (name: string, path = name) => ({ name, path, zone: name, weight: 1 });
const options: FixedOptions = { nodes: ['a', 'b', 'c'].map((name) => node(name)), n: 3, partitions: 64 };
const ring = { version: 1, owners: [0, 1, 2] };
const create = () => ({ ...options, ring });
const mustNotCreate = (): never => {
  throw new InvariantError('The store is there already');
};
const files = (path: string): string[] => readdirSync(path).filter((name) => !isLockFile(name));

async function holder(path: string): Promise<ChildProcess> {
  const process_ = spawn(process.execPath, [child, 'hold', path], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(process_.stdout, 'data');
  return process_;
}

test('a directory has one owner in this process', async (t) => {
  const path = emptyPlace();
  const lock = await lockDirectory(path);
  const refusal = {
    code: 'LOCKED',
    definite: true,
    message: new RegExp(`open already in this process \\(${process.pid}\\)`),
  };
  await t.rejects(lockDirectory(path), refusal);
  t.equal(readdirSync(path).length, 1, 'the refused one leaves nothing behind');
  lock.release();
  lock.release();
  t.same(readdirSync(path), []);
  const again = await lockDirectory(path);
  lock.release(); // Of the old one: does nothing to the new.
  await t.rejects(lockDirectory(path), { code: 'LOCKED' });
  again.release();
});

test('another process is named, and a killed one is succeeded', async (t) => {
  const path = emptyPlace();
  const other = await holder(path);
  await t.rejects(lockDirectory(path), { code: 'LOCKED', message: new RegExp(`in use by process ${other.pid}:`) });
  other.kill('SIGKILL');
  await once(other, 'exit');
  const [left, ...others] = readdirSync(path);
  t.same(others, []);
  // Tells its start from ours, by which its id is told from a later process's.
  t.equal(left?.startsWith(`LOCK.${other.pid}.`), true);
  const own = await lockDirectory(emptyPlace());
  const ownName = readdirSync(join(root, `${places}`))[0]!;
  own.release();
  if (process.platform === 'linux') t.ok(Number(left!.split('.')[2]) > Number(ownName.split('.')[2]));
  const lock = await lockDirectory(path);
  t.equal(readdirSync(path).length, 1, 'and is removed');
  lock.release();
});

test('claims of another boot, of an id used again, or of nobody are dead; of another container, alive', async (t) => {
  const path = emptyPlace();
  const probe = await lockDirectory(path);
  const own = readdirSync(path)[0]!;
  probe.release();
  const [, pid, start, boot, namespace, random] = own.split('.') as [string, string, string, string, string, string];
  const claimOf = (parts: string[]): string => ['LOCK', ...parts, random].join('.');
  const dead = [
    [pid, start, '00000000-1111-2222-3333-444444444444', namespace],
    [pid, `${Number(start) - 1}`, boot, namespace],
    ['4194305', start, boot, namespace], // Above the largest id that Linux gives.
  ];
  for (const parts of dead) writeFileSync(join(path, claimOf(parts)), '');
  writeFileSync(join(path, 'LOCKSMITH'), 'not a claim');
  const lock = await lockDirectory(path);
  t.equal(readdirSync(path).length, 2);
  t.ok(existsSync(join(path, 'LOCKSMITH')));
  lock.release();

  const foreign = claimOf([pid, start, boot, '1']);
  writeFileSync(join(path, foreign), '');
  await t.rejects(lockDirectory(path), { code: 'LOCKED', message: /another container.*remove .*LOCK\./ });
  rmSync(join(path, foreign));
  (await lockDirectory(path)).release();
});

// Goal: containers that share a volume need no help. Method: a claim is renamed as if it were of another pid namespace, in
// which nobody can be looked up.
test('an owner in another container is told from one that is gone', {
  skip: process.platform !== 'linux',
}, async (t) => {
  for (const path of [emptyPlace(), join(emptyPlace(), 'a'.repeat(120))]) {
    mkdirSync(path, { recursive: true });
    const other = await holder(path);
    const name = readdirSync(path)[0]!;
    const parts = name.split('.');
    parts[4] = '1';
    renameSync(join(path, name), join(path, parts.join('.')));
    await t.rejects(lockDirectory(path), { code: 'LOCKED', message: /of another container/ });
    other.kill('SIGSTOP');
    await t.rejects(lockDirectory(path), { code: 'LOCKED' }, 'one that stands still is alive');
    other.kill('SIGKILL');
    await once(other, 'exit');
    const lock = await lockDirectory(path);
    t.equal(readdirSync(path).length, 1);
    lock.release();
  }
});

// Goal: never two owners, however many come at once and however they end. Method: processes that contend, each failing
// if it meets another owner, over the claims that killed ones leave.
test('contending processes own the directory one at a time', async (t) => {
  const path = emptyPlace();
  const killed = await holder(path);
  const contenders = [1, 2, 3].map(() => spawn(process.execPath, [child, 'contend', path, '30'], { stdio: 'inherit' }));
  killed.kill('SIGKILL');
  const codes = await Promise.all(contenders.map(async (each) => (await once(each, 'exit'))[0]));
  t.same(codes, [0, 0, 0]);
  t.same(readdirSync(path), []);
});

test('a store is created once, and found again as it was', async (t) => {
  const path = join(place(), 'deep', 'data');
  const first = await openDataDirectory(path, {}, create);
  t.equal(first.isNew, true);
  t.match(first.manifest, { ...options, ring });
  t.equal(first.path, path);
  t.equal(first.nodePath(first.manifest.nodes[0]!), join(path, 'a'));
  t.same(files(path), ['quoral.json']);
  await t.rejects(openDataDirectory(path, {}, create), { code: 'LOCKED' });
  first.close();
  first.close();

  const second = await openDataDirectory(path, {}, mustNotCreate);
  t.equal(second.isNew, false);
  t.same(second.manifest, first.manifest);
  second.close();
  const third = await openDataDirectory(path, options, mustNotCreate);
  t.same(third.manifest, first.manifest);
  third.close();
});

test('other fixed options are refused by name, with both values', async (t) => {
  const path = place();
  (await openDataDirectory(path, {}, create)).close();
  const refused = (given: Partial<FixedOptions>, message: RegExp) =>
    t.rejects(openDataDirectory(path, given, mustNotCreate), { code: 'OPTIONS_MISMATCH', definite: true, message });
  await refused({ partitions: 128 }, /partitions: 64, not 128/);
  await refused({ n: 2 }, /n: 3, not 2/);
  await refused({ nodes: options.nodes.slice(1) }, /nodes: .*"a".*, not /);
  await refused({ nodes: options.nodes.map((each) => ({ ...each, zone: 'z' })) }, /nodes: /);
  await refused({ nodes: options.nodes.map((each) => ({ ...each, weight: 2 })) }, /nodes: /);
  t.same(files(path), ['quoral.json']);
  (await openDataDirectory(path, { partitions: 64 }, mustNotCreate)).close();
});

test('what is not a store is left alone', async (t) => {
  const path = emptyPlace();
  writeFileSync(join(path, 'thesis.txt'), 'years of work');
  const refused = { code: 'UNKNOWN_FORMAT', definite: true, message: /thesis\.txt.*new directory/ };
  await t.rejects(openDataDirectory(path, {}, mustNotCreate), refused);
  t.same(readdirSync(path), ['thesis.txt']);
  await t.rejects(openDataDirectory(join(path, 'thesis.txt'), {}, mustNotCreate), { code: 'INVALID_ARGUMENT' });
  await t.rejects(openDataDirectory(join(path, 'thesis.txt', 'x'), {}, mustNotCreate), { code: 'INVALID_ARGUMENT' });

  const cutShort = emptyPlace();
  mkdirSync(join(cutShort, 'lost+found'));
  writeFileSync(join(cutShort, 'quoral.json.new'), '{"format": 2, "id"');
  const opened = await openDataDirectory(cutShort, {}, create);
  t.equal(opened.isNew, true, 'a creation that was cut short is begun anew');
  t.same(files(cutShort).sort(), ['lost+found', 'quoral.json']);
  opened.close();
});

test('a manifest that is damaged or of another version is refused and kept', async (t) => {
  const path = place();
  (await openDataDirectory(path, {}, create)).close();
  const file = join(path, 'quoral.json');
  const good = readFileSync(file, 'utf8');
  const content = JSON.parse(good);
  const bad: [string, RegExp][] = [
    ['', /not JSON/],
    [good.slice(0, 100), /not JSON/],
    ['\0'.repeat(good.length), /not JSON/],
    ['null', /damaged/],
    ['[]', /damaged/],
    ['{}', /damaged/],
    [JSON.stringify({ ...content, format: 3 }), /format 3.*newer/],
    [JSON.stringify({ ...content, format: 1 }), /format 1.*export.*import/],
    [JSON.stringify({ ...content, format: '2' }), /damaged/],
    [JSON.stringify({ ...content, n: 0 }), /damaged/],
    [JSON.stringify({ ...content, partitions: '64' }), /damaged/],
    [JSON.stringify({ ...content, nodes: [] }), /damaged/],
    [JSON.stringify({ ...content, nodes: [{ name: 'a' }] }), /damaged/],
    [JSON.stringify({ ...content, ring: undefined }), /damaged/],
  ];
  for (const [text, message] of bad) {
    writeFileSync(file, text);
    await t.rejects(openDataDirectory(path, {}, mustNotCreate), { code: 'UNKNOWN_FORMAT', message }, text.slice(0, 40));
    t.equal(readFileSync(file, 'utf8'), text);
    t.same(readdirSync(path), ['quoral.json'], 'no lock is left');
  }
  writeFileSync(file, good);
  (await openDataDirectory(path, {}, mustNotCreate)).close();
});

test('no node keeps its data where the store keeps files of its own', async (t) => {
  for (const name of ['quoral.json', 'quoral.json.new', 'LOCK.1.2.x.y.0', 'LOCKER']) {
    const path = emptyPlace();
    const nodes = [node(name), node('b'), node('c')];
    const refused = { code: 'INVALID_ARGUMENT', message: /another name or path/ };
    await t.rejects(
      openDataDirectory(path, {}, () => ({ ...options, nodes, ring })),
      refused,
    );
    t.same(readdirSync(path), [], 'nothing was created');
    const elsewhere = [node(name, `data/${name}`), node('b'), node('c')];
    (await openDataDirectory(path, {}, () => ({ ...options, nodes: elsewhere, ring }))).close();
  }
});

test('a node elsewhere is locked, too', async (t) => {
  const disk = place();
  const nodes = [node('a'), node('b', disk)];
  const creating = () => ({ ...options, nodes, ring });
  const first = await openDataDirectory(place(), {}, creating);
  t.equal(first.nodePath(nodes[1]!), disk);
  const other = place();
  await t.rejects(openDataDirectory(other, {}, creating), { code: 'LOCKED' });
  t.same(readdirSync(other), [], 'nothing was created');
  first.close();
  (await openDataDirectory(other, {}, creating)).close();

  const same = () => ({ ...options, nodes: [node('a', disk), node('b', disk)], ring });
  await t.rejects(openDataDirectory(place(), {}, same), { code: 'INVALID_ARGUMENT' });
});

test('a node elsewhere is locked also where its path is relative', async (t) => {
  const [one, two, shared] = [place(), place(), place()];
  const nodes = [node('a', join('..', basename(shared)))];
  const given = () => ({ nodes, n: 1, partitions: 64, ring });
  const directory = await openDataDirectory(one, {}, given);
  t.match(readdirSync(shared), [/^LOCK/]);
  await t.rejects(openDataDirectory(two, {}, given), {
    code: 'LOCKED',
    message: new RegExp(`${shared} is open already`),
  });
  directory.close();
  t.match(readdirSync(shared), []);
});

test('a mistake in the creating code is not taken for a failing disk', async (t) => {
  const path = place();
  await t.rejects(openDataDirectory(path, {}, mustNotCreate), InvariantError);
  t.same(readdirSync(path), []);
});

// Goal: whoever names a wrong place hears at once what is wrong with it. Method: real ones; root, to whom everything is
// allowed, looks as nobody for a while.
test('a place where no store can be is refused at once, and says what to do', async (t) => {
  const file = place();
  writeFileSync(file, '');
  const wrong: [string, RegExp][] = [
    [file, /is not a directory/],
    [join(file, 'below'), /is not a directory/],
    [join(root, 'n'.repeat(300)), /is too long for a path/],
  ];
  // There, mkdir says that the directory above is missing.
  if (process.platform === 'linux') wrong.push(['/proc/quoral/data', /takes no directories: name another path/]);
  for (const [path, message] of wrong) {
    await t.rejects(openDataDirectory(path, {}, create), { code: 'INVALID_ARGUMENT', definite: true, message });
    const nodes = [node('a'), node('b', path)];
    await t.rejects(
      openDataDirectory(emptyPlace(), {}, () => ({ ...options, nodes, ring })),
      {
        code: 'INVALID_ARGUMENT',
        message: new RegExp(`^${path}`),
      },
    );
  }
  if (process.platform === 'win32') return;
  const [above, own] = [emptyPlace(), place()];
  (await openDataDirectory(own, {}, create)).close();
  for (const path of [above, own]) chmodSync(path, 0o555);
  chmodSync(root, 0o755);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid!(65_534);
  try {
    for (const [path, named] of [
      [join(above, 'data'), join(above, 'data')],
      [own, own],
    ] as const) {
      await t.rejects(openDataDirectory(path, {}, create), {
        code: 'STORAGE_FAILED',
        definite: true,
        message: new RegExp(`^${named} could not be opened: this process may not use it: correct its permissions`),
      });
    }
  } finally {
    if (isRoot) process.seteuid!(0);
    for (const path of [above, own]) chmodSync(path, 0o755);
  }
  (await openDataDirectory(own, {}, create)).close();
});
