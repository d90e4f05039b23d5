// Builds dist/ (not in git): README.md and every page of docs/ as HTML.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { handOn } from './source.js';

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function inline(text) {
  return escape(text)
    .replaceAll(/`([^`]+)`/g, '<code>$1</code>')
    .replaceAll(
      /\[([^\]]+)\]\(([^)]+)\)/g,
      (_, label, target) => `<a href="${target.replace(/\.md$/, '.html')}">${label}</a>`,
    );
}

function block(text) {
  const [first = ''] = text.split('\n');
  const heading = /^(#+) (.*)$/.exec(first);
  if (heading !== null) return `<h${heading[1].length}>${inline(heading[2])}</h${heading[1].length}>`;
  if (first.startsWith('```')) return `<pre>${escape(text.split('\n').slice(1, -1).join('\n'))}</pre>`;
  if (first.startsWith('- ')) {
    const items = text.split('\n').map((line) => `<li>${inline(line.slice(2))}</li>`);
    return `<ul>${items.join('\n')}</ul>`;
  }
  return text.trim() === '' ? '' : `<p>${inline(text)}</p>`;
}

/** Blocks are separated by empty lines, except inside a code block. */
function blocks(markdown) {
  const found = [[]];
  let code = false;
  for (const line of markdown.replaceAll(/<!--.*?-->\n?/g, '').split('\n')) {
    if (line.startsWith('```')) code = !code;
    if (line === '' && !code) found.push([]);
    else found.at(-1).push(line);
  }
  return found.map((lines) => lines.join('\n'));
}

function page(markdown) {
  return `<!doctype html>\n<meta charset="utf-8">\n${blocks(markdown).map(block).join('\n')}\n`;
}

rmSync('dist', { recursive: true, force: true });
const pages = ['README.md', ...readdirSync('docs').map((name) => `docs/${name}`)];
for (const path of pages) {
  const target = join('dist', path.replace(/\.md$/, '.html'));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, page(readFileSync(path, 'utf8')));
}
handOn({ pages: pages.length });
