/** Which options threads and children do not inherit. */
import assert from 'node:assert/strict';
import { withoutLoaders } from '../../../src/base/loaders.js';
import { test } from '../../support/test.js';

test('what is inherited stays as it is unless it loads modules', () => {
  for (const execArgv of [[], ['--max-old-space-size=100'], ['--inspect', '--imports=x', 'import']]) {
    for (const NODE_OPTIONS of [undefined, '', '--max-old-space-size=100', '"--title=--import" --trace-warnings']) {
      assert.deepEqual(withoutLoaders({ execArgv, env: { NODE_OPTIONS, HOME: '/' } }), {});
    }
  }
});

test('loaders are left out, however they are given', () => {
  for (const option of ['--import', '--require', '-r', '--loader', '--experimental-loader']) {
    for (const execArgv of [
      [option, './a.js'],
      ['--inspect', `${option}=./a.js`],
    ]) {
      assert.deepEqual(withoutLoaders({ execArgv, env: { HOME: '/' } }), { execArgv: [] });
    }
    // As the runner of these tests does: in quotes.
    for (const NODE_OPTIONS of [
      `${option} a.js`,
      `--inspect  ${option}=a.js`,
      `"${option}=/a b.js"`,
      `${option}="a.js"`,
    ]) {
      const own = withoutLoaders({ execArgv: [], env: { NODE_OPTIONS, HOME: '/' } });
      assert.deepEqual(own, { env: { NODE_OPTIONS: '', HOME: '/' } }, NODE_OPTIONS);
    }
  }
});
