// Codemod: node tools/rename.js OLD=NEW … renames identifiers in sources and tests. Text in quotes and comments stays as it is,
// except for examples in doc comments and the name in an error message's template.
import { readFileSync, writeFileSync } from 'node:fs';
import { handOn, sourceFiles } from './source.js';

const names = new Map(process.argv.slice(2).map((pair) => pair.split('=')));
const token =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*(?=[.,;)\s])|[\p{ID_Start}$_][\p{ID_Continue}$]*/gu;
const word = /[\p{ID_Start}$_][\p{ID_Continue}$]*/gu;

function renamed(text) {
  let places = 0;
  const rename = (name) => {
    const next = names.get(name);
    if (next !== undefined) places += 1;
    return next ?? name;
  };
  const changed = text.replaceAll(token, (found) => {
    if (found.startsWith('`') || found.startsWith('/**')) return found.replaceAll(word, rename);
    return /^['"/]/.test(found) ? found : rename(found);
  });
  return { changed, places };
}

let files = 0;
let total = 0;
for (const file of sourceFiles('src', 'test')) {
  const before = readFileSync(file, 'utf8');
  const { changed, places } = renamed(before);
  if (places === 0) continue;
  writeFileSync(file, changed);
  files += 1;
  total += places;
  console.log(`${file}: ${places} places`);
}
// In prose every word counts.
const readme = readFileSync('README.md', 'utf8');
const prose = readme.replaceAll(word, (name) => names.get(name) ?? name);
if (prose !== readme) writeFileSync('README.md', prose);
handOn({ files, places: total });
