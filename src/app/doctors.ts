import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { sessionFindings } from '../agents/findings.ts';
import type { Host, Runtime } from '../agents/runtime.ts';
import type { Call } from '../kernel/handler.ts';
import type { Database } from '../log/database.ts';
import { verifyChain } from '../log/verify.ts';
import { projectOps } from '../projects/contract.ts';
import { signal } from '../runtimes/process/tree.ts';
import type { Finding } from '../watch/contract.ts';
import { hasRun } from '../workflows/rows.ts';
import { workspaceOps } from '../workspaces/contract.ts';
import { diagnose } from '../workspaces/git/doctor.ts';
import { type Git, resolveCommit } from '../workspaces/git/git.ts';
import { readTrash } from '../workspaces/git/remove.ts';
import { inspectRepository, listBranches, requireGit } from '../workspaces/git/repository.ts';
import { unreachableCommits } from '../workspaces/git/rescue.ts';

type Doctor = (repair: boolean) => Promise<Finding[]>;

export interface DoctorOptions {
  readonly reader: Database;
  readonly host: Host;
  readonly git: Git;
  readonly call: Call;
  readonly home: string;
  readonly worktrees: string;
  readonly trash: string;
  /** Whether this server also carries out runs: then checks may be running. */
  readonly acts: boolean;
  readonly runtimes: ReadonlyMap<string, Runtime>;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

function finding(area: string, severity: Finding['severity'], message: string, fix: string | null = null): Finding {
  return { area, severity, message, fix, repaired: false };
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function logDoctor({ reader }: DoctorOptions): Promise<Finding[]> {
  const integrity = reader.get<{ integrity_check: string }>('PRAGMA integrity_check(1)')?.integrity_check;
  if (integrity !== 'ok') {
    return [
      finding(
        'log',
        'problem',
        `The database is damaged: ${integrity ?? 'no answer'}.`,
        'Restore the newest snapshot (maos restore).',
      ),
    ];
  }
  const { records, breaks } = await verifyChain(reader);
  if (breaks.length === 0) return [finding('log', 'ok', `The log's ${records} records are intact.`)];
  return breaks.map(({ message }) => finding('log', 'problem', message, 'Restore the newest snapshot (maos restore).'));
}

async function processDoctor({ reader, host }: DoctorOptions, repair: boolean): Promise<Finding[]> {
  const found = await sessionFindings({ reader, host });
  if (found.length === 0) return [finding('processes', 'ok', 'Sessions and processes agree.')];
  return found.map(({ kind, message, fix, pids }) => {
    const kills = repair && kind === 'left';
    // One that has ended meanwhile is no longer left.
    if (kills) for (const pid of pids) signal(pid, 'SIGKILL');
    return { area: 'processes', severity: 'problem', message, fix, repaired: kills };
  });
}

async function gitDoctor(options: DoctorOptions, repair: boolean): Promise<Finding[]> {
  const { git, call } = options;
  const { projects } = await call(projectOps.list, {});
  const findings: Finding[] = [];
  for (const project of projects) {
    try {
      await inspectRepository(git, project.path);
      findings.push(...(await projectFindings(options, project, repair)), ...(await strayBranches(options, project)));
    } catch (error) {
      const fix = `If it was moved: maos project move ${project.id} NEW-FOLDER, then maos doctor --repair. If it is no longer needed: maos project remove ${project.id}.`;
      findings.push(
        finding('git', 'problem', `The repository of ${project.name} is not at ${project.path}: ${reason(error)}`, fix),
      );
    }
  }
  return findings.length === 0 ? [finding('git', 'ok', 'Workspaces, branches and folders agree.')] : findings;
}

async function projectFindings(
  options: DoctorOptions,
  project: { id: string; path: string },
  repair: boolean,
): Promise<Finding[]> {
  const { git, call, worktrees, trash, acts } = options;
  const list = { project: project.id, limit: 1_000 };
  const present = await call(workspaceOps.list, { ...list, state: ['requested', 'ready'] });
  const gone = await call(workspaceOps.list, { ...list, state: ['failed', 'trashed', 'removed'] });
  const known = [
    ...(await Promise.all(
      present.workspaces.map(async ({ id, path, branch, base }) => {
        const head = (await resolveCommit(git, project.path, `refs/heads/${branch}`)) ?? base;
        return { id, path, branch, state: 'live' as const, head };
      }),
    )),
    ...gone.workspaces.map(({ id, path, branch, state }) => ({
      id,
      path,
      branch,
      state: state === 'failed' ? ('failed' as const) : ('removed' as const),
      head: null,
    })),
  ];
  const folder = join(worktrees, project.id);
  const found = await diagnose(git, { repository: project.path, folder, known, checksRunning: acts });
  const live = new Set(known.filter(({ state }) => state === 'live').map(({ id }) => id));
  const told = found.map(async (one) => {
    // What a removal has begun and not finished is no problem of git's. A removal may also have ended meanwhile.
    if (one.id !== null && live.has(one.id)) {
      if (!isLive((await call(workspaceOps.get, { workspace: one.id })).state)) return [];
      const begun = await readTrash(trash, one.id);
      if (begun !== null)
        return [
          finding(
            'git',
            'notice',
            `The removal of ${one.path} is not finished.`,
            'The next start of the server finishes it.',
          ),
        ];
    }
    const repaired = repair && one.repair !== null;
    if (repaired) await one.repair?.();
    return [{ area: 'git', severity: 'problem' as const, message: one.message, fix: one.fix, repaired }];
  });
  return (await Promise.all(told)).flat();
}

/** The branches of runs, and not those of workspaces (`maos/work/…`) or a person's own below them. */
const runBranches = /^maos\/[^/]+-\d+$/;

/** A crash between a run's branch and its record leaves a branch that holds nothing. It is told, never deleted: it may be another MAOS's. */
async function strayBranches(
  { git, reader }: DoctorOptions,
  project: { id: string; path: string },
): Promise<Finding[]> {
  const branches = (await listBranches(git, project.path, 'maos/')).filter(({ branch }) => runBranches.test(branch));
  const unknown = branches.filter(({ branch }) => !hasRun(reader, project.id, branch));
  const told = unknown.map(async ({ branch, head }) => {
    if ((await unreachableCommits(git, project.path, branch, [head])).length > 0) return [];
    const message = `No run here has the branch ${branch} of ${project.path}, and it holds nothing of its own: a crash may have left it.`;
    const fix = `If no other MAOS works in this repository, delete it: git -C ${project.path} branch -d ${branch}`;
    return [finding('git', 'notice', message, fix)];
  });
  return (await Promise.all(told)).flat();
}

function isLive(state: string): boolean {
  return state === 'ready' || state === 'requested';
}

async function programDoctor({ git, runtimes, environment }: DoctorOptions): Promise<Finding[]> {
  const env = Object.fromEntries(
    Object.entries(environment).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
  const probes = [...runtimes.values()].map(async (runtime) => {
    const { usable, version, fix } = await runtime.probe(env);
    const what = version === null ? runtime.name : `${runtime.name} (${version})`;
    return usable
      ? finding('programs', 'ok', `${what} can be used.`)
      : finding('programs', 'notice', `${what} cannot be used here.`, fix);
  });
  const version = requireGit(git).then(
    (text) => finding('programs', 'ok', `git ${text} can be used.`),
    (error: unknown) => finding('programs', 'problem', reason(error), 'Install git 2.38 or later.'),
  );
  return Promise.all([version, ...probes]);
}

async function diskDoctor({ home }: DoctorOptions): Promise<Finding[]> {
  const { bavail, bsize } = statfsSync(home);
  const free = Math.round((bavail * bsize) / 1_048_576);
  const fix = 'Free some space, or empty the trash (maos trash purge).';
  return [
    free < 500
      ? finding('disk', 'problem', `Only ${free} MB are free in ${home}.`, fix)
      : finding('disk', 'ok', `${free} MB are free in ${home}.`),
  ];
}

/** Everything that `maos doctor` looks at. */
export function doctors(options: DoctorOptions): readonly Doctor[] {
  return [logDoctor, gitDoctor, processDoctor, programDoctor, diskDoctor].map(
    (doctor) => (repair) => doctor(options, repair),
  );
}
