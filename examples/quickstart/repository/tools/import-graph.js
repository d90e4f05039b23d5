// Writes docs/imports.md: which module imports which. A circle of imports is an error.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { listPage } from './pages.js';
import { handOn, sourceFiles } from './source.js';

const modules = sourceFiles('src');
const imports = new Map(modules.map((file) => [basename(file), importsOf(file)]));

function importsOf(file) {
  const found = readFileSync(file, 'utf8').matchAll(/^(?:import|export) [^;]*? from '\.\/([^']+)';$/gm);
  return [...found].map(([, name]) => name).sort();
}

/** The modules on the way round, when a module imports itself through others. */
function circle(name, path = []) {
  if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
  for (const next of imports.get(name) ?? []) {
    const found = circle(next, [...path, name]);
    if (found !== null) return found;
  }
  return null;
}

for (const name of imports.keys()) {
  const found = circle(name);
  if (found !== null) throw new Error(`These modules import each other in a circle: ${found.join(' → ')}`);
}

const edges = [...imports].flatMap(([from, targets]) => targets.map((to) => [from, to]));
const arrows = edges.map(([from, to]) => `  ${from} --> ${to}`);
writeFileSync('docs/imports.md', ['# Imports', '', '```mermaid', 'graph TD', ...arrows, '```', ''].join('\n'));
listPage('imports.md', 'which module imports which');
handOn({ modules: modules.length, imports: edges.length });
