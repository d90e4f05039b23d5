import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { watchOps } from '../watch/contract.ts';
import { type RunDetail, runOps } from '../workflows/contract.ts';
import { fiftyFiles, fiftyTasks } from './fifty.fixture.ts';
import { Random } from './random.fixture.ts';
import { type LiveServer, Site } from './site.fixture.ts';
import { adoptedAlive, problemsOf } from './verdict.fixture.ts';

/** What became of one seed. */
export interface CrashRun {
  readonly seed: number;
  /** Empty when all is well. */
  readonly problems: readonly string[];
  readonly kills: number;
  /** Sessions that a later server found alive, with the same process. */
  readonly adopted: number;
  readonly records: number;
  readonly ms: number;
  /** What servers noticed and lived with. */
  readonly failures: readonly string[];
  /** Where everything is kept, when it was asked for. */
  readonly kept: string | undefined;
}

export interface CrashRunOptions {
  readonly kills?: number;
  /** Keeps the folders of a run that went wrong. */
  readonly keep?: boolean;
  /** With each server, the git processes that it has started are killed too, whatever they hold. */
  readonly harsh?: boolean;
}

/** When a server is killed: so long after its start, or so long after it has seen so many new records. */
type Moment =
  | { readonly kind: 'start'; readonly ms: number }
  | { readonly kind: 'records'; readonly count: number; readonly ms: number };

function momentsOf(seed: number, kills: number): Moment[] {
  const random = new Random(seed + 1_000_003);
  return Array.from({ length: kills }, () =>
    random.next() < 0.2
      ? { kind: 'start' as const, ms: random.between(20, 500) }
      : { kind: 'records' as const, count: random.between(1, 36), ms: random.between(0, 30) },
  );
}

/**
 * Carries out a plan of fifty tasks with a server that is killed at moments that the seed decides, as often as `kills`
 * says, and judges what is left. A kill comes after so many new records of the log rather than after some time, so the
 * kills spread over the whole run on a slow machine too.
 */
export async function crashRun(
  seed: number,
  { kills = 40, keep = false, harsh = false }: CrashRunOptions = {},
): Promise<CrashRun> {
  const begun = Date.now();
  const site = new Site({ files: fiftyFiles, harsh });
  let problems: string[] = ['It did not come to an end.'];
  try {
    const side = join(site.root, 'side');
    writeFileSync(side, '');
    const tasks = fiftyTasks(seed, side);
    const made = await killed(site, tasks.plan, momentsOf(seed, kills));
    problems = await ended(site);
    problems = [...problems, ...(await problemsOf({ site, tasks, side }))];
    const records = site.records();
    return {
      seed,
      problems,
      kills: made,
      adopted: adoptedAlive(records),
      records: records.length,
      ms: Date.now() - begun,
      failures: site.journal(),
      kept: keep && problems.length > 0 ? site.root : undefined,
    };
  } finally {
    if (!keep || problems.length === 0) await site.destroy();
  }
}

/** Starts the run and kills its servers; ends early when the run does. */
async function killed(site: Site, plan: string, moments: readonly Moment[]): Promise<number> {
  const first = await site.start();
  await first.call(runOps.create, { plan, cwd: site.repository });
  let live: LiveServer | undefined = first;
  let made = 0;
  for (const moment of moments) {
    if (moment.kind === 'start') {
      if (live !== undefined) await live.kill();
      const launched = site.launch();
      await Promise.race([delay(moment.ms), launched.gone]);
      if (launched.child.exitCode !== null) throw new Error(`A server did not start: ${launched.stderr}`);
      await launched.kill();
      live = undefined;
    } else {
      live ??= await site.start();
      if (await goesOn(live, moment.count)) await delay(moment.ms);
      else break;
      await live.kill();
      live = undefined;
    }
    made += 1;
  }
  await live?.kill();
  return made;
}

/** Waits for so many records; false when the run ended first. */
async function goesOn(live: LiveServer, count: number): Promise<boolean> {
  const [{ position } = { position: 0 }] = live.process.site.rows<{ position: number }>(
    'SELECT max(position) AS position FROM log',
  );
  let over = false;
  const seen = await live.see((record) => {
    over ||= record.type === 'run.ended';
    return over || record.position >= position + count;
  }, position);
  if (seen === undefined) throw new Error(`The server died by itself: ${live.process.stderr}`);
  return !over;
}

/** A run in which nothing happens for so long is stuck, however slow the machine is. */
const patienceMs = 45_000;

async function toItsEnd(site: Site, live: LiveServer): Promise<RunDetail> {
  let [last, since] = [0, Date.now()];
  for (;;) {
    const run = await live.call(runOps.get, { run: 'fifty-1' });
    if (run.state !== 'running' && run.report !== null) return run;
    const { position } = await live.call(watchOps.status, {});
    if (position !== last) [last, since] = [position, Date.now()];
    else if (Date.now() > since + patienceMs)
      throw new Error(
        `Nothing has happened for ${patienceMs / 1_000} s. Failing: ${(await live.call(watchOps.status, {})).failing.join('; ')}`,
      );
    await delay(50);
  }
}

/** Lets the last server bring the run to its end and clean up, and stops it. */
async function ended(site: Site): Promise<string[]> {
  const live = await site.start();
  try {
    const state = await toItsEnd(site, live);
    if (state.state !== 'succeeded') return [`The run is ${state.state}: ${state.reason ?? ''}`];
    await site.until(
      'the removal of finished workspaces',
      () => site.rows<{ state: string }>(`SELECT key, state FROM workspace WHERE state <> 'removed'`),
      (open) => open.length === 0,
      20_000,
    );
    return [];
  } catch (error) {
    const { steps } = await live.call(runOps.get, { run: 'fifty-1' });
    const open = steps.filter((step) => step.state !== 'done').map((step) => `${step.id} ${step.state} ${step.phase}`);
    return [`${error instanceof Error ? error.message.slice(0, 500) : String(error)} Open: ${open.join(', ')}.`];
  } finally {
    await live.stop();
  }
}
