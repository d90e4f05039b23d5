// Writes test/examples.test.js: every `expression // => value` in a doc comment becomes a test.
import { writeFileSync } from 'node:fs';
import { exportedFunctions, handOn, sourceFiles } from './source.js';

const functions = sourceFiles('src').flatMap(exportedFunctions);
const examples = functions.flatMap(({ name, examples: lines }) => lines.map((line) => ({ name, line })));

function testOf({ name, line }) {
  const [expression, value] = line.split(' // => ');
  if (value === undefined)
    throw new Error(`The example "${line}" of ${name} does not say what comes out: add // => value`);
  return [`test(${JSON.stringify(expression)}, () => {`, `  assert.deepEqual(${expression}, ${value});`, '});', ''];
}

const lines = [
  '// Generated from the examples in doc comments by tools/examples-to-tests.js.',
  "import assert from 'node:assert/strict';",
  "import { test } from 'node:test';",
  `import { ${[...new Set(examples.map(({ name }) => name))].sort().join(', ')} } from '../src/index.js';`,
  '',
  ...examples.flatMap(testOf),
];
writeFileSync('test/examples.test.js', lines.join('\n'));
handOn({ tests: examples.length });
