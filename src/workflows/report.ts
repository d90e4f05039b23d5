import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Budget, budgetOps } from '../budgets/contract.ts';
import { called } from '../budgets/ledger.ts';
import type { Call, Reactor, Reader } from '../kernel/handler.ts';
import { type RunDetail, runEvents, runOps, type Step } from './contract.ts';
import { excerpt } from './excerpt.ts';
import { getRun, getRunDetail } from './rows.ts';

function duration(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60
    ? `${minutes} min ${Math.round((ms % 60_000) / 1_000)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Text of an agent or a command inside a table cell. */
function cell(text: string, limit = 160): string {
  return excerpt(text.trimEnd(), limit)
    .replaceAll(/\p{Cc}+/gu, ' ')
    .replaceAll('|', '\\|');
}

function took(step: Step): string {
  return step.startedAt === null || step.endedAt === null ? '' : duration(step.endedAt - step.startedAt);
}

function change({ changed, commit }: Step): string {
  return changed === null || commit === null
    ? ''
    : `${changed.files} ${changed.files === 1 ? 'file' : 'files'} +${changed.added} −${changed.deleted}`;
}

function proof(step: Step): string {
  const passed = step.evidence.filter((one) => one.passed).length;
  return step.evidence.length === 0 ? '' : `${passed}/${step.evidence.length} checks`;
}

function row(step: Step): string {
  const state = step.reused ? 'done (reused)' : step.state;
  const notes = [
    ...(step.conflicts > 0
      ? [`${step.conflicts} conflict${step.conflicts > 1 ? 's' : ''}${step.state === 'done' ? ' resolved' : ''}`]
      : []),
    ...(step.attempt > 1 ? [`${step.attempt} attempts`] : []),
    ...(step.state === 'done' || step.reason === null ? [] : [step.reason]),
  ];
  const cells = [step.id, step.title, step.runtime, state, took(step), change(step), proof(step), notes.join('; ')];
  return `| ${cells.map((text) => cell(text)).join(' | ')} |`;
}

function money(run: RunDetail): string {
  const { costUsd, tokens, unpriced } = run.spent;
  if (tokens === 0 && costUsd === 0) return 'nothing';
  return `$${costUsd.toFixed(4)}${unpriced ? ' or more (an agent told no price)' : ''}, ${tokens} tokens`;
}

/** One limit of a budget and what has become of it. */
function spendings({ usd, tokens, allowed, used, reserved, left }: Budget): string[] {
  const dollars = (amount: number): string => `$${amount.toFixed(4)}`;
  return [
    ...(usd === null
      ? []
      : [
          `${dollars(used.usd)} of ${dollars(usd + allowed.usd)} used, ${dollars(reserved.usd)} promised, ${dollars(left.usd ?? 0)} left`,
        ]),
    ...(tokens === null
      ? []
      : [
          `${used.tokens} of ${tokens + allowed.tokens} tokens used, ${reserved.tokens} promised, ${left.tokens ?? 0} left`,
        ]),
  ];
}

function next(run: RunDetail): string[] {
  if (run.state === 'succeeded' && run.merged === null)
    return [`Look at it: \`maos diff ${run.name}\`. Land it: \`maos merge ${run.name}\`.`];
  if (run.merged !== null) return [`Landed on ${run.merged.branch}. Take it back: \`maos undo ${run.name}\`.`];
  if (run.state === 'failed' || run.state === 'cancelled')
    return [`Carry on with what did not finish: \`maos resume ${run.name}\`.`];
  return [];
}

function open(run: RunDetail): string[] {
  const left = run.steps.filter((step) => step.state !== 'done');
  if (left.length === 0) return [];
  const failed = new Set(left.filter((step) => step.state !== 'blocked').map((step) => step.id));
  return [
    '## Not done',
    '',
    ...left.map((step) => {
      const because =
        step.state === 'blocked'
          ? `needs ${step.needs.filter((need) => failed.has(need)).join(', ') || 'tasks that are not done'}`
          : (step.reason ?? '');
      return `- **${step.id}** ${step.state}: ${cell(because, 1_000)}`;
    }),
    '',
  ];
}

/** What a run did, as Markdown: for a person who was not there. */
export function reportMarkdown(run: RunDetail, budgets: readonly Budget[], now: number): string {
  const done = run.steps.filter((step) => step.state === 'done').length;
  const time = duration((run.endedAt ?? now) - run.createdAt);
  return [
    `# ${run.name}: ${run.state}`,
    '',
    ...(run.reason === null ? [] : [cell(run.reason, 1_000), '']),
    `- Tasks: ${done} of ${run.steps.length} done in ${time}`,
    `- Repository: ${run.repository}`,
    `- Branch: ${run.branch}, from ${run.base.slice(0, 12)}`,
    `- Used: ${money(run)}`,
    ...budgets.map((budget) => `- ${cell(called(budget))}: ${spendings(budget).join('; ')}`),
    '',
    '| task | title | by | state | time | change | proof | notes |',
    '|---|---|---|---|---|---|---|---|',
    ...run.steps.map(row),
    '',
    ...open(run),
    ...next(run),
    '',
  ].join('\n');
}

/** Writes the report of every run that ends, as Markdown and JSON, and records where. Written whole or not at all. */
export function reporter(options: {
  readonly call: Call;
  readonly reader: Reader;
  readonly folder: string;
  readonly now: () => number;
}): Reactor {
  const { call, reader, folder, now } = options;
  return {
    name: 'run-report',
    types: [runEvents.ended.type],
    react: async ({ stream, position }) => {
      const { report, name, endedAt } = getRun(reader, stream);
      if (endedAt === null) return;
      const file = join(folder, name, 'report.md');
      const run = getRunDetail(reader, stream, now());
      await mkdir(join(folder, name), { recursive: true });
      const { budgets } = await call(budgetOps.list, { run: stream });
      await writeWhole(file, reportMarkdown(run, budgets, now()));
      await writeWhole(
        join(folder, name, 'report.json'),
        `${JSON.stringify({ ...run, budgets, report: file, position }, null, 2)}\n`,
      );
      if (report === null) await call(runOps.note, { run: stream, note: { kind: 'reported', report: file } });
    },
  };
}

async function writeWhole(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}
