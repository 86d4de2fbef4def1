#!/usr/bin/env node
/**
 * Reads TAP on standard input and prints one line per file, every failure with what tap knows of it, every test that
 * was skipped, and last `N passed, N failed`, counting single checks. Used by tap through `.taprc`.
 */
import { Parser } from 'tap-parser';

let passed = 0;
let failed = 0;
const skips = [];
const seconds = (ms) => `${((ms ?? 0) / 1_000).toFixed(1)} s`;

/** At once, not at the end: a run that is cut off has still told what failed. */
function fail({ fullname, diag }) {
  failed++;
  console.log(`\nFAILED: ${fullname}`);
  for (const [name, value] of Object.entries(diag ?? {})) console.log(describe(name, value));
}

function describe(name, value) {
  const text = typeof value === 'string' ? value.trimEnd() : JSON.stringify(value);
  return text.includes('\n') ? `  ${name}:\n    ${text.replaceAll('\n', '\n    ')}` : `  ${name}: ${text}`;
}

/** Counts the checks below `parser`; a test that has checks inside is not counted beside them. */
function count(parser) {
  let inner = null;
  parser.on('child', (child) => {
    inner = child;
    count(child);
  });
  parser.on('assert', (result) => {
    const summarizes = inner !== null && inner.count > 0;
    const failedInside = summarizes && inner.failures.length > 0;
    inner = null;
    if (result.skip || result.todo) skips.push(result);
    else if (!result.ok && !failedInside) fail(result);
    else if (result.ok && !summarizes) passed++;
  });
}

const root = new Parser({ preserveWhitespace: false }, (results) => {
  for (const { fullname, skip, todo } of skips) {
    console.log(`skipped: ${fullname} ${[skip, todo].filter((why) => typeof why === 'string').join(' ')}`);
  }
  // A run that broke off without a failed check (a timeout, a bail-out, no plan) is a failure all the same.
  if (failed === 0 && !results.ok) fail({ fullname: `the run itself: ${results.bailout || 'it did not end'}` });
  console.log(`${passed} passed, ${failed} failed`);
});
root.on('assert', ({ ok, name, time }) => console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds(time)})`));
count(root);
process.stdin.pipe(root);
