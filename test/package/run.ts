/**
 * The package as a newcomer gets it: packed, installed into an empty folder, used from plain JavaScript, from strict
 * TypeScript and from the command line. Uses npm and the registry, so it is a step of its own and no part of the tests.
 * The compiler is the repository's own, on the newcomer's files: another one would take half a minute to install.
 *
 *     npm run package
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const TYPESCRIPT = join(ROOT, 'node_modules/typescript/bin/tsc');

/** Runs a program to its end; gives what it wrote. */
async function run(cwd: string, program: string, ...args: string[]): Promise<string> {
  try {
    return (await promisify(execFile)(program, args, { cwd })).stdout;
  } catch (error) {
    // A compiler tells what is wrong on its standard output.
    const { stdout = '', message } = error as Error & { stdout?: string };
    throw new Error(`${message}\n${stdout}`, { cause: error });
  }
}

const JAVASCRIPT = `
import assert from 'node:assert/strict';
import { open, ConflictError } from 'quoral';

const store = await open({ path: './data', nodes: 3 });
const carts = store.bucket('carts', { codec: 'json' });
await carts.put('alice', ['milk']);
await carts.put('alice', ['bread']);
const read = await carts.get('alice');
assert.equal(read.siblings.length, 2);
assert.throws(() => read.value, ConflictError);
await carts.put('alice', ['milk', 'bread'], { causalContext: read.causalContext });
assert.deepEqual((await carts.get('alice')).value, ['milk', 'bread']);
await assert.rejects(carts.get('alice', { r: 9 }), { code: 'INVALID_ARGUMENT', definite: true });
await store.close();
console.log('javascript');
`;

const TYPED = `
import { type Bucket, open, type PutOptions, QuoralError, type Store } from 'quoral';

interface Cart {
  readonly items: readonly string[];
}

await using store: Store = await open({ nodes: 3, r: 'quorum' });
const carts: Bucket<Cart> = store.bucket<Cart>('carts', {
  codec: 'json',
  resolution: 'merge',
  merge: (siblings) => ({ items: siblings.flatMap(({ value }) => value.items) }),
});
const options: PutOptions = { w: 'all', metadata: { by: 'me' } };
await carts.put('alice', { items: ['milk'] }, options);
await carts.put('alice', { items: ['bread'] }, options);
const { value } = await carts.get('alice');
if (value?.items.join() !== 'milk,bread') throw new Error('not merged');
try {
  // @ts-expect-error There is no such option.
  await carts.get('alice', { replicas: 3 });
  throw new Error('accepted');
} catch (error) {
  if (!(error instanceof QuoralError) || error.code !== 'INVALID_ARGUMENT') throw error;
}
for await (const { key, value: cart } of carts.scan({ values: true })) {
  const items: readonly string[] | undefined = cart?.items;
  if (key !== 'alice' || items?.length !== 2) throw new Error('not listed');
}
console.log('typescript');
`;

const STRICT = {
  compilerOptions: {
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
    ...{ target: 'es2022', module: 'nodenext', types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] },
  },
};

/** What the README's pieces of programs take as given. */
const GIVEN = `import { Worker } from 'node:worker_threads';
import type { Store } from 'quoral';
declare const store: Store;
export { Worker };
`;

/** The README's programs, each a file of its own; a line `// name.ts: …` begins another one. The first is whole. */
function programsOf(readme: string): string[] {
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block]) => block!);
  const programs = blocks.flatMap((block) => block.split(/^(?=\/\/ \w+\.ts)/m)).filter((text) => text.trim() !== '');
  return programs.map((program) => (/^(await using|const) store = /m.test(program) ? program : GIVEN + program));
}

const folder = await mkdtemp(join(tmpdir(), 'quoral-package-'));
try {
  // Built already; packing would otherwise begin with a build of its own.
  await run(ROOT, 'npm', 'pack', '--ignore-scripts', '--pack-destination', folder);
  const [tarball] = await readdir(folder);
  assert(tarball !== undefined);
  const listed = (await run(folder, 'tar', '-tzf', tarball)).trim().split('\n');
  for (const file of [
    'package.json',
    'README.md',
    'LICENSE',
    'dist/src/index.js',
    'dist/src/index.d.ts',
    'dist/actors/worker.js',
  ]) {
    assert(listed.includes(`package/${file}`), `${file} is not in the package`);
  }
  const foreign = listed.filter((file) => {
    return (
      /^package\/((dist\/)?(test|benchmarks|node_modules)|dist\/examples)\//.test(file) && !file.endsWith('README.md')
    );
  });
  assert.deepEqual(foreign, [], 'what nobody needs is in the package');

  // What a page of the package links to is in the package.
  for (const page of listed.filter((file) => file.endsWith('.md'))) {
    const text = await run(folder, 'tar', '-xzOf', tarball, page);
    for (const [, link] of text.matchAll(/\]\(([^)#:]+)\)/g)) {
      const target = posix.join(posix.dirname(page), link!);
      const isThere = listed.some((file) => file === target || file.startsWith(`${target.replace(/\/$/, '')}/`));
      assert(isThere, `${page} links to ${link}, which is not in the package`);
    }
  }

  const app = join(folder, 'app');
  await mkdir(app);
  await writeFile(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }));
  await run(app, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', join(folder, tarball));

  await writeFile(join(app, 'plain.js'), JAVASCRIPT);
  assert.equal(await run(app, process.execPath, 'plain.js'), 'javascript\n');

  await writeFile(join(app, 'typed.ts'), TYPED);
  const programs = programsOf(await readFile(join(ROOT, 'README.md'), 'utf8'));
  assert(programs.length >= 4, 'the README has programs');
  for (const [index, program] of programs.entries()) await writeFile(join(app, `readme-${index}.ts`), program);
  const files = ['typed.ts', ...programs.map((_, index) => `readme-${index}.ts`)];
  await writeFile(join(app, 'tsconfig.json'), JSON.stringify({ ...STRICT, files }));
  await run(app, process.execPath, TYPESCRIPT, '-p', '.');
  assert.equal(await run(app, process.execPath, 'typed.js'), 'typescript\n');
  const first = join(folder, 'first');
  await mkdir(first);
  assert.equal(await run(first, process.execPath, join(app, 'readme-0.js')), "[ 'milk' ]\nalice [ 'milk', 'bread' ]\n");

  const quoral = (...args: string[]) => run(app, join(app, 'node_modules/.bin/quoral'), ...args);
  assert.match(await quoral('--version'), /^\d+\.\d+\.\d+\n$/);
  assert.equal(await quoral('scan', 'carts', '--values', '--data', './data'), 'alice\t["milk","bread"]\n');
  console.log(`${tarball}: ${listed.length} files; works from JavaScript, strict TypeScript and the command line`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
