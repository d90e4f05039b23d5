import { agentOps } from '../../agents/contract.ts';
import { AppError, type Issue } from '../../kernel/error.ts';
import { runOps } from '../../workflows/contract.ts';
import { workspaceOps } from '../../workspaces/contract.ts';
import type { Flag } from '../argv.ts';
import { connected, exits, printJson, type Command } from '../command.ts';
import type { Connection } from '../connection.ts';
import { findTarget, type Target } from '../target.ts';

const flags: readonly Flag[] = [
  { key: 'what', kind: 'text', required: true, describe: 'A run, a workspace or an agent.' },
  {
    key: 'token',
    kind: 'text',
    describe: 'Names exactly the state that is given up; the refusal without it tells it.',
  },
  { key: 'json', kind: 'boolean', describe: 'Print the answer as JSON.' },
];

type Removable = Extract<Target, { kind: 'run' | 'workspace' | 'agent' }>;

interface Removed {
  readonly answer: unknown;
  readonly lines: readonly string[];
}

async function remove(connection: Connection, target: Removable, token: string | undefined): Promise<Removed> {
  const given = token === undefined ? {} : { token };
  switch (target.kind) {
    case 'run': {
      const answer = await connection.call(runOps.remove, { run: target.run.id, ...given });
      const kept = answer.rescued.map((ref) => `Kept under ${ref}`);
      return {
        answer,
        lines: [`Removed ${target.run.name}: its branch and ${answer.workspaces.length} workspaces.`, ...kept],
      };
    }
    case 'workspace': {
      const answer = await connection.call(workspaceOps.remove, { workspace: target.workspace.id, ...given });
      const kept = answer.rescue === null ? [] : [`Kept under ${answer.rescue}`];
      return { answer, lines: [`Removed ${answer.id}. "maos trash restore ${answer.id}" brings it back.`, ...kept] };
    }
    case 'agent': {
      const answer = await connection.call(agentOps.remove, { agent: target.agent.id });
      return { answer, lines: [`Removed ${answer.name}. Its sessions and their output remain.`] };
    }
  }
}

const shown = 20;

/** What the refusal says would be lost, a line each. */
function losses(details: Readonly<Record<string, unknown>>): Issue[] {
  return Object.entries(details).flatMap(([name, list]) => {
    if (!Array.isArray(list)) return [];
    const told = list.slice(0, shown).map((item) => ({ path: '', message: `${name}: ${sentence(item)}` }));
    return list.length > shown ? [...told, { path: '', message: `${name}: and ${list.length - shown} more` }] : told;
  });
}

function sentence(item: unknown): string {
  if (typeof item !== 'object' || item === null) return String(item);
  return Object.values(item)
    .map((value) => (typeof value === 'string' && /^[0-9a-f]{40}$/.test(value) ? value.slice(0, 10) : String(value)))
    .join(' ');
}

/** Adds to a refusal what would be lost and the exact line that gives it up. */
function explained(error: unknown, word: string): unknown {
  if (!(error instanceof AppError) || error.code !== 'conflict') return error;
  const { details = {} } = error;
  const token = details['token'];
  if (typeof token !== 'string') return error;
  return new AppError('conflict', error.message, {
    fix: `Look at it first (maos diff ${word}); to give it up: maos rm ${word} --token ${token}`,
    issues: losses(details),
    details,
  });
}

export const rmCommand: Command = {
  grammar: { positionals: ['what'], flags },
  detail:
    'When something would be lost it removes nothing, tells what it is, and the exact line that removes it. Even then the commits and files stay under a rescue ref.',
  run: async (shell, args) =>
    connected(shell, { acts: false }, async (connection) => {
      const word = args.need('what');
      const target = await findTarget(connection, word, ['run', 'workspace', 'agent']);
      const { answer, lines } = await remove(connection, target, args.text('token')).catch((error: unknown) => {
        throw explained(error, word);
      });
      if (args.is('json')) printJson(shell.out, answer);
      else shell.out.lines(lines);
      return exits.ok;
    }),
};
