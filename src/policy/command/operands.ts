import type { Word } from './word.ts';

/** Options before the subcommand that certainly take a value of their own. */
const valued: Readonly<Record<string, string>> = {
  git: '-C -c --git-dir --work-tree --namespace --exec-path --config-env --super-prefix --attr-source --list-cmds --config --template',
  docker:
    '-H --host --context -c --config -l --log-level --tlscacert --tlscert --tlskey -f --file -p --project-name --profile --project-directory --env-file',
  'docker-compose': '-f --file -p --project-name --profile --project-directory --env-file',
  podman: '--connection -c --url --root --log-level',
  kubectl:
    '-n --namespace --context --kubeconfig --cluster --user -s --server --as -o --output -l --selector -f --filename',
  helm: '-n --namespace --kube-context --kubeconfig',
  npm: '--prefix -w --workspace -C --registry --tag --otp --loglevel --userconfig --cache --omit --include --access',
  pnpm: '-C --dir --filter -F --reporter --loglevel',
  yarn: '--cwd',
  aws: '--profile --region --output --endpoint-url --query',
  gcloud: '--project --account --configuration --format',
  gh: '-R --repo',
  pip: '-r --requirement -e --editable -c --constraint -i --index-url --extra-index-url',
  pip3: '-r --requirement -e --editable -c --constraint -i --index-url --extra-index-url',
  cargo: '--manifest-path -C --color --config -Z -p --package --features --target',
  systemctl: '-H --host -M --machine -t --type',
  poetry: '-C --directory -P --project',
  uv: '--directory --project --python -p --with --extra --group',
};
const valuedSets = new Map(Object.entries(valued).map(([name, list]) => [name, new Set(list.split(' '))]));
/** Of these, every option with a value that may stand before the subcommand is listed. */
const complete = new Set(['git']);

const nothing: ReadonlySet<string> = new Set();

/** The options of a program that certainly take a value. */
export function valuedOptions(program: string | null): ReadonlySet<string> {
  return valuedSets.get(program ?? '') ?? nothing;
}

/** A word that is no option. */
export interface Operand {
  /** In small letters. */
  readonly text: string;
  /** Where it stands. */
  readonly at: number;
  /** It stands behind an option of which nobody here knows whether it takes a value: it may be that value. */
  readonly maybe: boolean;
}

/** The words of a command that are no options, nor the values of such that are known. */
export function operandsOf(program: string | null, argv: readonly Word[]): Operand[] {
  const takes = valuedOptions(program);
  const known = program !== null && complete.has(program);
  const found: Operand[] = [];
  let maybe = false;
  for (let at = 1, ended = false; at < argv.length; at += 1) {
    const text = argv[at]?.text ?? '';
    if (ended || !text.startsWith('-') || text === '-') {
      // `cargo +nightly publish`: a toolchain, and what comes first is what it is asked to do.
      if (found.length > 0 || !text.startsWith('+'))
        found.push({ text: text.toLowerCase(), at, maybe: maybe && !ended });
      maybe = false;
    } else if (text === '--') ended = true;
    else {
      if (takes.has(text)) at += 1;
      else maybe = !known && !text.includes('=');
    }
  }
  return found;
}

/** Tests for the words of a subcommand, one after the other: `remote add`. */
export type Phrase = readonly ((small: string) => boolean)[];

/**
 * Where the words of a subcommand end; -1: they are not there. What may be the value of an option is taken for one as well as for a
 * word: `npm --x y publish` is read both ways.
 */
export function phraseEnd(phrase: Phrase, operands: readonly Operand[]): number {
  let open = [0];
  for (const { text, at, maybe } of operands) {
    const next = maybe ? [...open] : [];
    for (const index of open) {
      if (phrase[index]?.(text) !== true) continue;
      if (index + 1 === phrase.length) return at;
      if (!next.includes(index + 1)) next.push(index + 1);
    }
    if (next.length === 0) return -1;
    open = next;
  }
  return -1;
}

/** Whether the words of a subcommand are there, however the options are read. */
export function surelyBegins(phrase: Phrase, operands: readonly Operand[]): boolean {
  return phrase.every((fits, index) => {
    const operand = operands[index];
    return operand !== undefined && !operand.maybe && fits(operand.text);
  });
}
