/** Which error a caller gets for which failure. */
import assert from 'node:assert/strict';
import { QuorumNotMetError, QuorumUnavailableError } from '../../../src/base/errors.js';
import type { OperationFailure } from '../../../src/messages/coordinator-messages.js';
import { errorOf } from '../../../src/store/failures.js';
import { test } from '../../support/test.js';

const WHYS: readonly OperationFailure['why'][] = [
  'unavailable',
  'not-met',
  'timeout',
  'overloaded',
  'corrupt',
  'storage',
  'storage-full',
  'too-many-siblings',
  'object-too-large',
  'precondition-failed',
  'voided',
  'died',
];

// Goal: a put of which an earlier try may be stored is never said to have stored nothing, whatever refused the last try.
test("a put's error is definite exactly where its failure is; a read's always", () => {
  for (const why of WHYS) {
    for (const definite of [true, false]) {
      const failure: OperationFailure = { why, quorum: 'w', got: 1, wanted: 2, definite };
      const error = errorOf('put', failure, 100);
      assert.equal(error.definite, definite, `${why}: ${error.code}`);
      assert.match(error.message, definite ? /^(?!.*may be stored)/ : /the write may be stored all the same/);
      assert.equal(errorOf('get', failure, 100).definite, true, why);
    }
  }
  assert.equal(
    errorOf('put', { why: 'too-many-siblings', quorum: 'w', got: 0, wanted: 2, definite: true }, 100).code,
    'TOO_MANY_SIBLINGS',
  );
  assert.equal(
    errorOf('put', { why: 'too-many-siblings', quorum: 'w', got: 0, wanted: 2, definite: false }, 100).code,
    'QUORUM_NOT_MET',
  );
});

test('what was not met is named, with its own count', () => {
  const message = (failure: Omit<OperationFailure, 'got' | 'wanted' | 'definite'>, definite = false) => {
    const error = errorOf(
      failure.quorum.endsWith('r') ? 'get' : 'put',
      { ...failure, got: 1, wanted: 2, definite },
      100,
    );
    assert(error instanceof QuorumNotMetError || error instanceof QuorumUnavailableError);
    assert.deepEqual([error.quorum, error.got, error.wanted], [failure.quorum, 1, 2]);
    return error.message;
  };
  assert.equal(message({ why: 'not-met', quorum: 'r' }), 'r: 1 of 2 replicas answered');
  assert.match(message({ why: 'not-met', quorum: 'w' }), /^w: 1 of 2 replicas stored the write; the write may be/);
  assert.match(message({ why: 'not-met', quorum: 'pw' }), /^pw: 1 of 2 primaries stored the write; /);
  assert.match(message({ why: 'not-met', quorum: 'dw' }), /^dw: 1 of 2 replicas flushed the write to disk; /);
  assert.match(
    message({ why: 'unavailable', quorum: 'pr' }, true),
    /^pr: 1 of the 2 primaries asked for can be reached;/,
  );
});
