/**
 * What Biome does not see: promises that nobody waits for (its own rule misses those of comlink's proxies), and
 * `Atomics.wait`, which on the application's thread blocks everything without an error.
 */
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  { ignores: ['dist/', 'node_modules/', 'data/', '.tap/'] },
  {
    files: ['{src,actors,test,benchmarks,examples}/**/*.ts'],
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        // tap collects what its tests return; their promises settle with the file.
        { allowForKnownSafeCalls: [{ from: 'package', package: 'tap', name: ['test', 'teardown'] }] },
      ],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
    },
  },
  {
    // Tests may stop a worker of their own on purpose.
    files: ['{src,actors,benchmarks,examples}/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "CallExpression[callee.object.name='Atomics'][callee.property.name='wait']",
          message: 'Atomics.wait blocks the thread: use Atomics.waitAsync.',
        },
      ],
    },
  },
);
