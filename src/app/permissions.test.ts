import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentOps } from '../agents/contract.ts';
import type { Bounds } from '../auth/boundary.ts';
import { roles } from '../auth/roles.ts';
import { budgetOps } from '../budgets/contract.ts';
import { SseReader } from '../gateway/sse.ts';
import { routeOf } from '../gateway/routes.ts';
import { systemCaller } from '../kernel/caller.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Operation } from '../kernel/operation.ts';
import { approvalOps } from '../policy/approvals/contract.ts';
import { projectOps } from '../projects/contract.ts';
import { secretOps } from '../secrets/contract.ts';
import { taskOps } from '../tasks/contract.ts';
import { watchEvents } from '../watch/contract.ts';
import { runOps } from '../workflows/contract.ts';
import { expandPlan } from '../workflows/expand.ts';
import { parsePlan } from '../workflows/parse.ts';
import { workspaceOps } from '../workspaces/contract.ts';
import { Entrance } from './identity.fixture.ts';
import { operations } from './operations.ts';
import { teamRule } from './teams.ts';

/** One thing of each sort, of one team. */
type Things = Readonly<Record<string, string>>;

let entrance: Entrance;
let red: Things;
let blue: Things;
const bound = new Map<string, string>();
const unbound = new Map<string, string>();
const open = operations.filter((operation) => operation.internal !== true);

/** What docs/permissions.md says of each operation: allowed by role, and the reach of teams. */
const document = new Map(
  readFileSync(new URL('../../docs/permissions.md', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [name = '', , ...cells] = line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim());
      return [
        name.replaceAll('`', ''),
        { allowed: cells.slice(0, -1).map((cell) => cell === 'yes'), reach: cells.at(-1) ?? '' },
      ];
    }),
);

async function thingsOf(team: string): Promise<Things> {
  const call = entrance.server.registry.as(systemCaller('test'));
  const project = (await call(projectOps.record, { path: `/srv/${team}`, name: team, team })).id;
  const { run } = await call(runOps.reserve, { plan: '', cwd: `/srv/${team}`, inputs: {} });
  await call(runOps.record, {
    run,
    name: `${team}-1`,
    project,
    repository: `/srv/${team}`,
    base: 'a'.repeat(40),
    target: null,
    concurrency: 1,
    budget: { usd: null, tokens: null },
    continues: null,
    inputs: {},
    plan: '',
    file: null,
    tasks: expandPlan(parsePlan('name: x\ntasks:\n  - id: a\n    command: "true"\n', { file: 'plan.yaml' })),
  });
  const task = (await call(taskOps.create, { title: team, project })).id;
  const agent = (await call(agentOps.create, { name: team, runtime: 'command', project })).id;
  const workspace = (await call(workspaceOps.reserve, { project, key: team, base: 'main', root: '/srv/trees' })).id;
  const merge = await call(workspaceOps.queueMerge, {
    project,
    branch: 'main',
    commit: 'b'.repeat(40),
    task,
    title: team,
    checks: [],
  });
  const approval = await call(approvalOps.ask, {
    subject: team,
    actor: `agent:${agent}`,
    agent,
    run,
    what: { kind: 'bash', command: 'true' },
    rule: null,
    reason: team,
    risk: 'high',
  });
  const budget = (await call(budgetOps.set, { project, usd: 1 })).id;
  const secret = await call(secretOps.record, { id: `secret_of${team}`, name: 'TOKEN', sealed: '', team });
  return { project, run, task, agent, workspace, merge: merge.id, approval: approval.id, budget, secret: secret.id };
}

beforeAll(async () => {
  entrance = await new Entrance().start();
  [red, blue] = [await thingsOf('red'), await thingsOf('blue')];
  for (const role of roles) {
    bound.set(role, await entrance.loggedIn(`red-${role}`, role, ['red']));
    unbound.set(role, await entrance.loggedIn(`all-${role}`, role));
  }
});
afterAll(() => entrance.destroy());

/** Puts a value where a path like `tasks.*.project` leads. */
function put(into: Record<string, unknown>, [first = '', ...rest]: readonly string[], value: unknown): void {
  const inList = rest[0] === '*';
  const below = inList ? rest.slice(1) : rest;
  if (rest.length === 0) into[first] = value;
  else if (below.length === 0) into[first] = [value];
  else {
    const known = into[first];
    const items: Record<string, unknown>[] = Array.isArray(known) ? known : [{}];
    if (items[0] !== undefined) put(items[0], below, value);
    into[first] = inList ? items : items[0];
  }
}

/** An input that names things of a team, and holds a field that no operation has: it is refused when everything else was allowed. */
function inputFor(operation: Operation, things: Things, team: string): Record<string, unknown> {
  const rule = teamRule(operation);
  const input: Record<string, unknown> = { surprise: '1' };
  for (const name of routeOf(operation).params) input[name] = things[name] ?? 'x';
  if (typeof rule === 'string') return input;
  const { names = {}, filters = {}, needs, team: takesTeam }: Bounds = rule;
  for (const [path, sort] of Object.entries({ ...filters, ...names })) put(input, path.split('.'), things[sort]);
  const [needed = ''] = needs?.fields ?? [];
  if (needs !== undefined && names[needed] === undefined && needs.of === undefined) input[needed] = things[needed];
  if (takesTeam !== undefined) input['team'] = team;
  return input;
}

async function statusOf(operation: Operation, token: string, input: Record<string, unknown>): Promise<number> {
  const { method, path, params } = routeOf(operation);
  const address = path
    .replace('/api/v1', '')
    .replaceAll(/:(\w+)/g, (_all, name: string) => encodeURIComponent(String(input[name])));
  const rest = Object.fromEntries(Object.entries(input).filter(([name]) => !params.includes(name)));
  if (method !== 'GET') return (await entrance.ask(method, address, token, rest)).status;
  const query = new URLSearchParams(
    Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, String(value)])),
  );
  return (await entrance.ask(method, `${address}?${query.toString()}`, token)).status;
}

/** Whether anything in the input of this operation can belong to another team. */
function namesThings(operation: Operation): boolean {
  const rule = teamRule(operation);
  return typeof rule === 'object' && Object.keys({ ...rule.names, ...rule.filters }).length > 0;
}

describe('docs/permissions.md is true of a server', () => {
  it('for every operation', () => {
    expect([...document.keys()].toSorted()).toEqual(open.map(({ name }) => name).toSorted());
  });

  it.each(open.map((operation) => [operation.name, operation] as const))('%s', async (name, operation) => {
    const cells = document.get(name);
    const head = entrance.server.engine.feed.head;
    for (const [index, role] of roles.entries()) {
      const allowed = cells?.allowed[index] === true;
      const reaches = cells?.reach !== '–';
      // The input is refused only after everything else has allowed the call: 400 is "yes".
      const yes = 400;
      const own = await statusOf(operation, bound.get(role) ?? '', inputFor(operation, red, 'red'));
      expect(own, `${role}, own team`).toBe(allowed && reaches ? yes : 403);
      const other = await statusOf(operation, bound.get(role) ?? '', inputFor(operation, blue, 'blue'));
      const hidden = namesThings(operation) ? 404 : yes;
      expect(other, `${role}, other team`).toBe(allowed && reaches ? hidden : 403);
      const any = await statusOf(operation, unbound.get(role) ?? '', inputFor(operation, blue, 'blue'));
      expect(any, `${role}, bound to no team`).toBe(allowed ? yes : 403);
    }
    // That calls were refused is on record; nothing else is.
    const written = entrance.server.engine.feed.read(head).filter(({ type }) => type !== watchEvents.refused.type);
    expect(written).toEqual([]);
  });
});

describe('what another team has', () => {
  const text = (value: unknown): string => JSON.stringify(value);

  it.each(
    open
      .filter((operation) => typeof teamRule(operation) === 'object' && operation.effect === 'read')
      .map((operation) => [operation.name, operation] as const),
  )('%s does not show it', async (_name, operation) => {
    const rule = teamRule(operation);
    if (typeof rule === 'string' || (rule.rows === undefined && rule.records === undefined)) return;
    const { path } = routeOf(operation);
    const answer = await entrance.ask('GET', path.replace('/api/v1', ''), bound.get('admin') ?? '');
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('red');
    for (const id of Object.values(blue)) expect(answer.text).not.toContain(id);
  });

  it('is answered word for word as if it were not there, also for the beginning of its id', async () => {
    const token = bound.get('admin') ?? '';
    for (const [sort, id] of Object.entries(blue)) {
      if (sort === 'merge' || sort === 'secret') continue;
      const theirs = await entrance.ask('GET', `/${sort}s/${id}`, token);
      const none = await entrance.ask('GET', `/${sort}s/${sort}_zzzzzzzzzzzz`, token);
      expect(theirs.status).toBe(404);
      expect(theirs.text.replaceAll(id, 'ID')).toBe(none.text.replaceAll(`${sort}_zzzzzzzzzzzz`, 'ID'));
      const short = id.slice(sort.length + 1, sort.length + 7);
      expect((await entrance.ask('GET', `/${sort}s/${short}`, token)).text.replaceAll(short, 'ID')).toBe(
        none.text.replaceAll(`${sort}_zzzzzzzzzzzz`, 'ID'),
      );
    }
    expect((await entrance.ask('GET', '/agents/blue', token)).status).toBe(404);
    expect((await entrance.ask('GET', '/runs/blue-1', token)).status).toBe(404);
    expect((await entrance.ask('GET', '/runs/red-1', token)).status).toBe(200);
  });

  it('cannot be made a need, a parent or a filter of one’s own', async () => {
    const token = bound.get('coordinator') ?? '';
    for (const extra of [
      { parent: blue['task'] },
      { needs: [blue['task']] },
      { project: blue['project'] },
      { run: blue['run'] },
    ]) {
      const input = { title: 'x', project: red['project'], ...extra };
      expect((await entrance.ask('POST', '/tasks', token, input)).status, text(extra)).toBe(404);
      const batch = { tasks: [{ ...input }] };
      expect((await entrance.ask('POST', '/tasks/batch', token, batch)).status, text(extra)).toBe(404);
    }
    expect((await entrance.ask('POST', '/tasks', token, { title: 'x' })).status).toBe(400);
    expect((await entrance.ask('POST', '/tasks/claim', bound.get('worker') ?? '', { worker: 'w' })).status).toBe(400);
    const own = await entrance.ask('POST', '/tasks', token, { title: 'ours', project: 'red' });
    expect(own).toMatchObject({ status: 200, body: { project: red['project'] } });
  });

  it('is not in the event stream, which follows a project to its new team', async () => {
    const token = bound.get('viewer') ?? '';
    const response = await fetch(`${entrance.url}/api/v1/events?after=0`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const reader = new SseReader();
    const decoder = new TextDecoder();
    const seen: LogRecord[] = [];
    await entrance.owner('POST', '/tasks', { title: 'last', project: red['project'] });
    for await (const chunk of response.body ?? []) {
      for (const { data } of reader.push(decoder.decode(chunk, { stream: true })))
        if (data !== undefined) seen.push(JSON.parse(data));
      if (text(seen).includes('"last"')) break;
    }
    expect(seen.map(({ stream }) => stream)).toEqual(
      expect.arrayContaining([red['project'], red['run'], red['task'], red['agent']]),
    );
    for (const id of Object.values(blue)) expect(text(seen)).not.toContain(id);
    expect(seen.some(({ type }) => type.startsWith('user.'))).toBe(false);
  });

  it('becomes one’s own when the project is given over, and is gone for those who had it', async () => {
    const token = bound.get('viewer') ?? '';
    await entrance.owner('PATCH', `/projects/${blue['project'] ?? ''}`, { team: 'red' });
    for (const sort of ['project', 'run', 'task', 'agent', 'workspace'])
      expect((await entrance.ask('GET', `/${sort}s/${blue[sort] ?? ''}`, token)).status, sort).toBe(200);
    await entrance.owner('PATCH', `/projects/${red['project'] ?? ''}`, { team: null });
    for (const sort of ['project', 'run', 'task', 'agent', 'workspace'])
      expect((await entrance.ask('GET', `/${sort}s/${red[sort] ?? ''}`, token)).status, sort).toBe(404);
  });
});
