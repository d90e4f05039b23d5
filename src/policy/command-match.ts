import { type Operand, operandsOf, type Phrase, phraseEnd, surelyBegins, valuedOptions } from './command/operands.ts';
import type { SimpleCommand } from './command/unwrap.ts';
import type { PolicyRule } from './contract.ts';
import { anyGlob, smallGlob, textGlob } from './glob.ts';
import type { Subject } from './subject.ts';

type CommandMatch = NonNullable<PolicyRule['match']['command']>;

/** Whether a rule's condition holds for a subject. */
export type Predicate = (subject: Subject) => boolean;

interface Shape {
  /** The words that are no options. */
  readonly operands: readonly Operand[];
  /** `r`, `force`, `delete`: options without their dashes; of a cluster, every letter. */
  readonly flags: ReadonlySet<string>;
  /** All its arguments, in small letters; an option that is known to take a value also as `--option=value`. */
  readonly small: readonly string[];
}

/** The rules are asked about one command after the other. */
let last: { readonly command: SimpleCommand; readonly shape: Shape } | undefined;

function shapeOf(command: SimpleCommand): Shape {
  if (last?.command !== command) last = { command, shape: readShape(command) };
  return last.shape;
}

function readShape({ program, argv }: SimpleCommand): Shape {
  const takes = valuedOptions(program);
  const flags = new Set<string>();
  const small: string[] = [];
  for (let at = 1, ended = false; at < argv.length; at += 1) {
    const text = argv[at]?.text ?? '';
    small.push(text.toLowerCase());
    if (ended || !text.startsWith('-') || text === '-') continue;
    if (text === '--') ended = true;
    else {
      addFlags(text, flags);
      const short = text.slice(0, 2);
      if (takes.has(text)) small.push(`${text}=${argv[at + 1]?.text ?? ''}`.toLowerCase());
      else if (text.length > 2 && takes.has(short)) small.push(`${short}=${text.slice(2)}`.toLowerCase());
    }
  }
  return { operands: operandsOf(program, argv), flags, small };
}

function addFlags(text: string, flags: Set<string>): void {
  // `--force=false` is not there.
  if (/=(?:false|no|off|0)$/i.test(text)) return;
  const name = text.replace(/^--?/, '').replace(/=.*$/s, '');
  if (name.length <= 64) flags.add(name);
  if (!text.startsWith('--')) for (const letter of name.slice(0, 64)) flags.add(letter);
}

/** `f|force`; a long option may be given by its beginning, as many programs take it. */
function flagTest(text: string): (flags: ReadonlySet<string>) => boolean {
  const names = text.split('|').map((name) => name.replace(/^--?/, ''));
  const globs = names.filter((name) => name.includes('*')).map(textGlob);
  return (flags) =>
    names.some((name) => flags.has(name)) ||
    [...flags].some(
      (flag) => globs.some((glob) => glob(flag)) || (flag.length > 2 && names.some((name) => name.startsWith(flag))),
    );
}

/** What can be read in two ways is taken in the stricter one: a rule that allows must hold for both, any other for one of them. */
function subcommandTest(
  patterns: string | readonly string[],
  allows: boolean,
): (operands: readonly Operand[]) => boolean {
  const phrases = (typeof patterns === 'string' ? [patterns] : patterns).map((pattern) =>
    pattern.split(' ').map((word): Phrase[number] => smallGlob(word)),
  );
  return (operands) =>
    phrases.some((phrase) => (allows ? surelyBegins(phrase, operands) : phraseEnd(phrase, operands) !== -1));
}

/** `!PAGER=cat` leaves a variable out. */
function envTest(patterns: readonly string[]): (assign: string) => boolean {
  const whole = patterns.map((name) => (name.includes('=') ? name : `${name}=*`));
  const wanted = anyGlob(whole.filter((name) => !name.startsWith('!')));
  const unwanted = anyGlob(whole.filter((name) => name.startsWith('!')).map((name) => name.slice(1)));
  return (assign) => wanted(assign) && !unwanted(assign);
}

/** What a rule says about programs, as conditions. */
export function commandPredicates(match: CommandMatch, allows: boolean): Predicate[] {
  const { program, subcommand, flags, args, env, inputs, via, opaque, suspicious, recursive } = match;
  const tests: ((command: SimpleCommand) => boolean)[] = [];
  if (program !== undefined) {
    const glob = smallGlob(program);
    tests.push((command) => command.program !== null && glob(command.program));
  }
  if (opaque !== undefined) tests.push((command) => (command.opaque !== null) === opaque);
  if (recursive !== undefined) tests.push((command) => command.recursive === recursive);
  if (subcommand !== undefined) {
    const test = subcommandTest(subcommand, allows);
    tests.push((command) => test(shapeOf(command).operands));
  }
  for (const flag of flags ?? []) {
    const absent = flag.startsWith('!');
    const test = flagTest(absent ? flag.slice(1) : flag);
    tests.push((command) => test(shapeOf(command).flags) !== absent);
  }
  if (args !== undefined) {
    const glob = smallGlob(args);
    tests.push((command) => shapeOf(command).small.some(glob));
  }
  if (env !== undefined) {
    const test = envTest(typeof env === 'string' ? [env] : env);
    tests.push(({ assigns }) => assigns.some(test));
  }
  if (inputs !== undefined) {
    const glob = anyGlob(inputs);
    tests.push((command) => command.inputs.values().some(glob));
  }
  if (via !== undefined) {
    const glob = anyGlob(via);
    tests.push((command) => command.via.some(glob));
  }
  const found: Predicate[] = tests.map(
    (test) =>
      ({ command }) =>
        command !== null && test(command),
  );
  if (suspicious !== undefined) found.push((subject) => subject.suspicious.length > 0 === suspicious);
  return found;
}

const url = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/@\s]*@)?(\[[^\]]+\]|[^/:?#\s]+)/i;
const remote = /^(?:[\w.-]+@)?([\w.-]+):/;
/** A machine's name without `http://`. */
const bare = /^(localhost|[\w-]+(?:\.[\w-]+)+)(?::\d+)?(?:\/|$)/;
const fetches = new Set(['curl', 'wget', 'http', 'https', 'xh']);
const dials = new Set(['ssh', 'sftp', 'telnet', 'nc', 'ncat', 'netcat', 'ftp', 'mosh', 'ping']);

/** The names of machines that a command speaks to, as far as they stand in its words; `?`: one that nobody knows yet. */
export function hostsOf(command: SimpleCommand): string[] {
  const words = command.argv.slice(1).map(({ text }) => text);
  const found = words.flatMap((text) => url.exec(text.replace(/^--?[\w-]+=/, ''))?.[1] ?? []);
  if (command.program === 'scp' || command.program === 'rsync' || command.program === 'git')
    found.push(...words.flatMap((text) => (text.includes('://') ? [] : (remote.exec(text)?.[1] ?? []))));
  if (fetches.has(command.program ?? '')) {
    for (const { text, known } of command.argv.slice(1)) {
      if (!known && !text.startsWith('-') && !url.test(text)) found.push('?');
      else found.push(...(bare.exec(text)?.slice(1) ?? []));
    }
  }
  if (dials.has(command.program ?? '')) {
    const [first] = shapeOf(command).operands;
    if (first !== undefined) found.push(first.text.replace(/^.*@/, ''));
  }
  return found;
}
