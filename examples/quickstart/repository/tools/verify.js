// The last look: everything that is generated is what its generator makes now, and no old name is left.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { sourceFiles } from './source.js';

const node = (...args) => execFileSync(process.execPath, args, { stdio: 'inherit' });
delete process.env.MAOS_OUTPUT;
for (const module of ['convert', 'quantity', 'recipe']) node('tools/api-docs.js', module);
node('tools/import-graph.js');
node('tools/examples-to-tests.js');
const changed = execFileSync('git', ['status', '--porcelain'], { encoding: 'utf8' });
if (changed !== '') throw new Error(`Generated files are out of date:\n${changed}`);

const old = [...sourceFiles('src', 'test'), 'README.md'].filter((file) =>
  /\b(parse|format)Qty\b/.test(readFileSync(file, 'utf8')),
);
if (old.length > 0) throw new Error(`Old names are left in ${old.join(', ')}`);

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
if (!readFileSync('CHANGELOG.md', 'utf8').includes(`\n## ${version}\n`))
  throw new Error(`CHANGELOG.md does not know ${version}`);
console.log(`kitchen ${version} is in order; ${process.env.MAOS_INPUT_LINKS ?? 'unknown'} links work`);
