import { basename } from 'node:path';
import { smallGlob } from '../glob.ts';
import { type FolderList, movedTo } from './folders.ts';
import { fold } from './fold.ts';
import { appended, filled, foundUnder, rootsOf } from './found.ts';
import { isKnown } from './known.ts';
import { literalOutput } from './literal.ts';
import { operandsOf, type Phrase, phraseEnd } from './operands.ts';
import { readOptions, shellStart, valuesOf } from './options.ts';
import { ScriptReader } from './script.ts';
import { readSed, sedScripts } from './sed.ts';
import { type Feed, mostCommands, type RawCommand, type Redirect, type Sink, unknownFeed } from './sink.ts';
import { joined, plainWord, type Range, unknownText, unknownWord, whollyUnknown, type Word } from './word.ts';
import {
  codeFiles,
  commandSettings,
  commandVariables,
  declarers,
  interpreters,
  runners,
  scriptOptions,
  shells,
  starters,
  subcommandWrappers,
  type Wrapper,
  wrappers,
} from './wrappers.ts';

/** One program that a command would run. */
export interface SimpleCommand {
  /** Its name without folder, in small letters; null: nobody can know it before it runs. */
  readonly program: string | null;
  /** The program as it was written, and its arguments. */
  readonly argv: readonly Word[];
  /** `NAME=value` before it, and what it sets for others: `export NAME=value`. */
  readonly assigns: readonly string[];
  readonly redirects: readonly Redirect[];
  /** What it stands in or was started by, from the outside in: `sudo`, `sh -c`, `$(…)`. */
  readonly via: readonly string[];
  /** Programs whose output it gets, by a pipe or inside its arguments. */
  readonly inputs: ReadonlySet<string>;
  readonly cwds: FolderList;
  /** Why nobody can know what it runs, or null. */
  readonly opaque: string | null;
  readonly remote: boolean;
  /** A function that calls itself, as fork bombs do. */
  readonly recursive: boolean;
}

/** What is handed down to a command inside another. */
interface Place {
  readonly raw: RawCommand;
  readonly assigns: readonly string[];
  readonly cwds: FolderList;
  readonly redirects: readonly Redirect[];
  readonly via: readonly string[];
  readonly inputs: ReadonlySet<string>;
  readonly remote: boolean;
}

const none: ReadonlySet<string> = new Set();
const anywhere: FolderList = [null];
/** More than these are not told apart behind `xargs`. */
const mostWords = 64;
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
    this.#flows[index] = none;
    const inputs = this.#inputs(raw);
    const before = this.found.length;
    this.#flows[index] = inputs;
    const { assigns, redirects, via } = raw;
    const place: Place = { raw, assigns, cwds: remote ? anywhere : raw.cwds, redirects, via, inputs, remote };
    this.#argv(raw.words, place);
    if (assigns.length > 0) this.#variables(assigns, place);
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
    return this.#union(ranges.flatMap((range) => this.#settled(range)));
  }

  /** What the commands of a stretch take in; a block is told after what is in it what it reads. */
  #settled({ from, to }: Range): ReadonlySet<string>[] {
    const found: ReadonlySet<string>[] = [];
    for (let index = from; index < to; index += 1) {
      const raw = this.#sink.commands[index];
      if (this.#flows[index] === undefined && raw !== undefined) this.#take(raw, index, false);
      found.push(this.#flows[index] ?? none);
    }
    return found;
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

  #argv(argv: readonly Word[], place: Place): void {
    const [first] = argv;
    const { raw, redirects, via, inputs, cwds, remote } = place;
    const { recursive } = raw;
    const base = { argv, assigns: place.assigns, redirects, via, inputs, cwds, remote, recursive };
    if (first === undefined) return this.#push({ ...base, program: '', opaque: null });
    if (!first.known || first.glob || first.below === true) {
      const opaque = first.known ? `"${first.text}" may be any program` : `${first.text} is known only when it runs`;
      return this.#push({ ...base, program: null, opaque });
    }
    // `rimraf@5` is what npx is asked for.
    const version = /^(?:npx|bunx|npm|pnpm|yarn)\b/.test(via.at(-1) ?? '') ? /(?<=.)@.*$/ : /\.exe$/;
    const program = basename(first.text).toLowerCase().replace(version, '');
    const rest = argv.slice(1);
    const sets = declarers.has(program) ? rest.flatMap(({ text }) => (/^[A-Za-z_]\w*=/.test(text) ? text : [])) : [];
    this.#push({
      ...base,
      program,
      opaque: null,
      ...(sets.length === 0 ? {} : { assigns: [...place.assigns, ...sets] }),
    });
    if (via.length > 40) return void this.#sink.problems.add('it is nested too deeply');
    if (sets.length > 0) this.#variables(sets, place);
    this.#inside(program, rest, place);
  }

  /** Commands in the values of variables. */
  #variables(assigns: readonly string[], place: Place): void {
    for (const text of assigns) {
      const command = commandVariables.exec(text)?.groups?.['command']?.trim();
      if (command === undefined || command === '') continue;
      this.#text(plainWord(command), [...place.via, text.slice(0, text.indexOf('='))], {
        ...place,
        assigns: [],
        raw: { ...place.raw, feed: null },
      });
    }
  }

  /** What the program itself starts. */
  #inside(program: string, rest: readonly Word[], place: Place): void {
    const wrapper = wrappers.get(program);
    const files = codeFiles.get(program);
    const scripts = scriptOptions.get(program);
    if (files !== undefined) for (const file of valuesOf(files, rest)) this.#code(program, file, place);
    if (scripts !== undefined)
      for (const script of valuesOf(scripts, rest)) this.#text(script, [...place.via, program], place);
    if (runners.has(program)) this.#guess(program, rest, place);
    if (shells.has(program)) this.#shell(program, rest, place);
    else if (interpreters.test(program)) this.#interpreter(program, rest, place);
    else if (program === 'eval')
      this.#text(joined(rest[0]?.text === '--' ? rest.slice(1) : rest), [...place.via, 'eval'], place);
    else if (program === 'source' || program === '.') this.#source(rest[0], place);
    else if (program === 'trap') this.#trap(rest, place);
    else if (program === 'alias') this.#alias(rest, place);
    else if (program === 'find' || program === 'fd') this.#find(rest, place);
    else if (program === 'parallel') this.#parallel(rest, place);
    else if (program === 'sed' || program === 'gsed') this.#sed(program, rest, place);
    else if (awks.has(program)) this.#awk(program, rest, place);
    else if (wrapper !== undefined) this.#wrapped(program, wrapper, rest, place);
    else if (!this.#subcommand(program, rest, place)) this.#guess(program, rest, place);
  }

  #wrapped(name: string, wrapper: Wrapper, args: readonly Word[], outer: Place): void {
    const via = [...outer.via, name];
    const { at, scripts, assigns, folder, stopped } = readOptions(wrapper, args);
    const remote = outer.remote || wrapper.remote === true;
    const place: Place = {
      ...outer,
      via,
      remote,
      assigns: assigns.length === 0 ? outer.assigns : [...outer.assigns, ...assigns],
      cwds: remote
        ? anywhere
        : folder === null
          ? outer.cwds
          : movedTo(outer.cwds, folder.known && !folder.glob ? folder.text : null),
    };
    if (assigns.length > 0) this.#variables(assigns, place);
    for (const script of scripts) this.#text(script, via, place);
    const inner = args.slice(at);
    if (stopped || inner.length === 0) return;
    if (wrapper.texts === true) {
      for (const word of inner) this.#text(word, via, place);
      this.#guess(name, inner, place);
    } else if (wrapper.text === true) this.#text(joined(inner), via, place);
    else if (wrapper.of !== undefined) this.#argv([plainWord(wrapper.of), ...inner], place);
    else
      this.#argv(
        wrapper.appends === true ? appended(args.slice(0, at), inner, this.#fed(place, args.slice(0, at))) : inner,
        place,
      );
  }

  /** What `xargs` gets, when it can be read off the text or is what `find` finds; otherwise nobody knows. */
  #fed({ raw: { feed }, redirects }: Place, options: readonly Word[]): readonly Word[] {
    if (redirects.some(isRead) || options.some(({ text }) => /^-(?:[a-zA-Z]*a|-arg-file)/.test(text)))
      return [unknownWord];
    const plain = !options.some(({ text }) => /^-(?:[a-zA-Z]*[0dE]|-null|-delim|-eof)/.test(text));
    const literal = feed === null || !plain ? null : literalOutput(feed, this.#sink);
    const words = literal?.split(/\s+/).filter((text) => text !== '') ?? [];
    if (words.length > 0 && words.length < mostWords) return words.map(plainWord);
    const { from, to } = feed?.range ?? { from: 0, to: 0 };
    const [program, ...args] = this.#sink.commands[from]?.words ?? [];
    if (to - from !== 1 || program?.known !== true || program.text !== 'find') return [unknownWord];
    return args.some(({ text, known }) => !known || /^-(?:exec|ok|printf|fprint|files0)/.test(text))
      ? [unknownWord]
      : foundUnder(rootsOf(args), args);
  }

  /** `uv run …`, `git bisect run …`. */
  #subcommand(program: string, rest: readonly Word[], place: Place): boolean {
    const known = subcommandPhrases.get(program);
    if (known !== undefined) {
      const operands = operandsOf(program, [unknownWord, ...rest]);
      for (const { name, phrase, wrapper } of known) {
        const end = phraseEnd(phrase, operands);
        if (end === -1) continue;
        this.#wrapped(`${program} ${name}`, wrapper, rest.slice(end), place);
        return true;
      }
    }
    if (program !== 'git') return false;
    for (const value of valuesOf(['-c'], rest)) {
      const command = commandSettings.exec(value.text)?.groups?.['command'];
      if (command === undefined || command === '') continue;
      const alias = /^alias\./i.test(value.text) && !command.startsWith('!');
      const text = alias ? `git ${command}` : command.replace(/^!/, '');
      this.#text({ ...value, text }, [...place.via, 'git -c'], { ...place, raw: { ...place.raw, feed: null } });
    }
    return true;
  }

  /** A program that nobody here knows may start what its arguments name. */
  #guess(program: string, rest: readonly Word[], place: Place): void {
    if (!runners.has(program) && isKnown(program)) return;
    const at = rest.findIndex(({ text, known }) => known && starters.has(basename(text)));
    if (at !== -1) this.#argv(rest.slice(at), { ...place, via: [...place.via, program] });
  }

  #source(word: Word | undefined, place: Place): void {
    if (word === undefined) return;
    if (readsStdin(word)) return this.#stdin('source', place);
    if (!word.known) this.#opaque(`the script ${word.text} is known only when it runs`, place);
  }

  #trap(args: readonly Word[], place: Place): void {
    const action = args.find(({ text }) => !/^-[lp]*$|^--$/.test(text));
    if (action !== undefined && args.length > 1) this.#text(action, [...place.via, 'trap'], place);
  }

  #alias(args: readonly Word[], place: Place): void {
    for (const word of args) {
      const equals = word.text.indexOf('=');
      if (equals > 0) this.#text({ ...word, text: word.text.slice(equals + 1) }, [...place.via, 'alias'], place);
    }
  }

  #shell(program: string, args: readonly Word[], place: Place): void {
    const { script, file, stdin } = shellStart(args);
    if (script !== null) return this.#text(script, [...place.via, `${program} -c`], place);
    if (file === null || stdin || readsStdin(file)) return this.#stdin(program, place);
    if (!file.known || file.below === true) this.#opaque(`the script ${file.text} is known only when it runs`, place);
  }

  /** A shell that runs what it reads. */
  #stdin(program: string, place: Place): void {
    const text = this.#read(program, place);
    if (text === null) return;
    const via = [...place.via, place.redirects.some(isRead) ? `${program} <<` : `| ${program}`];
    this.#text(text, via, place);
    // What was decoded on its way was not looked at yet.
    const { text: drawn, suspicious } = fold(text.text);
    for (const found of suspicious) this.#sink.suspicious.add(found);
    if (drawn !== text.text) this.#text({ ...text, text: drawn }, via, place);
  }

  /** What comes to a program's standard input, when that is known; what nobody can know is told. */
  #read(program: string, place: Place): Word | null {
    const last = place.redirects.findLast(isRead);
    if (last !== undefined) {
      if (last.text !== null) return last.text;
      if (!last.target.known) this.#opaque(`${program} runs ${last.target.text}, which is known only then`, place);
      return null;
    }
    const { feed } = place.raw;
    if (feed === null) return null;
    const literal = literalOutput(feed, this.#sink);
    if (literal !== null) return plainWord(literal);
    this.#opaque(`${program} runs what it reads from a pipe`, place);
    return null;
  }

  /** Code of another language. It is not read here; that it is put together when it runs, and by what, is seen. */
  #interpreter(program: string, args: readonly Word[], place: Place): void {
    const at = args.findIndex(({ text }) => codeOption.test(text));
    if (at !== -1 || args[0]?.text === 'eval') {
      const given = at === -1 ? args.slice(1, 2) : args.slice(at, at + 2);
      if (given.some((word) => whollyUnknown(word) || word.sources.length > 0))
        this.#opaque(`part of what ${program} runs is known only then`, place);
      return;
    }
    if (args.some(({ text }) => /^-(?:m|-version|-help|[vVh]$)/.test(text))) return;
    const word = args.find(({ text }) => !text.startsWith('-') || text === '-');
    if (word !== undefined && !readsStdin(word)) {
      if (!word.known || word.below === true) this.#opaque(`the script ${word.text} is known only when it runs`, place);
      return;
    }
    const text = this.#read(program, place);
    if (text === null) return;
    if (whollyUnknown(text) || text.sources.length > 0)
      return this.#opaque(`part of what ${program} runs is known only then`, place);
    // Rules look at it as at code in an argument.
    const { raw, assigns, cwds, via, inputs, remote } = place;
    const base = { assigns, cwds, recursive: raw.recursive, via: [...via, `${program} <<`], inputs, remote };
    this.#push({ ...base, program, argv: [plainWord(program), plainWord('-c'), text], redirects: [], opaque: null });
  }

  /** A file with code that nobody can read beforehand. */
  #code(program: string, file: Word, place: Place): void {
    if (!file.known || readsStdin(file)) this.#opaque(`${program} runs ${file.text}, which is known only then`, place);
  }

  #awk(program: string, args: readonly Word[], place: Place): void {
    const code = args.find(({ text, known }, at) => (!known || !text.startsWith('-')) && args[at - 1]?.text !== '-v');
    if (code !== undefined && whollyUnknown(code)) this.#opaque(`what ${program} runs is known only then`, place);
  }

  #sed(program: string, args: readonly Word[], place: Place): void {
    for (const word of sedScripts(args)) {
      if (whollyUnknown(word)) this.#opaque(`what ${program} does is known only then`, place);
      for (const command of readSed(word.text).runs) {
        if (command === '') this.#opaque(`${program} runs what stands in the file`, place);
        else this.#text({ ...word, text: command }, [...place.via, program], place);
      }
    }
  }

  #find(args: readonly Word[], place: Place): void {
    for (let at = 0; at < args.length; at += 1) {
      if (!/^-(?:exec|execdir|ok|okdir|x|X)$|^--exec/.test(args[at]?.text ?? '')) continue;
      const end = args.findIndex(({ text }, index) => index > at && (text === ';' || text === '+'));
      const inner = args.slice(at + 1, end === -1 ? args.length : end);
      for (const found of foundUnder(rootsOf(args), args)) {
        this.#argv(filled(inner, '{}', found), { ...place, redirects: [], via: [...place.via, 'find -exec'] });
      }
      at = end === -1 ? args.length : end;
    }
  }

  #parallel(args: readonly Word[], place: Place): void {
    const options = { short: 'jPSNnIaLUC', long: ['jobs', 'arg-file', 'max-args', 'sshlogin', 'colsep', 'joblog'] };
    const { at } = readOptions(options, args);
    const end = args.findIndex(({ text }) => text.startsWith(':::'));
    const template = args.slice(at, end === -1 ? args.length : end);
    const via = [...place.via, 'parallel'];
    if (template.length === 0) {
      for (const word of end === -1 ? [unknownWord] : args.slice(end + 1)) this.#text(word, via, place);
      return;
    }
    const text = joined([...template, unknownWord])
      .text.replaceAll(/\{[^{}\s,]*\}/g, unknownText)
      .replaceAll(`$${unknownText}`, unknownText);
    this.#text(plainWord(text), via, place, true);
  }

  #opaque(reason: string, { raw, assigns, cwds, via, inputs, remote }: Place): void {
    const base = { assigns, cwds, recursive: raw.recursive, via, inputs, remote };
    this.#push({ ...base, program: null, argv: [], redirects: [], opaque: reason });
  }

  /** Reads a word as a shell would. What was put into it before the shell reads it may be anything. */
  #text(word: Word, via: readonly string[], place: Place, known = word.known && word.below !== true): void {
    if (!known) this.#opaque(`part of what ${via.at(-1) ?? 'a shell'} runs is known only then`, { ...place, via });
    if (!this.#sink.enter(word.text.length)) return;
    const from = this.#sink.commands.length;
    new ScriptReader({ text: word.text, at: 0 }, this.#sink, via, place.cwds).read(false);
    const { feed } = place.raw;
    this.#nested(from, place.redirects.some(isRead) ? unknownFeed(from, feed) : feed, place);
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

const awks = new Set(['awk', 'gawk', 'mawk', 'nawk']);
/** An option after which, or in which, code of another language stands: `-c`, `-ne`, `--eval=…`. */
const codeOption = /^-(?:[a-zA-Z]*[ceEpr]$|[ceE]|-eval|-print$)/;
const subcommandPhrases = new Map(
  [...subcommandWrappers].map(([program, list]) => [
    program,
    list.map(([name, wrapper]) => ({
      name,
      wrapper,
      phrase: name.split(' ').map((word) => smallGlob(word)) satisfies Phrase,
    })),
  ]),
);

function readsStdin({ text }: Word): boolean {
  return text === '-' || /^\/(?:dev\/stdin|dev\/fd\/0|proc\/self\/fd\/0)$/.test(text);
}

function isRead({ access, text }: Redirect): boolean {
  return access === 'read' && text?.text !== '';
}
