/** Which options threads and children do not inherit. */
import assert from 'node:assert/strict';
import { withoutLoaders } from '../../../src/base/loaders.js';
import { test } from '../../support/test.js';

const versions = { node: '24.0.0' };

test('what is inherited stays as it is unless it loads modules', () => {
  for (const execArgv of [[], ['--max-old-space-size=100'], ['--inspect', '--imports=x', 'import']]) {
    for (const NODE_OPTIONS of [undefined, '', '--max-old-space-size=100', '"--title=--import" --trace-warnings']) {
      assert.deepEqual(withoutLoaders({ execArgv, env: { NODE_OPTIONS, HOME: '/' }, versions }), {});
    }
  }
});

test('loaders are left out, however they are given', () => {
  for (const option of ['--import', '--require', '-r', '--loader', '--experimental-loader']) {
    for (const execArgv of [
      [option, './a.js'],
      ['--inspect', `${option}=./a.js`],
    ]) {
      assert.deepEqual(withoutLoaders({ execArgv, env: { HOME: '/' }, versions }), { execArgv: [] });
    }
    // As the runner of these tests does: in quotes.
    for (const NODE_OPTIONS of [
      `${option} a.js`,
      `--inspect  ${option}=a.js`,
      `"${option}=/a b.js"`,
      `${option}="a.js"`,
    ]) {
      const own = withoutLoaders({ execArgv: [], env: { NODE_OPTIONS, HOME: '/' }, versions });
      assert.deepEqual(own, { env: { NODE_OPTIONS: '', HOME: '/' } }, NODE_OPTIONS);
    }
  }
});

// Goal: a node starts where packages are not found without a loader.
test("under Plug'n'Play every loader stays, since it is what finds packages", () => {
  const NODE_OPTIONS = '--require /app/.pnp.cjs --experimental-loader file:///app/.pnp.loader.mjs';
  for (const execArgv of [[], ['--require', '/app/.pnp.cjs']]) {
    for (const env of [{}, { NODE_OPTIONS }]) {
      assert.deepEqual(withoutLoaders({ execArgv, env, versions: { ...versions, pnp: '3' } }), {});
    }
  }
});
