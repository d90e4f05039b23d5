import { watchOps } from '../watch/contract.ts';
import { runOps, type RunDetail } from '../workflows/contract.ts';
import { exits, printJson, type Shell } from './command.ts';
import type { Connection } from './connection.ts';
import { advance, followed, treeOf, type Tree } from './live/tree.ts';
import { noView, viewOf, type View } from './live/view.ts';
import { markdownLines } from './markdown.ts';
import { oneLine } from './text.ts';
import { keepVigil, serverGone } from './vigil.ts';

/** The log's end. Asked for before a run is changed, so that nothing of what follows is missed. */
export async function headOf(connection: Connection): Promise<number> {
  return (await connection.call(watchOps.status, {})).position;
}

/** The report is written by the server after the run's end; this long it is waited for. */
const patience = 5_000;

/** Follows a run until it ended or waits for a person; prints the report. Returns the exit code. */
export async function followRun(
  shell: Shell,
  connection: Connection,
  run: RunDetail,
  after: number,
  json: boolean,
): Promise<number> {
  const stop = new AbortController();
  const view = json ? noView : viewOf(shell.out, shell.clock);
  let interrupted = false;
  const release = shell.onInterrupt(() => {
    if (interrupted) {
      view.close();
      shell.exit(exits.interrupted);
    }
    interrupted = true;
    stop.abort();
  });
  try {
    const gone = keepVigil(shell, connection, stop);
    if (run.state === 'running') await toItsEnd(shell, connection, treeOf(run), after, view, stop);
    view.close();
    if (interrupted) return leave(shell, connection, run.name);
    if (gone()) throw serverGone(`maos resume ${run.name}`);
    return await conclude(shell, connection, run.id, json);
  } finally {
    view.close();
    release();
    stop.abort();
  }
}

/** Reads records until the run goes on no more. */
async function toItsEnd(
  shell: Shell,
  connection: Connection,
  start: Tree,
  after: number,
  view: View,
  stop: AbortController,
): Promise<void> {
  let tree = start;
  view.show(tree);
  const { signal } = stop;
  let cancel: (() => void) | undefined;
  try {
    for await (const record of connection.follow(after, { types: followed }, signal)) {
      const next = advance(tree, record);
      view.show(next, record);
      tree = next;
      if (tree.state === 'waiting') return;
      if (record.type === 'run.reported' && record.stream === tree.run) return;
      if (tree.state !== 'running') cancel ??= shell.clock.after(patience, () => stop.abort());
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    cancel?.();
  }
}

/** After Ctrl-C: what goes on, and how to come back to it. */
function leave({ err }: Shell, { embedded }: Connection, name: string): number {
  err.lines(
    embedded
      ? [`Stopped. Agents that work go on; "maos resume ${name}" or "maos up" picks them up.`]
      : [`Detached: ${name} goes on in the server. "maos watch ${name}" shows it again, "maos stop ${name}" ends it.`],
  );
  return exits.interrupted;
}

/** The last word on a run: its report, where that is, and what can be done next. */
async function conclude(shell: Shell, connection: Connection, id: string, json: boolean): Promise<number> {
  const run = await connection.call(runOps.get, { run: id });
  const { out } = shell;
  if (json) printJson(out, run);
  else {
    const { markdown, file } = await connection.call(runOps.report, { run: id });
    out.lines([
      '',
      ...markdownLines(markdown, out),
      '',
      ...(file === null ? [] : [`Report: ${file}`]),
      ...nextSteps(run, markdown),
    ]);
  }
  return exitOf(run);
}

function exitOf({ state }: RunDetail): number {
  if (state === 'succeeded') return exits.ok;
  return state === 'waiting' ? exits.waiting : exits.failed;
}

/** Commands that help now, without those that the report has named already. */
function nextSteps(run: RunDetail, report: string): string[] {
  const { name, state, target, steps } = run;
  const troubled = steps.filter((step) => step.agent !== null && (step.state === 'failed' || step.state === 'waiting'));
  const commands: readonly (readonly [string, string])[] =
    state === 'succeeded'
      ? [
          [`maos diff ${name}`, 'what it changed'],
          [`maos merge ${name}`, `land it${target === null ? '' : ` on ${target}`}`],
        ]
      : [
          ...troubled.slice(0, 3).map(({ id }) => [`maos logs ${name}/${id}`, 'what its agent printed'] as const),
          [`maos resume ${name}`, 'carry it on'],
        ];
  const fresh = commands.filter(([command]) => !report.includes(command));
  const width = Math.max(0, ...fresh.map(([command]) => command.length));
  return [
    ...(state === 'waiting' && run.reason !== null ? [`It waits for a person: ${oneLine(run.reason)}`] : []),
    ...(fresh.length === 0 ? [] : ['Next:', ...fresh.map(([command, why]) => `  ${command.padEnd(width)}  ${why}`)]),
  ];
}
