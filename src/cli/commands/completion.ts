import { invalid } from '../../kernel/error.ts';
import { kebab, type Grammar } from '../argv.ts';
import { nouns, operationsOf, verbOf } from '../catalogue.ts';
import { exits, type Command } from '../command.ts';
import { commands } from '../commands.ts';
import { completionScript, type Completable } from '../complete.ts';
import { grammarOf } from '../flags.ts';

const shells = ['bash', 'zsh', 'fish'] as const;

function optionsOf(grammar: Grammar): string[] {
  return ['--help', ...grammar.flags.map((flag) => `--${kebab(flag.key)}`)];
}

/** Everything that can be typed after `maos`. */
async function completables(): Promise<Completable[]> {
  const short = commands.map(async ({ name, summary, load }) => {
    const { grammar } = await load();
    return {
      words: [name],
      summary,
      options: optionsOf(grammar),
      files: name === 'run' || name === 'check' || name === 'restore',
    };
  });
  const derived = nouns.map(async (noun) => {
    const operations = await operationsOf(noun);
    return operations.map((operation) => ({
      words: [noun, verbOf(operation)],
      summary: operation.summary,
      options: optionsOf(grammarOf(operation)),
      files: false,
    }));
  });
  return [...(await Promise.all(short)), ...(await Promise.all(derived)).flat()];
}

export const completionCommand: Command = {
  grammar: {
    positionals: ['shell'],
    flags: [{ key: 'shell', kind: 'choice', choices: shells, required: true, describe: 'Your shell.' }],
  },
  examples: [
    'source <(maos completion bash)                                # in ~/.bashrc',
    'source <(maos completion zsh)                                 # in ~/.zshrc, after compinit',
    'maos completion fish > ~/.config/fish/completions/maos.fish',
  ],
  run: async (shell, args) => {
    const kind = shells.find((known) => known === args.text('shell'));
    if (kind === undefined) throw invalid('Which shell? It is bash, zsh or fish.');
    shell.out.write(completionScript(kind, await completables()));
    return exits.ok;
  },
};
