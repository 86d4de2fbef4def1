/** Checks of errors: every one that the store lets out has a code, says what to do, and whether something was stored. */
import assert from 'node:assert/strict';
import { type ErrorCode, QuoralError, QuorumNotMetError } from '../../src/index.js';

export interface Expected {
  readonly code: ErrorCode;
  readonly definite?: boolean;
  readonly message?: RegExp;
}

/** Runs `act`, which must throw or reject as expected; gives the error. */
export async function fails(act: () => unknown, expected: ErrorCode | Expected): Promise<QuoralError> {
  const { code, definite = true, message = /./ } = typeof expected === 'string' ? { code: expected } : expected;
  let result: unknown;
  try {
    result = await act();
  } catch (error) {
    assert(error instanceof QuoralError, `not an error of the store: ${error}`);
    assert.equal(error.code, code, error.message);
    assert.equal(error.definite, definite, error.message);
    assert.match(error.message, message);
    const words = code.split('_').map((word) => word[0] + word.slice(1).toLowerCase());
    assert.equal(error.name, `${words.join('')}Error`);
    return error;
  }
  assert.fail(`${code} was expected, not ${String(result)}`);
}

/**
 * `fails` for a put that everybody who may mint it refuses. Where its coordinator is silent for a while, as on a busy machine,
 * it is sent elsewhere, too, and that nothing is stored is not certain any more: then it is made once more.
 */
export async function refuses(put: () => Promise<unknown>, expected: ErrorCode | Expected): Promise<QuoralError> {
  for (;;) {
    const outcome = await put().then(
      () => 'it was accepted',
      (error: unknown) => error,
    );
    if (outcome instanceof QuorumNotMetError && /last try was refused/.test(outcome.message)) continue;
    return fails(() => (outcome instanceof Error ? Promise.reject(outcome) : outcome), expected);
  }
}
