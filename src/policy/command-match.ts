import type { SimpleCommand } from './command/unwrap.ts';
import type { PolicyRule } from './contract.ts';
import { anyGlob, smallGlob, textGlob } from './glob.ts';
import type { Subject } from './subject.ts';

type CommandMatch = NonNullable<PolicyRule['match']['command']>;

/** Whether a rule's condition holds for a subject. */
export type Predicate = (subject: Subject) => boolean;

/** Options before the subcommand that take a value of their own. */
const valued: Readonly<Record<string, string>> = {
  git: '-C -c --git-dir --work-tree --namespace --exec-path --config-env',
  docker: '-H --host --context -c --config -l --log-level',
  podman: '--connection -c --url --root --log-level',
  kubectl: '-n --namespace --context --kubeconfig --cluster --user -s --server --as',
  helm: '-n --namespace --kube-context --kubeconfig',
  npm: '--prefix -w --workspace -C --registry',
  pnpm: '-C --dir --filter -F',
  yarn: '--cwd',
  aws: '--profile --region --output --endpoint-url --query',
  gcloud: '--project --account --configuration --format',
  gh: '-R --repo',
  pip: '-r --requirement -e --editable -c --constraint -i --index-url',
  pip3: '-r --requirement -e --editable -c --constraint -i --index-url',
  cargo: '--manifest-path -C --color --config',
  systemctl: '-H --host -M --machine -t --type',
};
const valuedSets = new Map(Object.entries(valued).map(([name, list]) => [name, new Set(list.split(' '))]));

interface Shape {
  /** The words that are no options. */
  readonly operands: readonly string[];
  /** `r`, `force`, `delete`: options without their dashes; of a cluster, every letter. */
  readonly flags: ReadonlySet<string>;
  /** All its arguments, in small letters. */
  readonly small: readonly string[];
}

const shapes = new WeakMap<SimpleCommand, Shape>();

function shapeOf(command: SimpleCommand): Shape {
  const known = shapes.get(command);
  if (known !== undefined) return known;
  const shape = readShape(command);
  shapes.set(command, shape);
  return shape;
}

function readShape({ program, argv }: SimpleCommand): Shape {
  const takes = valuedSets.get(program ?? '');
  const operands: string[] = [];
  const flags = new Set<string>();
  for (let at = 1, ended = false; at < argv.length; at += 1) {
    const text = argv[at]?.text ?? '';
    if (ended || !text.startsWith('-') || text === '-') operands.push(text);
    else if (text === '--') ended = true;
    else {
      if (takes?.has(text) === true) at += 1;
      const name = text.replace(/^--?/, '').replace(/=.*$/s, '');
      if (name.length <= 64) flags.add(name);
      if (!text.startsWith('--')) for (const letter of name.slice(0, 64)) flags.add(letter);
    }
  }
  return { operands, flags, small: argv.slice(1).map(({ text }) => text.toLowerCase()) };
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

function subcommandTest(patterns: string | readonly string[]): (operands: readonly string[]) => boolean {
  const tests = (typeof patterns === 'string' ? [patterns] : patterns).map((pattern) => {
    const glob = textGlob(pattern);
    const count = pattern.split(' ').length;
    return (operands: readonly string[]) => operands.length >= count && glob(operands.slice(0, count).join(' '));
  });
  return (operands) => tests.some((test) => test(operands));
}

/** What a rule says about programs, as conditions. */
export function commandPredicates(match: CommandMatch): Predicate[] {
  const { program, subcommand, flags, args, env, inputs, via, opaque, suspicious, recursive } = match;
  const tests: ((command: SimpleCommand) => boolean)[] = [];
  if (program !== undefined) {
    const glob = smallGlob(program);
    tests.push((command) => command.program !== null && glob(command.program));
  }
  if (opaque !== undefined) tests.push((command) => (command.opaque !== null) === opaque);
  if (recursive !== undefined) tests.push((command) => command.recursive === recursive);
  if (subcommand !== undefined) {
    const test = subcommandTest(subcommand);
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
    const glob = anyGlob(
      (typeof env === 'string' ? [env] : env).map((name) => (name.includes('=') ? name : `${name}=*`)),
    );
    tests.push(({ assigns }) => assigns.some(glob));
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
    if (first !== undefined) found.push(first.replace(/^.*@/, ''));
  }
  return found;
}
