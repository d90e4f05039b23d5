// node tools/api-docs.js MODULE writes docs/api-MODULE.md from the doc comments of src/MODULE.js.
import { writeFileSync } from 'node:fs';
import { listPage } from './pages.js';
import { exportedFunctions, handOn } from './source.js';

const [module] = process.argv.slice(2);
const functions = exportedFunctions(`src/${module}.js`);
const bare = functions.find(({ description }) => description === '');
if (bare !== undefined) throw new Error(`${bare.name} in src/${module}.js has no description`);

function parameter(text) {
  const [, type, name, about = ''] = /^\{(.*)\} (\w+)\s*([\s\S]*)$/.exec(text);
  return `- \`${name}\`: \`${type}\`${about === '' ? '' : `, ${about}`}`;
}

function returned(text) {
  const [, type, about = ''] = /^\{(.*)\}\s*([\s\S]*)$/.exec(text);
  return `Returns \`${type}\`${about === '' ? '' : `, ${about}`}.`;
}

function section({ name, description, params, returns, examples }) {
  const code = examples.length === 0 ? [] : ['', '```js', ...examples, '```'];
  const result = returns === undefined ? [] : ['', returned(returns)];
  return [`## ${name}`, '', description, '', ...params.map(parameter), ...result, ...code].join('\n');
}

writeFileSync(`docs/api-${module}.md`, `# ${module}\n\n${functions.map(section).join('\n\n')}\n`);
listPage(`api-${module}.md`, `${functions.length} functions of \`src/${module}.js\``);
handOn({ functions: functions.length });
