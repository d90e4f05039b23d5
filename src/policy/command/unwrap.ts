import { basename } from 'node:path';
import { literalOutput } from './literal.ts';
import { ScriptReader } from './script.ts';
import { type Feed, mostCommands, type RawCommand, type Redirect, type Sink } from './sink.ts';
import { foundUnder, plainWord, type Range, unknownText, unknownWord, type Word } from './word.ts';
import { interpreters, shells, subcommandWrappers, type Wrapper, wrappers } from './wrappers.ts';

/** One program that a command would run. */
export interface SimpleCommand {
  /** Its name without folder, in small letters; null: nobody can know it before it runs. */
  readonly program: string | null;
  /** The program as it was written, and its arguments. */
  readonly argv: readonly Word[];
  /** `NAME=value` before it. */
  readonly assigns: readonly string[];
  readonly redirects: readonly Redirect[];
  /** What it stands in or was started by, from the outside in: `sudo`, `sh -c`, `$(…)`. */
  readonly via: readonly string[];
  /** Programs whose output it gets, by a pipe or inside its arguments. */
  readonly inputs: ReadonlySet<string>;
  /** The folders in which it may run; null: any. */
  readonly cwds: readonly string[] | null;
  /** Why nobody can know what it runs, or null. */
  readonly opaque: string | null;
  readonly remote: boolean;
  /** A function that calls itself, as fork bombs do. */
  readonly recursive: boolean;
}

/** What is handed down to a command inside another. */
interface Place {
  readonly raw: RawCommand;
  readonly via: readonly string[];
  readonly inputs: ReadonlySet<string>;
  readonly remote: boolean;
}

const none: ReadonlySet<string> = new Set();
/** Programs beyond these are not remembered as inputs. */
const mostInputs = 64;

/** Looks into programs that start others, and tells every program that would run. */
export class Unwrapper {
  readonly found: SimpleCommand[] = [];
  readonly #sink: Sink;
  /** By the number of a raw command: it and all whose output it gets. */
  readonly #flows: ReadonlySet<string>[] = [];

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** Takes the commands of the sink; a text inside one of them adds more to its end. */
  run(remote = false): void {
    for (let index = 0; index < this.#sink.commands.length; index += 1) {
      const raw = this.#sink.commands[index];
      if (raw !== undefined && this.#flows[index] === undefined) this.#take(raw, index, remote);
    }
  }

  #take(raw: RawCommand, index: number, remote: boolean): void {
    const inputs = this.#inputs(raw);
    const before = this.found.length;
    this.#flows[index] = inputs;
    this.#argv(raw.words, { raw, via: raw.via, inputs, remote }, raw.redirects);
    const own = this.found.slice(before).flatMap(({ program }) => program ?? []);
    this.#flows[index] = own.length === 0 ? inputs : this.#union([inputs, new Set(own)]);
  }

  #inputs({ words, redirects, feed }: RawCommand): ReadonlySet<string> {
    const ranges: Range[] = words.flatMap(({ sources }) => sources);
    for (const { target, text } of redirects) ranges.push(...target.sources, ...(text?.sources ?? []));
    // What stands before in the pipe has already gathered what stands before it.
    if (feed !== null) ranges.push(feed.range);
    if (feed !== null && feed.range.from === feed.range.to && feed.before !== null) ranges.push(feed.before.range);
    if (ranges.length === 0) return none;
    return this.#union(ranges.flatMap(({ from, to }) => this.#flows.slice(from, to)));
  }

  #union(sets: readonly ReadonlySet<string>[]): ReadonlySet<string> {
    const all = new Set<string>();
    for (const set of sets) for (const name of set) if (all.size < mostInputs) all.add(name);
    if (all.size >= mostInputs) this.#sink.problems.add('too many programs feed one another');
    return all;
  }

  #push(command: SimpleCommand): void {
    if (this.found.length < mostCommands) this.found.push(command);
    else this.#sink.problems.add(`it has more than ${mostCommands} commands`);
  }

  #argv(argv: readonly Word[], place: Place, redirects: readonly Redirect[]): void {
    const [first] = argv;
    const { raw, via, inputs, remote } = place;
    const assigns = raw.assigns;
    const { recursive } = raw;
    const base = { argv, assigns, redirects, via, inputs, cwds: remote ? null : raw.cwds, remote, recursive };
    if (first === undefined) return this.#push({ ...base, program: '', opaque: null });
    if (!first.known || first.glob) {
      const opaque = first.known ? `"${first.text}" may be any program` : `${first.text} is known only when it runs`;
      return this.#push({ ...base, program: null, opaque });
    }
    const program = basename(first.text)
      .toLowerCase()
      .replace(/\.exe$/, '');
    this.#push({ ...base, program, opaque: null });
    if (via.length > 40) this.#sink.problems.add('it is nested too deeply');
    else this.#inside(program, argv, place, redirects);
  }

  /** What the program itself starts. */
  #inside(program: string, argv: readonly Word[], place: Place, redirects: readonly Redirect[]): void {
    const rest = argv.slice(1);
    const wrapper = wrappers.get(program);
    const sub = subcommandWrappers.get(program);
    if (shells.has(program)) this.#shell(program, rest, place, redirects);
    else if (interpreters.test(program)) this.#interpreter(program, rest, place);
    else if (program === 'eval') this.#text(joined(rest), [...place.via, 'eval'], place);
    else if (program === 'source' || program === '.') this.#source(rest[0], place);
    else if (program === 'trap') this.#trap(rest, place);
    else if (program === 'find' || program === 'fd') this.#find(rest, place);
    else if (program === 'parallel') this.#parallel(rest, place);
    else if (wrapper !== undefined) this.#wrapped(program, wrapper, rest, place);
    else if (sub !== undefined) {
      const [word] = rest;
      if (word?.known === true && sub.includes(word.text))
        this.#wrapped(`${program} ${word.text}`, {}, rest.slice(1), place);
    }
  }

  #wrapped(program: string, wrapper: Wrapper, args: readonly Word[], outer: Place): void {
    const via = [...outer.via, program];
    const place = { ...outer, via, remote: outer.remote || wrapper.remote === true };
    const { at, script, stopped } = skipOptions(wrapper, args);
    if (script !== null) this.#text(script, via, place);
    if (stopped) return;
    const inner = args.slice(at + (wrapper.operands ?? 0));
    if (inner.length === 0) return;
    if (wrapper.text === true) return this.#text(joined(inner), via, place);
    this.#argv(wrapper.appends === true ? appended(args.slice(0, at), inner) : inner, place, []);
  }

  #source(word: Word | undefined, place: Place): void {
    if (word !== undefined && !word.known) this.#opaque(`the script ${word.text} is known only when it runs`, place);
  }

  #trap(args: readonly Word[], place: Place): void {
    const action = args.find(({ text }) => !/^-[lp]*$|^--$/.test(text));
    if (action !== undefined && args.length > 1) this.#text(action, [...place.via, 'trap'], place);
  }

  #shell(program: string, args: readonly Word[], place: Place, redirects: readonly Redirect[]): void {
    const { script, file, stdin } = shellScript(args);
    const via = [...place.via, script === null ? program : `${program} -c`];
    if (script !== null) return this.#text(script, via, place);
    if (file !== null && !stdin) {
      if (!file.known) this.#opaque(`the script ${file.text} is known only when it runs`, place);
      return;
    }
    const here = redirects.findLast(({ text }) => text !== null && text.text !== '')?.text ?? null;
    if (here !== null) return this.#text(here, [...place.via, `${program} <<`], place);
    const { feed } = place.raw;
    if (feed === null) return;
    const literal = literalOutput(feed, this.#sink.commands);
    if (literal !== null) return this.#text(plainWord(literal), [...place.via, `| ${program}`], place);
    this.#opaque(`${program} runs what it reads from a pipe`, place);
  }

  /** What a program of another language reads from a pipe is not read here. */
  #interpreter(program: string, args: readonly Word[], place: Place): void {
    const word = args.find(({ text }) => !text.startsWith('-') || text === '-');
    const given = args.some(({ text }) => /^-(?:[ceEmprn]|-eval|-print|-version|-help|[vVh]$)/.test(text));
    if (given) return;
    if (word !== undefined && !word.known) this.#opaque(`the script ${word.text} is known only when it runs`, place);
    else if ((word === undefined || word.text === '-') && place.raw.feed !== null)
      this.#opaque(`${program} runs what it reads from a pipe`, place);
  }

  #find(args: readonly Word[], place: Place): void {
    const first = args.findIndex(({ text }) => /^[-(!]/.test(text) && text !== '-H' && text !== '-L' && text !== '-P');
    const roots = args.slice(0, first === -1 ? args.length : first).filter(({ text }) => !text.startsWith('-'));
    for (let at = 0; at < args.length; at += 1) {
      if (!/^-(?:exec|execdir|ok|okdir|x|X)$|^--exec/.test(args[at]?.text ?? '')) continue;
      const end = args.findIndex(({ text }, index) => index > at && (text === ';' || text === '+'));
      const inner = args.slice(at + 1, end === -1 ? args.length : end);
      for (const found of foundUnder(roots.length === 0 ? [plainWord('.')] : roots.slice(0, 8), args)) {
        this.#argv(filled(inner, '{}', found), { ...place, via: [...place.via, 'find -exec'] }, []);
      }
      at = end === -1 ? args.length : end;
    }
  }

  #parallel(args: readonly Word[], place: Place): void {
    const options = { short: 'jPSNnIaLUC', long: ['jobs', 'arg-file', 'max-args', 'sshlogin', 'colsep', 'joblog'] };
    const { at } = skipOptions(options, args);
    const end = args.findIndex(({ text }) => text.startsWith(':::'));
    const template = args.slice(at, end === -1 ? args.length : end);
    const via = [...place.via, 'parallel'];
    if (template.length > 0) return this.#text(joined([...template, unknownWord]), via, place, true);
    for (const word of end === -1 ? [unknownWord] : args.slice(end + 1)) this.#text(word, via, place);
  }

  #opaque(reason: string, { raw, via, inputs, remote }: Place): void {
    const { assigns, cwds, recursive } = raw;
    const base = { assigns, cwds, recursive, via, inputs, remote };
    this.#push({ ...base, program: null, argv: [], redirects: [], opaque: reason });
  }

  /** Reads a word as a shell would. What was put into it before the shell reads it may be anything. */
  #text(word: Word, via: readonly string[], place: Place, known = word.known): void {
    if (!known) this.#opaque(`part of what ${via.at(-1) ?? 'a shell'} runs is known only then`, { ...place, via });
    if (!this.#sink.enter(word.text.length)) return;
    const { raw, remote } = place;
    const feed: Feed | null = raw.feed;
    const from = this.#sink.commands.length;
    new ScriptReader({ text: word.text, at: 0 }, this.#sink, via, remote ? null : raw.cwds).read(false);
    this.#nested(from, feed, place);
    this.#sink.leave();
  }

  /** Commands of a text inside a command are looked into at once, so that what they nest is as deep as it is. */
  #nested(from: number, feed: Feed | null, { inputs, remote }: Place): void {
    const all = this.#sink.commands;
    for (let index = from; index < all.length; index += 1) {
      const raw = all[index];
      if (raw === undefined || this.#flows[index] !== undefined) continue;
      const fed = raw.feed === null && feed !== null ? { ...raw, feed } : raw;
      this.#take(fed, index, remote);
      if (inputs.size > 0) this.#flows[index] = this.#union([this.#flows[index] ?? none, inputs]);
    }
  }
}

function joined(words: readonly Word[]): Word {
  return {
    text: words.map(({ text }) => text).join(' '),
    known: words.every(({ known }) => known),
    glob: false,
    bare: false,
    sources: [],
  };
}

function filled(words: readonly Word[], mark: string, value: Word): Word[] {
  return words.map((word) => {
    if (word.text === mark) return value;
    return word.text.includes(mark) ? { ...word, text: word.text.replaceAll(mark, unknownText), known: false } : word;
  });
}

/** What `xargs` makes of a command. */
function appended(options: readonly Word[], inner: readonly Word[]): Word[] {
  const index = options.findIndex(({ text }) => /^-(?:I|i|-replace)/.test(text));
  if (index === -1) return [...inner, unknownWord];
  const text = options[index]?.text ?? '';
  const mark = text === '-I' ? (options[index + 1]?.text ?? '{}') : text.replace(/^-(?:I|i|-replace=?)/, '') || '{}';
  return filled(inner, mark, unknownWord);
}

interface Skipped {
  /** Where its options end. */
  readonly at: number;
  /** The value of an option that a shell reads. */
  readonly script: Word | null;
  /** It starts nothing (more). */
  readonly stopped: boolean;
}

function skipOptions(wrapper: Wrapper, args: readonly Word[]): Skipped {
  const { short = '', long = [], script: scripts = [] } = wrapper;
  let script: Word | null = null;
  let at = 0;
  for (; at < args.length; at += 1) {
    const word = args[at];
    if (word === undefined || !word.known) break;
    const { text } = word;
    if (text === '--') {
      at += 1;
      break;
    }
    if (wrapper.unless?.test(text) === true) return { at, script, stopped: true };
    if (wrapper.assigns === true && /^[A-Za-z_]\w*=/.test(text)) continue;
    if (!text.startsWith('-') || text === '-') {
      // `su root -c …`: options may follow operands.
      if (scripts.length > 0 && (wrapper.operands ?? 0) > 90) continue;
      break;
    }
    const given = scripts.find((name) => text === name || text.startsWith(name.length > 2 ? `${name}=` : name));
    if (given !== undefined) {
      const value = text === given ? args[at + 1] : { ...word, text: text.slice(given.length).replace(/^=/, '') };
      script = value ?? null;
      // `env -S` goes on with what is left.
      if (given === '-S' || given === '--split-string') {
        return { at, script: joined([...(value === undefined ? [] : [value]), ...args.slice(at + 2)]), stopped: true };
      }
      if (text === given) at += 1;
    } else if (text.startsWith('--')) {
      if (long.includes(text.slice(2))) at += 1;
    } else {
      const letter = Array.from(text.slice(1)).findIndex((one) => short.includes(one));
      if (letter !== -1 && letter === text.length - 2) at += 1;
    }
  }
  return { at, script, stopped: script !== null && (wrapper.operands ?? 0) > 90 };
}

function shellScript(args: readonly Word[]): { script: Word | null; file: Word | null; stdin: boolean } {
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
