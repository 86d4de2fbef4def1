/**
 * The rules of the house, as a function over a set of source files: which folder may import which, what pure code
 * may not touch, and how files look. `test/unit/architecture.test.ts` holds the project to them, and shows for each
 * that a file that breaks it is found.
 */
import { posix } from 'node:path';
import ts from 'typescript';

/** Source text by path, relative to the root of the project, with `/`. */
export type SourceFiles = ReadonlyMap<string, string>;

export type Rule =
  | 'dependency'
  | 'actors-by-url'
  | 'package'
  | 'cycle'
  | 'clock'
  | 'chance'
  | 'timer'
  | 'host'
  | 'named-exports'
  | 'opening-comment'
  | 'unfinished'
  | 'file-name'
  | 'machine-path';

export interface Violation {
  readonly rule: Rule;
  readonly file: string;
  readonly detail: string;
}

const CODECS = ['base', 'clocks', 'objects', 'data-types', 'codec'];
const PROTOCOLS = ['quorum', 'hinted-handoff', 'anti-entropy', 'membership', 'transfer'];
const PROTOCOL_WING = ['clocks', 'objects', 'data-types', 'codec', 'ring', ...PROTOCOLS, 'admission'];
const BELOW_ROOF = ['base', ...PROTOCOL_WING, 'metrics', 'storage', 'runtime', 'messages'];

/**
 * What each part of the house may import, besides itself: ground ← wings ← landing ← actors and roof. A part is a
 * folder of `src`, or the longest of its paths that stands here.
 */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  // Ground.
  base: [],
  // Protocol wing: pure. The protocols come last and do not know one another.
  clocks: ['base'],
  objects: ['base', 'clocks'],
  'data-types': ['base', 'clocks'],
  codec: ['base', 'clocks', 'objects', 'data-types'],
  ring: ['base'],
  ...Object.fromEntries(PROTOCOLS.map((protocol) => [protocol, [...CODECS, 'ring']])),
  admission: ['base'],
  // Machine wing: knows nothing of rings or quorums. The two runtimes do not know each other.
  metrics: ['base'],
  storage: ['base', 'metrics'],
  runtime: ['base', 'metrics'],
  'runtime/threads': ['base', 'metrics', 'runtime'],
  'runtime/simulator': ['base', 'metrics', 'runtime', 'storage'],
  // Landing.
  messages: ['base', ...PROTOCOL_WING, 'metrics', 'storage', 'runtime'],
  // Actors: only the entries of threads know that there are threads.
  actors: BELOW_ROOF,
  'actors/worker.ts': [...BELOW_ROOF, 'runtime/threads', 'actors'],
  'actors/tree-hasher.ts': [...BELOW_ROOF, 'runtime/threads', 'actors'],
  'actors/objects-checker.ts': BELOW_ROOF,
  // Roof.
  store: [...BELOW_ROOF, 'runtime/threads'],
  simulation: [...BELOW_ROOF, 'runtime/simulator', 'store'],
  service: ['base', 'metrics', 'store'],
  dashboard: ['base', 'metrics', 'store'],
  cli: ['base', 'metrics', 'store', 'service', 'dashboard', 'simulation'],
  'index.ts': ['base', 'store'],
};

/** Where nothing may tell the time, draw, wait or touch the machine. */
const PURE = new Set(['base', ...PROTOCOL_WING, 'metrics', 'runtime', 'runtime/simulator', 'messages', 'actors']);

/** Of threads and processes: made to touch the machine. */
const ENTRIES = new Set(['actors/worker.ts', 'actors/tree-hasher.ts', 'actors/objects-checker.ts']);

/** What pure code may know of a part that is not: the contract by which it is handed one. */
const CONTRACTS = new Set(['src/storage/storage.ts']);

/** What pure code needs from npm. */
const PURE_PACKAGES: Readonly<Record<string, readonly string[]>> = { base: ['xxhash-wasm'] };

/** Globals that pure code may not name, by the rule that they break. */
const FORBIDDEN_GLOBALS: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['performance', 'clock'],
  ['crypto', 'chance'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'].map((name): [string, Rule] => [name, 'timer']),
  ...['process', 'console', 'fetch', 'require', 'globalThis', 'Worker', 'MessageChannel'].map(
    (name): [string, Rule] => [name, 'host'],
  ),
]);

/** Every place where `files` break a rule, in the order of the files. */
export function checkArchitecture(files: SourceFiles): Violation[] {
  const violations: Violation[] = [];
  const imports = new Map<string, readonly string[]>();
  for (const [file, text] of files) {
    const report = (rule: Rule, detail: string) => violations.push({ rule, file, detail });
    checkMachinePaths(text, report);
    if (!file.endsWith('.ts')) continue;
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    const imported = importsOf(source);
    checkExports(source, report);
    const part = partOf(file);
    if (part === undefined) continue;
    const within = imported.filter(({ specifier }) => isRelative(specifier));
    imports.set(
      file,
      within.filter(({ typesOnly }) => !typesOnly).map(({ specifier }) => resolve(file, specifier)),
    );
    const targets = within.map(({ specifier }) => resolve(file, specifier));
    checkDependencies(file, part, targets, report);
    if (PURE.has(part)) checkPurity(source, part, imported, report);
    checkLooks(file, text, report);
  }
  return [...violations, ...cyclesOf(imports)];
}

type Report = (rule: Rule, detail: string) => void;

/** The part of the house to which `file` belongs, or undefined for tests, benchmarks and examples. */
function partOf(file: string): string | undefined {
  const path = file.startsWith('src/') ? file.slice('src/'.length) : file;
  if (path === file && !file.startsWith('actors/')) return undefined;
  const folders = path.split('/');
  for (let depth = folders.length; depth > 0; depth--) {
    const part = folders.slice(0, depth).join('/');
    if (Object.hasOwn(MAY_IMPORT, part)) return part;
  }
  // A folder that the table does not know may import nothing until it does.
  return folders[0];
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith('.');
}

/** The source that `specifier`, which names its compiled form, stands for. */
function resolve(file: string, specifier: string): string {
  return posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts');
}

interface Import {
  readonly specifier: string;
  /** True if nothing of it is left when the program runs. */
  readonly typesOnly: boolean;
}

/** What `source` imports: also types, re-exports and dynamic imports. */
function importsOf(source: ts.SourceFile): Import[] {
  const imports: Import[] = [];
  const add = (node: ts.Node | undefined, typesOnly: boolean) => {
    if (node !== undefined && ts.isStringLiteralLike(node)) imports.push({ specifier: node.text, typesOnly });
  };
  const visit = (node: ts.Node) => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.isTypeOnly === true);
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], false);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return imports;
}

function checkDependencies(file: string, part: string, targets: readonly string[], report: Report): void {
  const allowed = MAY_IMPORT[part] ?? [];
  for (const target of targets) {
    const targetPart = partOf(target);
    if (target.startsWith('actors/') && file.startsWith('src/')) {
      report('actors-by-url', `${target}: src names actors by URL only`);
    } else if (targetPart === undefined) {
      report('dependency', `${target}: src and actors import nothing from outside`);
    } else if (targetPart !== part && !allowed.includes(targetPart)) {
      report('dependency', `${target}: ${part} may not import ${targetPart}`);
    }
  }
}

function checkPurity(source: ts.SourceFile, part: string, imports: readonly Import[], report: Report): void {
  if (ENTRIES.has(source.fileName)) return;
  for (const { specifier } of imports) {
    if (specifier.startsWith('node:')) report('host', specifier);
    if (isRelative(specifier)) checkContract(resolve(source.fileName, specifier), report);
    else if (!specifier.startsWith('node:') && !PURE_PACKAGES[part]?.includes(specifier)) report('package', specifier);
  }
  const own = declaredNames(source);
  const visit = (node: ts.Node) => {
    if (ts.isIdentifier(node) && isReference(node) && !own.has(node.text)) {
      const rule = FORBIDDEN_GLOBALS.get(node.text);
      if (rule !== undefined) report(rule, node.text);
      else if (node.text === 'Math' && memberOf(node) === 'random') report('chance', 'Math.random');
      else if (node.text === 'Date' && readsClock(node)) report('clock', 'Date');
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
}

function checkContract(target: string, report: Report): void {
  const part = partOf(target);
  if (part === 'storage' && !CONTRACTS.has(target)) report('host', `${target}: only its contract is known here`);
}

/** The names that the file gives to its own things; a global of the same name is not meant then. */
function declaredNames(source: ts.SourceFile): Set<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node) => {
    const declares =
      ts.isVariableDeclaration(node) ||
      ts.isParameter(node) ||
      ts.isBindingElement(node) ||
      ts.isFunctionDeclaration(node) ||
      ts.isImportSpecifier(node) ||
      ts.isClassDeclaration(node);
    if (declares && node.name !== undefined && ts.isIdentifier(node.name)) names.add(node.name.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return names;
}

/** True where an identifier stands for a value: it is no member's name, no label of a field, no type. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isShorthandPropertyAssignment(parent)) return true;
  if (ts.isTypeReferenceNode(parent) || ts.isQualifiedName(parent)) return false;
  return !('name' in parent && parent.name === node) && !('propertyName' in parent && parent.propertyName === node);
}

function memberOf(node: ts.Identifier): string | undefined {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name.text;
  if (ts.isElementAccessExpression(parent) && ts.isStringLiteral(parent.argumentExpression)) {
    return parent.argumentExpression.text;
  }
  return undefined;
}

/** True for `Date.now`, `Date()`, `new Date()` and `Date` handed on; false for `new Date(ms)` and `Date.parse`. */
function readsClock(node: ts.Identifier): boolean {
  const member = memberOf(node);
  if (member !== undefined) return member === 'now';
  return !(ts.isNewExpression(node.parent) && (node.parent.arguments?.length ?? 0) > 0);
}

function checkExports(source: ts.SourceFile, report: Report): void {
  for (const statement of source.statements) {
    const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined;
    const isDefault =
      ts.isExportAssignment(statement) ||
      modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) === true ||
      (ts.isExportDeclaration(statement) &&
        statement.exportClause !== undefined &&
        ts.isNamedExports(statement.exportClause) &&
        statement.exportClause.elements.some(({ name }) => name.text === 'default'));
    if (isDefault) report('named-exports', 'a default export');
  }
}

function checkLooks(file: string, text: string, report: Report): void {
  if (!/^(#!.*\n)?\/\*\*/.test(text)) report('opening-comment', 'a file opens with a comment that says what it is');
  const unfinished = /\b(TODO|FIXME|XXX)\b/.exec(text);
  if (unfinished !== null) report('unfinished', unfinished[0]);
  const name = posix.basename(file, '.ts');
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) report('file-name', `${name} is not kebab-case`);
  if (/(^|-)(utils?|helpers?|manager)$/.test(name)) report('file-name', `${name} does not say what it is`);
}

// Put together here so that this file does not hold what it looks for.
const MACHINE_PATH = new RegExp(
  `(^|[^\\w.:/-])/(${['work', 'farm', 'tmp/wt', 'root', 'home/\\w+', 'Users/\\w+'].join('|')})/`,
  'm',
);

function checkMachinePaths(text: string, report: Report): void {
  const found = MACHINE_PATH.exec(text);
  if (found !== null) report('machine-path', found[0].trim());
}

/**
 * One violation for each import that closes a circle of files at run time. Types may refer to each other within one
 * part (two halves of one machine, say); between parts `MAY_IMPORT`, which has no circle, rules that out as well.
 */
function cyclesOf(imports: ReadonlyMap<string, readonly string[]>): Violation[] {
  const violations: Violation[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string) => {
    const start = path.indexOf(file);
    if (start >= 0) {
      violations.push({ rule: 'cycle', file: path.at(-1)!, detail: [...path.slice(start), file].join(' → ') });
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const target of imports.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of imports.keys()) visit(file);
  return violations;
}
