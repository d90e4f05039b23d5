import { ruleFor, TeamBoundary, type Rule, type Sort } from '../auth/boundary.ts';
import { agentOps } from '../agents/contract.ts';
import { askSubject } from '../budgets/contract.ts';
import type { Boundary } from '../gateway/registry.ts';
import { keptVariable, readsEnvironment } from '../kernel/caller.ts';
import type { Reader } from '../kernel/handler.ts';
import type { Operation } from '../kernel/operation.ts';

/** The team of a project that a column names: by its id, or, where older records have it so, by its name or folder; null: two teams fit. */
const ofProject = (column: string): string => `(SELECT CASE
    WHEN count(DISTINCT coalesce(p.team, '')) > 1 THEN NULL ELSE coalesce(min(p.team), '') END
  FROM project p WHERE ${column} IN (p.id, p.name, p.path))`;

/** An agent’s: that of its project, else its own. */
const ofAgent = (row: string): string =>
  `CASE ${ofProject(`${row}.project`)} WHEN '' THEN coalesce(${row}.team, '') ELSE ${ofProject(`${row}.project`)} END`;

/** A budget’s: that of its project or agent. The fleet’s belongs to no team and not to “no team”: it cannot be told. */
const ofBudget = (row: string): string => `(SELECT CASE b.kind WHEN 'fleet' THEN NULL
    ELSE coalesce((SELECT ${ofAgent('a')} FROM agent a WHERE b.kind = 'agent' AND a.id = b.subject), ${ofProject('b.project')}) END
  FROM budget b WHERE b.id = ${row})`;

/** What belongs to teams, and how that is read from the tables of its room. */
const sorts: readonly Sort[] = [
  { what: 'project', table: 'project', names: ['name', 'path'], team: `coalesce(t.team, '')` },
  { what: 'run', table: 'run', names: ['name'], team: ofProject('t.project') },
  {
    what: 'task',
    table: 'task',
    names: [],
    team: ofProject('coalesce((SELECT r.project FROM run r WHERE r.id = t.run), t.project)'),
  },
  {
    what: 'agent',
    table: 'agent',
    names: ['name'],
    team: ofAgent('t'),
  },
  { what: 'workspace', table: 'workspace', names: ['key'], team: ofProject('t.project') },
  {
    what: 'approval',
    table: 'approval',
    names: [],
    // One that asks for more money is its budget’s: `budget:<id>:…`.
    team: `CASE WHEN t.subject LIKE '${askSubject}%' THEN ${ofBudget(`substr(t.subject, 8, instr(substr(t.subject, 8), ':') - 1)`)}
      ELSE ${ofProject(
        'coalesce((SELECT r.project FROM run r WHERE r.id = t.run), (SELECT a.project FROM agent a WHERE a.id = t.agent))',
      )} END`,
  },
  // Those of no team are for callers that are bound to none.
  { what: 'secret', table: '(SELECT * FROM secret WHERE removed = 0)', names: ['name'], team: 't.team' },
  { what: 'budget', table: 'budget', names: [], team: ofBudget('t.id') },
  { what: 'merge', table: 'merge', names: [], team: ofProject('t.project') },
];

/** Operations whose fields do not say by themselves how teams bound them. */
const teamRules: Readonly<Record<string, Rule>> = {
  'run.create': { names: { continues: 'run' } },
  'run.check': 'everybody',
  'run.list': { filters: { project: 'project' }, rows: { field: 'runs', sort: 'run' } },
  'task.create': {
    names: { project: 'project', run: 'run', parent: 'task', 'needs.*': 'task' },
    needs: { fields: ['project', 'run'] },
  },
  'task.batch': {
    names: {
      'tasks.*.project': 'project',
      'tasks.*.run': 'run',
      'tasks.*.parent': 'task',
    },
    // A need is a ref of the batch, or a whole id.
    ids: { 'tasks.*.needs.*': 'task' },
    needs: { of: 'tasks', fields: ['project', 'run'] },
  },
  'task.list': { rows: { field: 'tasks', sort: 'task' } },
  'task.claim': { names: { task: 'task' }, needs: { fields: ['task'] } },
  'task.heartbeat': { names: { 'claims.*.task': 'task' } },
  'task.depend': { names: { task: 'task', 'needs.*': 'task' } },
  'task.assign': { names: { task: 'task' } },
  'agent.create': { names: { project: 'project' }, team: 'filled' },
  'agent.update': { names: { agent: 'agent', project: 'project' }, team: 'given' },
  'agent.list': { rows: { field: 'agents', sort: 'agent' } },
  'agent.bulk': { names: { 'agents.*': 'agent' }, filters: { project: 'project' }, team: 'given' },
  'runtime.list': 'everybody',
  'workspace.list': { rows: { field: 'workspaces', sort: 'workspace' } },
  'merge.list': { rows: { field: 'merges', sort: 'merge' } },
  'project.add': { team: 'filled', output: 'project' },
  'project.update': { names: { project: 'project' }, team: 'given' },
  'project.list': { rows: { field: 'projects', sort: 'project' } },
  'approval.list': { rows: { field: 'approvals', sort: 'approval' } },
  'approval.approve': { names: { 'approvals.*': 'approval' } },
  'approval.deny': { names: { 'approvals.*': 'approval' } },
  'approval.gate': 'everybody',
  'secret.set': { team: 'filled' },
  'secret.share': { names: { name: 'secret' } },
  'secret.remove': { names: { name: 'secret' } },
  'secret.list': { rows: { field: 'secrets', sort: 'secret' } },
  'budget.set': {
    names: { budget: 'budget', project: 'project', agent: 'agent' },
    needs: { fields: ['budget', 'project', 'agent'] },
  },
  'budget.list': { filters: { project: 'project', run: 'run' }, rows: { field: 'budgets', sort: 'budget' } },
  'audit.list': { records: 'records' },
  'cost.list': { names: { run: 'run' }, needs: { fields: ['run'] } },
  'account.get': 'everybody',
  'account.password': 'everybody',
  'account.enrol': 'everybody',
  'account.confirm': 'everybody',
  'account.unenrol': 'everybody',
  'login.create': 'everybody',
  'login.list': 'everybody',
  'login.end': 'everybody',
  'key.create': 'everybody',
  'key.list': 'everybody',
  'key.revoke': 'everybody',
  'grant.list': 'everybody',
  'grant.revoke': 'everybody',
};

/** How teams bound an operation. */
export function teamRule(operation: Operation): Rule {
  return ruleFor(operation, { rules: teamRules, sorts });
}

/** The variables of the server that a call wants to have read. */
function variablesIn(operation: Operation, input: unknown): string[] {
  if (operation.name !== agentOps.start.name) return [];
  const { passEnv } = agentOps.start.input.safeParse(input).data ?? { passEnv: {} };
  return Object.values(passEnv).filter((from) => typeof from === 'string');
}

/** The boundary, which also keeps the server’s own environment from whoever may not give it away. */
export function withoutEnvironment(boundary: TeamBoundary): Boundary {
  return {
    admit: (caller, operation, input) => {
      const [variable] = readsEnvironment(caller) ? [] : variablesIn(operation, input);
      if (variable !== undefined) throw keptVariable(variable);
      return boundary.admit(caller, operation, input);
    },
    show: (caller, operation, output) => boundary.show(caller, operation, output),
    sees: (caller, record) => boundary.sees(caller, record),
  };
}

/** The boundary between the teams of this server. */
export function teamBoundary(reader: Reader): TeamBoundary {
  return new TeamBoundary({
    reader,
    sorts,
    rules: teamRules,
    inUse: () =>
      reader.get(
        `SELECT 1 FROM project WHERE team IS NOT NULL UNION ALL SELECT 1 FROM agent WHERE team IS NOT NULL LIMIT 1`,
      ) !== undefined,
  });
}
