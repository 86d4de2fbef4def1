/**
 * Whoever uses the package can name whatever its declarations speak of: every type in the signature of an export is itself
 * exported. (TypeDoc says the same in CI, a quarter of an hour later.)
 */
import assert from 'node:assert/strict';
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

test('every type that the exports speak of is exported', () => {
  const program = ts.createProgram([INDEX, INNER], {
    ...{ target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, types: ['node'] },
    ...{ moduleResolution: ts.ModuleResolutionKind.NodeNext, skipLibCheck: true, noEmit: true },
  });
  assert.deepEqual(unnamed(program, INDEX), []);
  assert(unnamed(program, INNER).includes('EmbeddedStore speaks of ApplicationStore'));
});
