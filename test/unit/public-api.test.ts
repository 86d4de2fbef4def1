/**
 * Whoever uses the package can name whatever its declarations speak of: every type in the signature of an export is itself
 * exported. (TypeDoc says the same in CI, a quarter of an hour later.)
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { test } from '../support/test.js';

const DECLARATIONS = fileURLToPath(new URL('../../src/', import.meta.url));
const INDEX = `${DECLARATIONS}index.d.ts`;
/** Exports what is the store's own, so that the test has something to see. */
const INNER = `${DECLARATIONS}store/store.d.ts`;

/** Of each type that an export speaks of and that is not exported itself, which export that is. */
function unnamed(program: ts.Program, entry: string): string[] {
  const checker = program.getTypeChecker();
  const own = (symbol: ts.Symbol): ts.Symbol =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const exported = new Set(
    checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(entry)!)!).map(own),
  );
  const missing = new Set<string>();
  for (const from of exported) {
    const visit = (node: ts.Node): void => {
      const name = ts.isTypeReferenceNode(node)
        ? node.typeName
        : ts.isExpressionWithTypeArguments(node)
          ? node.expression
          : ts.isTypeQueryNode(node)
            ? node.exprName
            : undefined;
      const found = name === undefined ? undefined : checker.getSymbolAtLocation(name);
      if (found !== undefined) {
        const symbol = own(found);
        const isOurs = symbol.declarations?.some((at) => at.getSourceFile().fileName.startsWith(DECLARATIONS)) ?? false;
        const isParameter = (symbol.flags & ts.SymbolFlags.TypeParameter) !== 0;
        if (isOurs && !isParameter && !exported.has(symbol)) missing.add(`${from.name} speaks of ${symbol.name}`);
      }
      ts.forEachChild(node, visit);
    };
    for (const declaration of from.declarations ?? []) visit(declaration);
  }
  return [...missing];
}

/** By interface of the API, what its members are called in the README. */
const TOLD = {
  ...{ Store: '', Bucket: '', Admin: 'admin.', OpenOptions: '', BucketOptions: '' },
  ...{ GetOptions: '', PutOptions: '', DeleteOptions: '', ScanOptions: '', ReadResult: '', Receipt: '' },
} as const;

/** Members of the API that a text does not name. */
function untold(program: ts.Program, text: string): string[] {
  const checker = program.getTypeChecker();
  const exports = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(INDEX)!)!);
  return Object.entries(TOLD).flatMap(([name, prefix]) => {
    const type = checker.getDeclaredTypeOfSymbol(exports.find((symbol) => symbol.name === name)!);
    const parts = type.isUnion() ? type.types : [type];
    const members = new Set(parts.flatMap((part) => part.getProperties().map((member) => member.name)));
    assert(members.size > 1, `${name} has members`);
    return [...members]
      .filter((member) => !member.startsWith('__@') && !new RegExp(`\\b${prefix}${member}\\b`).test(text))
      .map((member) => `${name}.${member}`);
  });
}

test('the README names every call, option and field of the API', () => {
  const program = ts.createProgram([INDEX], {
    ...{ target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, types: ['node'] },
    ...{ moduleResolution: ts.ModuleResolutionKind.NodeNext, skipLibCheck: true, noEmit: true },
  });
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  assert.deepEqual(untold(program, readme), []);
  assert(untold(program, readme.replaceAll('admin.crash', '')).includes('Admin.crash'));
});

test('every type that the exports speak of is exported', () => {
  const program = ts.createProgram([INDEX, INNER], {
    ...{ target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, types: ['node'] },
    ...{ moduleResolution: ts.ModuleResolutionKind.NodeNext, skipLibCheck: true, noEmit: true },
  });
  assert.deepEqual(unnamed(program, INDEX), []);
  assert(unnamed(program, INNER).includes('EmbeddedStore speaks of ApplicationStore'));
});
