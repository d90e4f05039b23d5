// The list of pages in docs/README.md: one line a page, sorted.
import { readFileSync, writeFileSync } from 'node:fs';

const file = 'docs/README.md';

/** Adds a page to the list, or changes its line. */
export function listPage(path, about) {
  const [head, rest] = readFileSync(file, 'utf8').split('<!-- pages -->\n');
  const [list, tail] = rest.split('<!-- end -->');
  const others = list.split('\n').filter((line) => line !== '' && !line.includes(`](${path})`));
  const lines = [...others, `- [${path}](${path}): ${about}`].sort();
  writeFileSync(file, `${head}<!-- pages -->\n${lines.join('\n')}\n<!-- end -->${tail}`);
}
