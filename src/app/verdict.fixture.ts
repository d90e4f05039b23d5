import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { LogRecord } from '../kernel/event.ts';
import { openReader } from '../log/open.ts';
import { verifyChain } from '../log/verify.ts';
import { placesIn } from './places.ts';
import type { FiftyTasks } from './fifty.fixture.ts';
import type { Site } from './site.fixture.ts';

/** One start of a command, as the command itself wrote it down. */
interface Start {
  readonly task: string;
  readonly session: string;
  readonly pid: number;
  readonly at: number;
}

/** What is to be judged, after the last server has stopped. */
export interface Case {
  readonly site: Site;
  readonly tasks: FiftyTasks;
  readonly side: string;
}

/** One field of a record's data. */
function part(data: unknown, name: string): unknown {
  return typeof data === 'object' && data !== null
    ? Object.entries(data).find(([key]) => key === name)?.[1]
    : undefined;
}

function startsIn(side: string): Start[] {
  return readFileSync(side, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [name = '', session = '', pid = '', at = ''] = line.split(' ');
      const task = name.slice(name.indexOf('/') + 1).replace(/\.resolve$/, '');
      return { task, session, pid: Number(pid), at: Number(BigInt(at || '0') / 1_000_000n) };
    });
}

/** Everything that is not as it has to be once a run of the fifty tasks has ended, however often its server was killed. */
export async function problemsOf(found: Case): Promise<string[]> {
  const records = found.site.records();
  return [
    ...taskProblems(found, records),
    ...startProblems(found, records),
    ...sessionProblems(records),
    ...gitProblems(found),
    ...leftovers(found),
    ...reportProblems(found, records),
    ...(await chainProblems(found)),
  ];
}

function countBy(records: readonly LogRecord[], type: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const record of records)
    if (record.type === type) counts.set(record.stream, (counts.get(record.stream) ?? 0) + 1);
  return counts;
}

function taskProblems({ tasks }: Case, records: readonly LogRecord[]): string[] {
  const problems: string[] = [];
  const completed = countBy(records, 'task.completed');
  const planned = new Set(records.filter((record) => record.type === 'step.planned').map((record) => record.stream));
  if (planned.size !== tasks.ids.length) problems.push(`${planned.size} tasks were planned, not ${tasks.ids.length}.`);
  for (const task of planned) {
    const times = completed.get(task) ?? 0;
    if (times !== 1) problems.push(`${nameOf(records, task)} was completed ${times} times.`);
  }
  const bad = records.filter(
    (record) => record.type === 'task.failed' || record.type === 'task.released' || record.type === 'task.waiting',
  );
  problems.push(
    ...bad.map((record) => `${nameOf(records, record.stream)}: ${record.type} ${JSON.stringify(record.data)}`),
  );
  const failures = records.filter(
    (record) => record.type === 'step.failed' && nameOf(records, record.stream) !== 'flaky',
  );
  problems.push(
    ...failures.map((record) => `${nameOf(records, record.stream)} failed: ${JSON.stringify(record.data)}`),
  );
  const ends = records.filter((record) => record.type === 'run.ended');
  if (ends.length !== 1 || part(ends[0]?.data, 'state') !== 'succeeded') {
    problems.push(`The run ended ${ends.length} times: ${JSON.stringify(ends.map((record) => record.data))}.`);
  }
  const conflicts = records.filter((record) => record.type === 'step.conflicted').length;
  if (conflicts !== 1) problems.push(`There were ${conflicts} conflicts, not 1.`);
  return problems;
}

/** The id in the plan. */
function nameOf(records: readonly LogRecord[], task: string): string {
  const planned = records.find((record) => record.type === 'step.planned' && record.stream === task);
  const id = part(part(planned?.data, 'planned'), 'id');
  return typeof id === 'string' ? id : task;
}

function startProblems({ tasks, side }: Case, records: readonly LogRecord[]): string[] {
  const problems: string[] = [];
  const starts = startsIn(side);
  const sessions = new Map<string, number>();
  for (const { session } of starts) sessions.set(session, (sessions.get(session) ?? 0) + 1);
  for (const [session, times] of sessions)
    if (times !== 1) problems.push(`Session ${session} was started ${times} times.`);
  const conflicted = records
    .filter((record) => record.type === 'step.conflicted')
    .map((record) => nameOf(records, record.stream));
  for (const [id, expected] of tasks.starts) {
    const resolved = tasks.resolverMarks ? conflicted.filter((name) => name === id).length : 0;
    const times = starts.filter((start) => start.task === id).length;
    if (times !== expected + resolved)
      problems.push(`The command of ${id} was started ${times} times, not ${expected + resolved}.`);
  }
  for (const record of records.filter(({ type }) => type === 'task.completed')) {
    const id = nameOf(records, record.stream);
    const late = starts.filter((start) => start.task === id && start.at > record.at);
    if (late.length > 0) problems.push(`${id} was started again after it had been completed.`);
  }
  const wanted = records.filter((record) => record.type === 'session.requested').length;
  if (wanted !== tasks.sessions) problems.push(`${wanted} sessions were asked for, not ${tasks.sessions}.`);
  return problems;
}

/** Each session has one process, ends once, and not with a guess. */
function sessionProblems(records: readonly LogRecord[]): string[] {
  const problems: string[] = [];
  const seen = new Map<string, { processes: Set<string>; ends: number }>();
  for (const { type, stream, data } of records) {
    if (!type.startsWith('session.')) continue;
    const name = `${stream}/${String(part(data, 'generation'))}`;
    const session = seen.get(name) ?? { processes: new Set(), ends: 0 };
    seen.set(name, session);
    if (type === 'session.started')
      session.processes.add(`${String(part(data, 'pid'))} ${String(part(data, 'startTime'))}`);
    if (type !== 'session.ended') continue;
    session.ends += 1;
    if (!/^exit \d+$/.test(String(part(data, 'exit'))))
      problems.push(`Session ${name} ended with ${String(part(data, 'exit'))}.`);
  }
  for (const [name, { processes, ends }] of seen) {
    if (processes.size !== 1)
      problems.push(`Session ${name} had ${processes.size} processes: ${[...processes].join(', ')}.`);
    if (ends !== 1) problems.push(`Session ${name} ended ${ends} times.`);
  }
  return problems;
}

/** How many sessions were found alive by a later server, with the process that an earlier one had started. */
export function adoptedAlive(records: readonly LogRecord[]): number {
  const first = new Map<string, string>();
  const adopted = new Set<string>();
  for (const { type, stream, data } of records) {
    if (type !== 'session.started') continue;
    const name = `${stream}/${String(part(data, 'generation'))}`;
    const process = `${String(part(data, 'pid'))} ${String(part(data, 'startTime'))}`;
    if (part(data, 'adopted') === true && first.get(name) === process) adopted.add(name);
    if (!first.has(name)) first.set(name, process);
  }
  return adopted.size;
}

function gitProblems({ site, tasks }: Case): string[] {
  const problems: string[] = [];
  const files = new Set(site.git('ls-tree', '-r', '--name-only', 'maos/fifty-1').split('\n'));
  const missing = tasks.files.filter((file) => !files.has(file));
  if (missing.length > 0) problems.push(`The run's branch lacks ${missing.join(', ')}.`);
  const surplus = [...files].filter(
    (file) => !tasks.files.includes(file) && !['.gitignore', 'src/main.txt'].includes(file),
  );
  if (surplus.length > 0) problems.push(`The run's branch has ${surplus.join(', ')}.`);
  if (site.git('show', 'maos/fifty-1:shared.txt').split('\n').toSorted().join() !== 'left,right')
    problems.push('The conflict was not resolved.');
  const branches = site.git('for-each-ref', '--format=%(refname)').split('\n');
  const expected = ['refs/heads/main', 'refs/heads/maos/fifty-1'];
  const left = branches.filter((branch) => !expected.includes(branch));
  if (left.length > 0) problems.push(`Refs are left: ${left.join(', ')}.`);
  const worktrees = site.git('worktree', 'list').split('\n');
  if (worktrees.length !== 1) problems.push(`Worktrees are left: ${worktrees.join('; ')}.`);
  if (site.git('status', '--porcelain') !== '')
    problems.push(`The user's checkout was changed: ${site.git('status', '--porcelain')}.`);
  const check = site.git('fsck', '--no-dangling', '--no-progress');
  if (check !== '') problems.push(`git fsck: ${check}`);
  return problems;
}

function leftovers({ site, tasks }: Case): string[] {
  const problems = site.processes().map(({ pid, command }) => `Process ${pid} is left: ${command.slice(0, 200)}`);
  const places = placesIn(site.home);
  const locks = filesBelow(join(site.repository, '.git')).filter((file) => file.endsWith('.lock'));
  problems.push(...locks.map((file) => `A lock is left: ${file}`));
  for (const folder of [places.checks, places.trash, join(site.root, 'tmp')]) {
    // A fake agent's memory is its own.
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith('maos-fake-')) : [];
    if (names.length > 0) problems.push(`${folder} holds ${names.join(', ')}.`);
  }
  const drafts = filesBelow(site.home).filter((file) => /\.(new|partial|restore)$/.test(file));
  problems.push(...drafts.map((file) => `A half written file is left: ${file}`));
  const trees = existsSync(places.worktrees)
    ? readdirSync(places.worktrees).flatMap((name) => readdirSync(join(places.worktrees, name)))
    : [];
  if (trees.length > 0) problems.push(`Folders of worktrees are left: ${trees.join(', ')}.`);
  const open = site.rows<{ id: string; key: string; state: string; holder: string | null }>(
    `SELECT id, key, state, holder FROM workspace WHERE state <> 'removed'`,
  );
  problems.push(
    ...open.map((row) => `Workspace ${row.id} (${row.key}) is ${row.state}, held by ${row.holder ?? 'nobody'}.`),
  );
  const merges = site.rows<{ state: string }>(`SELECT state FROM merge WHERE state NOT IN ('landed', 'conflict')`);
  if (merges.length > 0) problems.push(`${merges.length} merges are not done.`);
  const agents = site.rows<{ id: string }>(`SELECT id FROM agent WHERE state NOT IN ('idle', 'removed')`);
  if (agents.length > 0) problems.push(`${agents.length} agents are still at work according to the log.`);
  if (tasks.ids.length !== 50) problems.push('The plan does not have fifty tasks.');
  return problems;
}

function filesBelow(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function reportProblems({ site }: Case, records: readonly LogRecord[]): string[] {
  const reported = records.filter((record) => record.type === 'run.reported');
  if (reported.length !== 1) return [`The report was recorded ${reported.length} times.`];
  const file = String(part(reported[0]?.data, 'report'));
  if (!existsSync(file)) return [`The report ${file} is not there.`];
  const text = readFileSync(file, 'utf8');
  const ended = records.find((record) => record.type === 'run.ended');
  const json: unknown = JSON.parse(readFileSync(join(site.home, 'runs/fifty-1/report.json'), 'utf8'));
  return [
    ...(text.includes('succeeded') && text.includes('50 of 50') ? [] : [`The report says: ${text.slice(0, 300)}`]),
    ...(part(json, 'state') === 'succeeded' && part(json, 'position') === ended?.position
      ? []
      : ['report.json is not of this end.']),
  ];
}

async function chainProblems({ site }: Case): Promise<string[]> {
  const reader = openReader(placesIn(site.home).database);
  try {
    const { breaks } = await verifyChain(reader);
    return breaks.map(({ message }) => `audit.verify: ${message}`);
  } finally {
    reader.close();
  }
}
