// What the other tools know about the sources: which there are, and what their doc comments say.
import { appendFileSync, readFileSync, readdirSync } from 'node:fs';

/** Every JavaScript file in some folders, sorted. */
export function sourceFiles(...folders) {
  return folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.js'))
      .sort()
      .map((name) => `${folder}/${name}`),
  );
}

/** The exported functions of a file, with their doc comments taken apart. */
export function exportedFunctions(file) {
  const text = readFileSync(file, 'utf8');
  const documented = /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?^export function (\w+)\(/gm;
  return [...text.matchAll(documented)].map(([, comment = '', name]) => ({ name, ...readComment(comment) }));
}

function readComment(comment) {
  const plain = comment.replaceAll(/^\s*\* ?/gm, '').trim();
  const [description, ...tags] = plain.split(/^@/m).map((part) => part.trim());
  const of = (tag) => tags.filter((one) => one.startsWith(`${tag} `) || one.startsWith(`${tag}\n`));
  const without = (tag) => of(tag).map((one) => one.slice(tag.length).trim());
  return { description, params: without('param'), returns: without('returns')[0], examples: without('example') };
}

/** Hands values on to later tasks of the plan. Without MAOS they are printed. */
export function handOn(values) {
  const lines = Object.entries(values).map(([name, value]) => `${name}=${value}\n`);
  if (process.env.MAOS_OUTPUT === undefined) process.stdout.write(lines.join(''));
  else appendFileSync(process.env.MAOS_OUTPUT, lines.join(''));
}
