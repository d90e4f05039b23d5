import type { Wrapper } from './wrappers.ts';
import { joined, type Word } from './word.ts';

/** What stands before the command that a program starts. */
export interface Options {
  /** Where the command begins. */
  readonly at: number;
  /** Values that a shell reads. */
  readonly scripts: readonly Word[];
  /** `NAME=value` for the command. */
  readonly assigns: readonly string[];
  /** The folder in which it runs; null: the one in which it is. */
  readonly folder: Word | null;
  /** It starts nothing more. */
  readonly stopped: boolean;
}

const assignment = /^[^=\s-][^=\s]*=/;

/** Reads a program's own options and operands, up to the command that it starts. */
export function readOptions(wrapper: Wrapper, args: readonly Word[]): Options {
  const { short = '', long = [], script = [], folder: folders = [], unless } = wrapper;
  const scripts: Word[] = [];
  const assigns: string[] = [];
  let folder: Word | null = null;
  let operands = wrapper.operands ?? 0;
  let at = 0;
  const takes = (name: string): boolean =>
    has(script, name) ||
    has(folders, name) ||
    (name.length > 2 ? long.includes(name.slice(2)) : short.includes(name.charAt(1)));
  const end = (stopped: boolean): Options => ({ at: Math.min(at, args.length), scripts, assigns, folder, stopped });
  for (; at < args.length; at += 1) {
    const word = args[at];
    if (word === undefined) break;
    const { text, known } = word;
    if (wrapper.assigns === true && assignment.test(text)) assigns.push(text);
    else if (text === '-' && wrapper.assigns === true) continue;
    else if (text === '--') {
      at += 1 + operands;
      break;
    } else if (known && unless?.test(text) === true) return end(true);
    else if (!known || !text.startsWith('-') || text === '-') {
      if (operands === 0) break;
      operands -= 1;
    } else {
      const given = optionOf(word, args[at + 1], takes);
      if (given === null) continue;
      const { name, value, next } = given;
      // `env -S` goes on with what is left.
      if (has(wrapper.split ?? [], name)) {
        scripts.push(joined([...(value === undefined ? [] : [value]), ...args.slice(at + (next ? 2 : 1))]));
        return end(true);
      }
      if (value !== undefined && has(script, name)) scripts.push(value);
      if (value !== undefined && has(folders, name)) folder = value;
      if (next) at += 1;
    }
  }
  return end(false);
}

/** A long option may be given by its beginning. */
function has(names: readonly string[], name: string): boolean {
  return names.includes(name) || (name.length > 4 && names.some((one) => one.startsWith('--') && one.startsWith(name)));
}

/** The option in a word that takes a value: `--name=value`, `-xvalue`, `-x value`, `-abx value`. */
function optionOf(
  word: Word,
  following: Word | undefined,
  takes: (name: string) => boolean,
): { name: string; value: Word | undefined; next: boolean } | null {
  const { text } = word;
  if (text.startsWith('--')) {
    const equals = text.indexOf('=');
    const name = equals === -1 ? text : text.slice(0, equals);
    if (!takes(name)) return null;
    if (equals !== -1) return { name, value: { ...word, text: text.slice(equals + 1) }, next: false };
    return { name, value: following, next: true };
  }
  for (let letter = 1; letter < text.length; letter += 1) {
    const name = `-${text.charAt(letter)}`;
    if (!takes(name)) continue;
    if (letter === text.length - 1) return { name, value: following, next: true };
    return { name, value: { ...word, text: text.slice(letter + 1) }, next: false };
  }
  return null;
}

/** Every value of some options, wherever they stand: `--rsh=x`, `-e x`. */
export function valuesOf(names: readonly string[], args: readonly Word[]): Word[] {
  return args.flatMap((word, index) => {
    const { text } = word;
    if (names.includes(text)) return args[index + 1] ?? [];
    const name = names.find((one) => text.startsWith(one.length > 2 && one.startsWith('--') ? `${one}=` : one));
    return name === undefined ? [] : { ...word, text: text.slice(name.length).replace(/^=/, '') };
  });
}

/** How a shell was started. */
export interface ShellStart {
  readonly script: Word | null;
  readonly file: Word | null;
  readonly stdin: boolean;
}

/** What a shell is told to run. */
export function shellStart(args: readonly Word[]): ShellStart {
  let takes = false;
  let stdin = false;
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at];
    if (word === undefined) break;
    const { text, known } = word;
    if (known && /^--(?:rcfile|init-file)$/.test(text)) at += 1;
    else if (known && text.startsWith('--command='))
      return { script: { ...word, text: text.slice(10) }, file: null, stdin };
    else if (known && text === '--command') takes = true;
    else if (known && /^[-+][A-Za-z]+$/.test(text)) {
      if (text.startsWith('-') && text.includes('c')) takes = true;
      if (text.startsWith('-') && text.includes('s')) stdin = true;
      if (/[oO]$/.test(text)) at += 1;
    } else if (known && (text === '--' || text === '-' || text.startsWith('--'))) continue;
    else return takes ? { script: word, file: null, stdin } : { script: null, file: word, stdin };
  }
  return { script: null, file: null, stdin };
}
