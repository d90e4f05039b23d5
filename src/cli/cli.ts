import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import type { Clock } from '../kernel/clock.ts';
import { AppError, invalid } from '../kernel/error.ts';
import { nearest } from '../kernel/nearest.ts';
import type { Operation } from '../kernel/operation.ts';
import { parseArgv, type Grammar, type ReadFile } from './argv.ts';
import { nouns, operationsOf, verbOf } from './catalogue.ts';
import { exits, type Shell } from './command.ts';
import { commands, type CommandEntry } from './commands.ts';
import { complain } from './complain.ts';
import type { Connect, ServerPort } from './connection.ts';
import { helpLines } from './help.ts';
import { nounHelp, topHelp } from './overview.ts';
import { terminalOf, type Stream } from './terminal.ts';

/** The world around one shell line. */
export interface CliOptions {
  /** The words after `maos`. */
  readonly argv: readonly string[];
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly version: string;
  readonly clock: Clock;
  readonly connect: Connect;
  readonly server: ServerPort;
  /** Asks for something that is not shown while it is typed. */
  readonly ask?: (question: string) => Promise<string | undefined>;
  /** Calls the listener on Ctrl-C instead of ending the process, until what it returns is called. */
  readonly onInterrupt: (listener: () => void) => () => void;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
}

/** Carries out one shell line. Resolves to the exit code; never rejects. */
export async function runCli(options: CliOptions): Promise<number> {
  const { argv, stdout, stderr, ...rest } = options;
  const out = terminalOf(stdout, options.env);
  const err = terminalOf(stderr, options.env);
  const shell: Shell = { ...rest, out, err, readFile: fileReader(options.cwd) };
  // What could not be written has no reader: there is nothing left to do, and nobody to tell.
  for (const stream of [stdout, stderr]) stream.on?.('error', () => options.exit(exits.unread));
  const release = keepAlive();
  try {
    return await dispatch(shell, argv);
  } catch (error) {
    return complain(err, error, wantsJson(argv));
  } finally {
    release();
  }
}

/** The timers of a Clock do not keep a process alive; an open port does. */
function keepAlive(): () => void {
  const { port1 } = new MessageChannel();
  port1.ref();
  port1.on('message', () => undefined);
  return () => port1.close();
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json');
}

function wantsHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).some((word) => word === '--help' || word === '-h');
}

function fileReader(cwd: string): ReadFile {
  return (path) => {
    try {
      return readFileSync(path === '-' ? 0 : resolve(cwd, path), 'utf8');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new AppError('not_found', `Cannot read ${path}: ${reason}`, { fix: 'Name a file that can be read.' });
    }
  };
}

async function dispatch(shell: Shell, argv: readonly string[]): Promise<number> {
  const [first = '', ...others] = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  if (first === '' || first === '--help' || first === '-h') {
    // Without a word there is nothing to do; the help says what there is.
    shell.out.lines(topHelp(shell));
    return exits.ok;
  }
  if (first === '--version' || first === '-V') {
    shell.out.lines([shell.version]);
    return exits.ok;
  }
  const known = nouns.includes(first) ? await operationsOf(first) : [];
  const operation = known.find((candidate) => verbOf(candidate) === others[0]);
  if (operation !== undefined) return derived(shell, operation, others.slice(1));
  const command = commands.find((candidate) => candidate.name === first);
  if (command !== undefined) return short(shell, command, others, known);
  if (known.length === 0) throw unknownCommand(first);
  if (others[0] === undefined || wantsHelp(others)) {
    shell.out.lines(nounHelp(shell, first, known));
    return exits.ok;
  }
  throw unknownVerb(first, others[0], known);
}

/** A command that is derived from an operation. */
async function derived(shell: Shell, operation: Operation, argv: readonly string[]): Promise<number> {
  const { helpOf, runDerived } = await import('./derived.ts');
  const page = helpOf(operation);
  if (wantsHelp(argv)) {
    shell.out.lines(helpLines(page, shell.out));
    return exits.ok;
  }
  return runDerived(shell, operation, parse(page.name, page.grammar, argv, shell.readFile));
}

/** A command written by hand. */
async function short(
  shell: Shell,
  entry: CommandEntry,
  argv: readonly string[],
  verbs: readonly Operation[],
): Promise<number> {
  const command = await entry.load();
  const { grammar, detail, examples } = command;
  if (wantsHelp(argv)) {
    const page = {
      name: entry.name,
      summary: entry.summary,
      grammar,
      ...(detail === undefined ? {} : { detail }),
      ...(examples === undefined ? {} : { examples }),
    };
    const also = verbs.length === 0 ? [] : ['', ...nounHelp(shell, entry.name, verbs)];
    shell.out.lines([...helpLines(page, shell.out), ...also]);
    return exits.ok;
  }
  return command.run(shell, parse(entry.name, grammar, argv, shell.readFile));
}

/** A mistake in the words points to the help of the command that was meant. */
function parse(
  name: string,
  grammar: Grammar,
  argv: readonly string[],
  readFile: ReadFile,
): ReturnType<typeof parseArgv> {
  try {
    return parseArgv(grammar, argv, readFile);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'invalid') throw error;
    const see = `maos ${name} --help shows what it takes.`;
    throw invalid(error.message, { fix: error.fix === undefined ? see : `${error.fix}\n${see}` });
  }
}

function unknownCommand(word: string): Error {
  const guess = nearest(word, [...commands.map((command) => command.name), ...nouns]);
  return invalid(`There is no command "${word}".`, {
    fix: guess === undefined ? 'maos --help lists the commands.' : `Did you mean "maos ${guess}"?`,
  });
}

function unknownVerb(noun: string, word: string, operations: readonly Operation[]): Error {
  const verbs = operations.map(verbOf);
  const guess = nearest(word, verbs);
  const known = `maos ${noun} knows ${verbs.join(', ')}.`;
  return invalid(`There is no command "${noun} ${word}".`, {
    fix: guess === undefined ? known : `Did you mean "maos ${noun} ${guess}"? ${known}`,
  });
}
