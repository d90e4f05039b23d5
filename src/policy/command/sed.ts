import { valuesOf } from './options.ts';
import type { Word } from './word.ts';

/** What a script for `sed` does beyond printing. */
export interface SedEffects {
  /** Commands that it runs: `1e date`. Empty text: what it runs is in the file that it edits. */
  readonly runs: readonly string[];
  /** Files that it reads or writes: `w out`. */
  readonly files: readonly { readonly text: string; readonly access: 'read' | 'write' }[];
}

/** The scripts among the arguments of `sed`. */
export function sedScripts(args: readonly Word[]): readonly Word[] {
  const given = valuesOf(['-e', '--expression'], args);
  if (given.length > 0) return given;
  if (args.some(({ text }) => /^(?:-f|--file)/.test(text))) return [];
  return args.filter(({ text, known }) => !known || !text.startsWith('-')).slice(0, 1);
}

const address =
  /(?:(?:\d+(?:~\d+)?|\$|\+\d+|~\d+|\/(?:[^/\\\n]|\\.)*\/[IM]*|\\(?<by>[^\\\n])(?:(?!\k<by>)[^\\\n]|\\.)*\k<by>[IM]*)[ \t]*,?[ \t]*)*!*[ \t]*/y;

/** Reads a script for `sed`. One pass. */
export function readSed(script: string): SedEffects {
  const runs: string[] = [];
  const files: { text: string; access: 'read' | 'write' }[] = [];
  let at = 0;
  const rest = (): string => {
    const end = script.indexOf('\n', at);
    const line = script.slice(at, end === -1 ? script.length : end);
    at = end === -1 ? script.length : end + 1;
    return line.trim();
  };
  /** Past a part of `s` or `y`, and the letter that ends it. */
  const part = (by: string): void => {
    while (at < script.length && script.charAt(at) !== by) at += script.charAt(at) === '\\' ? 2 : 1;
    at += 1;
  };
  while (at < script.length) {
    if (/[\s;{}]/.test(script.charAt(at))) {
      at += 1;
      continue;
    }
    address.lastIndex = at;
    at += address.exec(script)?.[0].length ?? 0;
    const command = script.charAt(at);
    at += 1;
    if (command === 's' || command === 'y') {
      const by = script.charAt(at);
      at += 1;
      part(by);
      part(by);
      for (let flag = script.charAt(at); /[a-zA-Z0-9]/.test(flag); flag = script.charAt(at)) {
        at += 1;
        if (flag === 'e') runs.push('');
        if (flag === 'w') files.push({ text: rest(), access: 'write' });
      }
    } else if (command === 'e') runs.push(rest());
    else if (command === 'w' || command === 'W') files.push({ text: rest(), access: 'write' });
    else if (command === 'r' || command === 'R') files.push({ text: rest(), access: 'read' });
    else if ('aic#'.includes(command)) while (rest().endsWith('\\'));
    else if (':btT'.includes(command)) {
      const label = /[^;}\n]*/y;
      label.lastIndex = at;
      at += label.exec(script)?.[0].length ?? 0;
    }
  }
  return { runs, files };
}
