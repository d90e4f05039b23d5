import { fold, oddName } from './fold.ts';
import { ScriptReader } from './script.ts';
import { type RawCommand, Sink, type Surroundings } from './sink.ts';
import { type SimpleCommand, Unwrapper } from './unwrap.ts';
import { plainWord } from './word.ts';

/** Longer texts are not read at all. */
const longest = 256 * 1024;

/** What a command would run. */
export interface ReadCommand {
  readonly commands: readonly SimpleCommand[];
  /** Characters that hide what is meant, in words. */
  readonly suspicious: readonly string[];
  /** The text as a person would read it. */
  readonly folded: string;
}

export interface ReadOptions extends Surroundings {
  /** Where it starts; null: nobody knows. */
  readonly cwd: string | null;
}

/** Reads a shell's text. Runs nothing, opens nothing, and always ends. */
export function readCommand(text: string, options: ReadOptions): ReadCommand {
  const { text: folded, suspicious: odd } = fold(text);
  const suspicious = new Set(odd);
  const found = readText(text, options, suspicious);
  for (const { argv } of found) addOdd(argv[0]?.text, suspicious);
  // Both what will run and what it looks like are judged: each may hide the other.
  const commands = folded === text ? found : [...found, ...readText(folded, options, suspicious)];
  return { commands, suspicious: [...suspicious], folded };
}

/** What a program and its arguments would run, with no shell around it. */
export function readArgv(argv: readonly string[], options: ReadOptions): ReadCommand {
  const folds = argv.map(fold);
  const suspicious = new Set(folds.flatMap((one) => one.suspicious));
  addOdd(argv[0], suspicious);
  const found = readWords(argv, options, suspicious);
  const seen = folds.map((one) => one.text);
  const same = seen.every((text, index) => text === argv[index]);
  return {
    commands: same ? found : [...found, ...readWords(seen, options, suspicious)],
    suspicious: [...suspicious],
    folded: seen.join(' '),
  };
}

function addOdd(name: string | undefined, suspicious: Set<string>): void {
  const odd = name === undefined ? null : oddName(name);
  if (odd !== null) suspicious.add(odd);
}

function readText(text: string, options: ReadOptions, suspicious: Set<string>): readonly SimpleCommand[] {
  const sink = new Sink(options, suspicious);
  if (text.length > longest) sink.problems.add(`it is longer than ${longest / 1024} kB`);
  else new ScriptReader({ text, at: 0 }, sink, [], [options.cwd]).read(false);
  return finish(sink, options);
}

function readWords(argv: readonly string[], options: ReadOptions, suspicious: Set<string>): readonly SimpleCommand[] {
  const sink = new Sink(options, suspicious);
  const words = argv.map((text) => ({ ...plainWord(text), bare: false }));
  const command: RawCommand = {
    words,
    assigns: [],
    redirects: [],
    feed: null,
    cwds: [options.cwd],
    via: [],
    recursive: false,
  };
  if (argv.reduce((sum, text) => sum + text.length, 0) > longest)
    sink.problems.add(`it is longer than ${longest / 1024} kB`);
  else sink.add(command);
  return finish(sink, options);
}

function finish(sink: Sink, { cwd }: ReadOptions): readonly SimpleCommand[] {
  const unwrapper = new Unwrapper(sink);
  unwrapper.run();
  if (sink.problems.size === 0) return unwrapper.found;
  const opaque = [...sink.problems].join('; ');
  const none = {
    argv: [],
    assigns: [],
    redirects: [],
    via: [],
    inputs: new Set<string>(),
    remote: false,
    recursive: false,
  };
  return [...unwrapper.found, { ...none, program: null, cwds: [cwd], opaque }];
}
