/** Holds the project to the rules of the house, and shows that a file that breaks one is found. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { checkArchitecture, MAY_IMPORT, type Rule, type SourceFiles } from '../support/architecture.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TEXT = /\.(ts|js|mjs|json|md|sh|html|css|yml|yaml)$|^\.[\w/]+$/;

/** The project's own text files: what git tracks. */
function projectFiles(): SourceFiles {
  const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT });
  const deleted = execFileSync('git', ['ls-files', '-z', '--deleted'], { cwd: ROOT });
  const list = (output: Buffer) => output.toString().split('\0').filter(Boolean);
  const gone = new Set(list(deleted));
  const files = [...new Set(list(tracked))].filter((file) => TEXT.test(file) && !gone.has(file)).sort();
  return new Map(files.map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));
}

function show({ rule, file, detail }: { rule: Rule; file: string; detail: string }): string {
  return `${rule}: ${file}: ${detail}`;
}

/** A file that opens as it should, and then holds `lines`. */
function source(...lines: string[]): string {
  return ['/** What it is. */', ...lines, ''].join('\n');
}

test('the project keeps the rules of the house', (t) => {
  const files = projectFiles();
  for (const part of ['src/base/', 'src/ring/', 'src/quorum/', 'src/runtime/threads/', 'actors/', 'test/']) {
    t.ok(
      [...files.keys()].some((file) => file.startsWith(part)),
      `${part} is looked at`,
    );
  }
  const found = checkArchitecture(files).map(show);
  t.equal(found.length, 0, ['what breaks a rule:', ...found].join('\n'));
  t.end();
});

const SOUND: readonly (readonly [string, string])[] = [
  ['src/base/bytes.ts', source("import createXxhash from 'xxhash-wasm';", 'export const bytes = Buffer.alloc(1);')],
  ['src/ring/ring.ts', source("import { bytes } from '../base/bytes.js';", 'export const ring = bytes;')],
  ['src/quorum/get.ts', source("import { ring } from '../ring/ring.js';", 'export const get = ring;')],
  ['src/runtime/actor.ts', source('export interface Context { process: number; after(performance: number): void }')],
  ['src/runtime/threads/lane.ts', source("import 'node:worker_threads';", 'export const now = performance.now();')],
  ['src/runtime/simulator/clock.ts', source("import '../actor.js';", 'export const at = new Date(7).toISOString();')],
  ['src/messages/ask.ts', source("import type { Context } from '../runtime/actor.js';", 'export type Ask = Context;')],
  [
    'src/store/open.ts',
    source(
      "import '../runtime/threads/lane.js';",
      "export const entry = new URL('../../actors/worker.js', import.meta.url);",
    ),
  ],
  ['src/service/http/server.ts', source("import '../../store/open.js';", 'process.exitCode = 0;')],
  [
    'actors/vnode.ts',
    source("import { get } from '../src/quorum/get.js';", 'export const context = { process: get };'),
  ],
  [
    'actors/worker.ts',
    source("import '../src/runtime/threads/lane.js';", "import './vnode.js';", 'process.exitCode = 1;'),
  ],
  ['test/unit/vnode.test.ts', "import '../../actors/vnode.js';\nsetTimeout(() => {}, 0);\n"],
];

test('a house in order has nothing to report', (t) => {
  t.strictSame(checkArchitecture(new Map(SOUND)).map(show), []);
  t.end();
});

/** One broken file each: the rule that must be named, the file, its lines. */
const PLANTED: readonly (readonly [Rule, string, ...string[]])[] = [
  // Imports go down only.
  ['dependency', 'src/base/up.ts', "import '../ring/ring.js';"],
  ['dependency', 'src/base/up.ts', "import type { Context } from '../runtime/actor.js';"],
  ['dependency', 'src/clocks/up.ts', "import '../objects/merge.js';"],
  ['dependency', 'src/objects/up.ts', "export * from '../codec/record.js';"],
  ['dependency', 'src/messages/up.ts', "const store = await import('../store/open.js');"],
  ['dependency', 'src/messages/up.ts', "export type Lane = import('../runtime/threads/lane.js').Lane;"],
  ['dependency', 'src/store/up.ts', "import '../service/http/server.js';"],
  ['dependency', 'src/index.ts', "import './service/http/server.js';"],
  ['dependency', 'actors/up.ts', "import '../src/store/open.js';"],
  // The wings never import each other.
  ['dependency', 'src/ring/wing.ts', "import '../storage/storage.js';"],
  ['dependency', 'src/quorum/wing.ts', "import '../runtime/actor.js';"],
  ['dependency', 'src/runtime/wing.ts', "import '../ring/ring.js';"],
  ['dependency', 'src/storage/wing.ts', "import '../codec/record.js';"],
  ['dependency', 'src/storage/wing.ts', "import '../runtime/actor.js';"],
  // The ring is on its own; protocols never import one another.
  ['dependency', 'src/ring/other.ts', "import '../clocks/event-id.js';"],
  ['dependency', 'src/quorum/other.ts', "import '../membership/gossip.js';"],
  ['dependency', 'src/hinted-handoff/other.ts', "import '../quorum/get.js';"],
  ['dependency', 'src/anti-entropy/other.ts', "import '../transfer/plan.js';"],
  ['dependency', 'src/membership/other.ts', "import '../anti-entropy/tree.js';"],
  ['dependency', 'src/transfer/other.ts', "import '../hinted-handoff/deliver.js';"],
  // The runtimes never import each other; actors know neither.
  ['dependency', 'src/runtime/threads/twin.ts', "import '../simulator/clock.js';"],
  ['dependency', 'src/runtime/simulator/twin.ts', "import '../threads/lane.js';"],
  ['dependency', 'src/runtime/twin.ts', "import './threads/lane.js';"],
  ['dependency', 'actors/twin.ts', "import '../src/runtime/threads/lane.js';"],
  ['dependency', 'src/store/test.ts', "import '../../test/support/cluster.js';"],
  ['dependency', 'src/unheard-of/new.ts', "import '../base/bytes.js';"],
  ['actors-by-url', 'src/store/start.ts', "import '../../actors/worker.js';"],
  ['actors-by-url', 'src/simulation/cluster.ts', "import type { Vnode } from '../../actors/vnode.js';"],
  // No clocks, chance, timers or machine in pure code.
  ['clock', 'src/quorum/now.ts', 'export const now = Date.now();'],
  ['clock', 'src/quorum/now.ts', 'export const now = new Date();'],
  ['clock', 'src/quorum/now.ts', 'export const clock = Date;'],
  ['clock', 'src/messages/now.ts', 'export const now = performance.now();'],
  ['clock', 'actors/now.ts', "export const now = Date['now']();"],
  ['clock', 'src/runtime/simulator/now.ts', 'export const time = { performance };'],
  ['chance', 'src/ring/draw.ts', 'export const drawn = Math.random();'],
  ['chance', 'src/base/draw.ts', 'export const drawn = crypto.randomUUID();'],
  ['timer', 'src/admission/wait.ts', 'setTimeout(() => {}, 1);'],
  ['timer', 'actors/wait.ts', 'setInterval(() => {}, 1);'],
  ['timer', 'src/transfer/wait.ts', 'export const later = setImmediate;'],
  ['timer', 'src/codec/wait.ts', 'queueMicrotask(() => {});'],
  ['host', 'src/codec/machine.ts', "import { readFileSync } from 'node:fs';"],
  ['host', 'src/clocks/machine.ts', 'export const pid = process.pid;'],
  ['host', 'src/clocks/machine.ts', 'export const now = globalThis.setTimeout;'],
  ['host', 'actors/machine.ts', "console.log('hello');"],
  ['host', 'src/runtime/machine.ts', "import type { Worker as Thread } from 'node:worker_threads';"],
  ['host', 'actors/machine.ts', "import '../src/storage/lmdb-storage.js';"],
  ['host', 'src/runtime/simulator/machine.ts', "import type { File } from '../../storage/lmdb-file.js';"],
  ['package', 'src/objects/bought.ts', "import { pack } from 'msgpackr';"],
  ['package', 'actors/bought.ts', "import { open } from 'lmdb';"],
  // How files look.
  ['named-exports', 'src/ring/default.ts', 'export default 1;'],
  ['named-exports', 'test/support/default.ts', 'export default function anything() {}'],
  ['named-exports', 'src/ring/default.ts', 'const one = 1;', 'export { one as default };'],
  ['unfinished', 'src/ring/later.ts', `// ${'TO'}DO: the rest`],
  ['unfinished', 'actors/later.ts', `export const one = 1; /* ${'FIX'}ME */`],
  ['file-name', 'src/ring/ringClaim.ts', 'export const one = 1;'],
  ['file-name', 'src/ring/ring-utils.ts', 'export const one = 1;'],
  ['machine-path', 'README.md', `Data is in ${'/wo'}rk/main/data.`],
  ['machine-path', 'test/unit/some.test.ts', `export const path = '${'/ho'}me/someone/data';`],
];

for (const [rule, file, ...lines] of PLANTED) {
  test(`planted: ${rule} in ${file}: ${lines.join(' ')}`, (t) => {
    const found = checkArchitecture(new Map([...SOUND, [file, source(...lines)]]));
    t.strictSame(
      found.map((violation) => [violation.rule, violation.file]),
      [[rule, file]],
      found.map(show).join('\n'),
    );
    t.end();
  });
}

test('planted: a file that does not open with what it is', (t) => {
  for (const text of ['export const one = 1;\n', '// Not a doc comment.\nexport const one = 1;\n']) {
    t.strictSame(
      checkArchitecture(new Map([['src/ring/bare.ts', text]])).map(({ rule }) => rule),
      ['opening-comment'],
    );
  }
  t.strictSame(checkArchitecture(new Map([['src/cli/main.ts', `#!/usr/bin/env node\n${source()}`]])), []);
  t.end();
});

test('planted: circles of imports, each found once', (t) => {
  const circle = (names: string[]): SourceFiles =>
    new Map(
      names.map((name, i) => [
        `src/ring/${name}.ts`,
        source(`import {} from './${names[(i + 1) % names.length]}.js';`),
      ]),
    );
  for (const names of [['alone'], ['one', 'other'], ['one', 'two', 'three']]) {
    const found = checkArchitecture(circle(names));
    t.strictSame(
      found.map(({ rule }) => rule),
      ['cycle'],
      found.map(show).join('\n'),
    );
  }
  t.end();
});

test('between the parts of the house there is no circle, not even of types', (t) => {
  const reachable = (part: string, from: readonly string[] = []): string[] =>
    from.includes(part)
      ? from.slice()
      : MAY_IMPORT[part]!.flatMap((below) => [below, ...reachable(below, [...from, part])]);
  const circular = Object.keys(MAY_IMPORT).filter((part) =>
    MAY_IMPORT[part]!.some((below) => below !== part && reachable(below).includes(part)),
  );
  t.strictSame(circular, []);
  t.end();
});

test('every rule has been broken on purpose above', (t) => {
  const rules: Record<Rule, true> = {
    dependency: true,
    'actors-by-url': true,
    package: true,
    cycle: true,
    clock: true,
    chance: true,
    timer: true,
    host: true,
    'named-exports': true,
    'opening-comment': true,
    unfinished: true,
    'file-name': true,
    'machine-path': true,
  };
  const planted = new Set<string>([...PLANTED.map(([rule]) => rule), 'opening-comment', 'cycle']);
  t.strictSame(
    Object.keys(rules).filter((rule) => !planted.has(rule)),
    [],
  );
  t.end();
});
