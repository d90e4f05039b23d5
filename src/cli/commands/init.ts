import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Flag } from '../argv.ts';
import { exits, printJson, type Command, type Shell } from '../command.ts';
import { unifiedDiff } from '../init/diff.ts';
import { carryOut, type FilePlan, planInstall, planUninstall } from '../init/install.ts';
import { repositoryAround } from '../init/repository.ts';

const flags: readonly Flag[] = [
  { key: 'dryRun', kind: 'boolean', describe: 'Show what would be written, as a diff, and write nothing.' },
  { key: 'json', kind: 'boolean', describe: 'Print what was done as JSON.' },
];

function deed({ before, after }: FilePlan): string {
  if (before === after) return 'as it was';
  if (before === null) return 'made';
  return after === null ? 'removed' : 'changed';
}

function tell(shell: Shell, root: string, plans: readonly FilePlan[], options: { dry: boolean; json: boolean }): void {
  const { out, err } = shell;
  if (options.json) {
    printJson(out, { root, files: plans.map((plan) => ({ file: plan.file, done: deed(plan), left: plan.left })) });
    return;
  }
  if (options.dry) out.write(plans.map(({ file, before, after }) => unifiedDiff(file, before, after)).join(''));
  else out.lines(plans.map((plan) => `${deed(plan).padEnd(9)}  ${plan.file}`));
  for (const { file, left } of plans) err.lines(left.map((why) => `${file} is left as it is: ${why}.`));
}

/** Agent programs start MAOS by its name. */
function isOnPath({ env }: Shell): boolean {
  return (env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, 'maos'), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

const hooks: Flag = {
  key: 'hooks',
  kind: 'boolean',
  default: true,
  describe: 'Ask the rules of MAOS before each tool call of Claude Code and Codex. Default: yes.',
};

export const initCommand: Command = {
  grammar: { positionals: [], flags: [...flags, hooks] },
  detail:
    'Adds to .mcp.json, .claude/settings.json, .codex/config.toml and .codex/hooks.json, and writes a skill; nothing else in them changes. ' +
    'A thing of the same name that is there already is left and named. "maos uninstall" takes back exactly what was written.',
  examples: ['maos init --dry-run', 'maos init'],
  run: async (shell, args) => {
    const root = repositoryAround(shell.cwd);
    const plans = planInstall(shell.server.home, root, { hooks: args.values['hooks'] !== false });
    const dry = args.is('dryRun');
    if (!dry) carryOut(shell.server.home, root, plans, true);
    tell(shell, root, plans, { dry, json: args.is('json') });
    if (!isOnPath(shell))
      shell.err.lines(['No "maos" is on the PATH, where agent programs look for it: npm install -g maos']);
    return plans.some(({ left }) => left.length > 0) ? exits.failed : exits.ok;
  },
};

export const uninstallCommand: Command = {
  grammar: { positionals: [], flags },
  detail: 'What was changed since is left and named.',
  run: async (shell, args) => {
    const root = repositoryAround(shell.cwd);
    const plans = planUninstall(shell.server.home, root);
    const dry = args.is('dryRun');
    if (!dry) carryOut(shell.server.home, root, plans, false);
    if (plans.length === 0 && !args.is('json')) shell.out.lines([`MAOS has written nothing in ${root}.`]);
    else tell(shell, root, plans, { dry, json: args.is('json') });
    return plans.some(({ left }) => left.length > 0) ? exits.failed : exits.ok;
  },
};
