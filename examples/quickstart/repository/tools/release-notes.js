// Writes docs/statistics.md and the entry of CHANGELOG.md from what earlier tasks have handed on as inputs (MAOS_INPUT_…).
import { readFileSync, writeFileSync } from 'node:fs';
import { listPage } from './pages.js';

const input = (name) => process.env[`MAOS_INPUT_${name.toUpperCase()}`];
/** The outputs of a task with forEach come as a JSON array. */
const sum = (name) => JSON.parse(input(name)).reduce((total, value) => total + Number(value), 0);
const version = input('version');

const rates = JSON.parse(input('rates'));
const rows = [
  ['modules', input('modules')],
  ['imports between them', input('imports')],
  ['documented functions', sum('functions')],
  ['tests from examples', input('tests')],
  ['parseQuantity', `${rates[0]} calls a second`],
  ['shoppingList', `${rates[1]} calls a second`],
];
const table = rows.map(([name, value]) => `- ${name}: ${value}`);
writeFileSync('docs/statistics.md', `# Statistics\n\nOf version ${version}.\n\n${table.join('\n')}\n`);
listPage('statistics.md', 'figures of this version');

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const changelog = readFileSync('CHANGELOG.md', 'utf8');
if (!changelog.includes(`\n## ${version}\n`)) {
  const entry = [
    `## ${version}`,
    '',
    `- \`parseQty\` is now \`parseQuantity\`, \`formatQty\` is \`formatQuantity\` (${input('places')} places in ${input('files')} files).`,
    `- ${sum('functions')} functions are documented, and their ${input('tests')} examples are tests.`,
  ];
  writeFileSync('CHANGELOG.md', changelog.replace('# Changelog\n', `# Changelog\n\n${entry.join('\n')}\n`));
}
writeFileSync(
  'package.json',
  readFileSync('package.json', 'utf8').replace(`"version": "${manifest.version}"`, `"version": "${version}"`),
);
