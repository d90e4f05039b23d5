import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { agentEvents, agentOps } from '../agents/contract.ts';
import { sessionsOf } from '../agents/roster.ts';
import type { RunnerOptions } from '../agents/runner.ts';
import type { TeamBoundary } from '../auth/boundary.ts';
import type { RegistryOptions } from '../gateway/registry.ts';
import { actorName, systemActor } from '../kernel/actor.ts';
import type { Caller } from '../kernel/caller.ts';
import { systemClock } from '../kernel/clock.ts';
import type { Call, Reactor, Reader } from '../kernel/handler.ts';
import { AppError } from '../kernel/error.ts';
import { canonicalJson, sha256 } from '../kernel/hash.ts';
import { hookLine } from '../kernel/hook-line.ts';
import type { Operation } from '../kernel/operation.ts';
import { approvalEvents, approvalOps } from '../policy/approvals/contract.ts';
import { type Asking, Gate, type Place } from '../policy/approvals/gate.ts';
import { findEntry } from '../policy/approvals/views.ts';
import type { PolicyBook } from '../policy/book.ts';
import type { Action, Decision } from '../policy/contract.ts';
import { strictest } from '../policy/decide.ts';
import type { Vault } from '../secrets/vault.ts';
import { listSecrets } from '../secrets/views.ts';
import { taskOps } from '../tasks/contract.ts';
import type { CommandGate } from '../workflows/permit.ts';

/** Who says what the rules are. */
export interface Judge {
  readonly judge: (action: Action) => Decision | Promise<Decision>;
  readonly asking: (rule: string | null) => Asking;
}

/** The rules of this machine, as a judge. */
export function judgeOf(book: PolicyBook): Judge {
  return {
    judge: (action) => book.judge(action),
    asking: (rule) => askingOf(rule === null ? undefined : book.rule(rule)),
  };
}

const unitMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What a rule says about those who are asked. */
function askingOf(rule: { quorum?: number | undefined; answerWithin?: string | undefined } | undefined): Asking {
  const within = rule?.answerWithin;
  return {
    quorum: rule?.quorum ?? null,
    answerWithinMs: within === undefined ? null : Number(within.slice(0, -1)) * (unitMs[within.slice(-1)] ?? 0),
  };
}

/** The gate of this server. */
export function makeGate(reader: Reader, boundary: TeamBoundary, judge: Judge, vault: Vault): Gate {
  return new Gate({
    ...judge,
    placeOf: (agent) => placeOf(reader, boundary, agent),
    // Of all secrets: who asks may have got one that was not meant for it.
    mask: () => vault.mask(listSecrets(reader).map(({ name }) => name)),
    clock: systemClock,
  });
}

function placeOf(reader: Reader, boundary: TeamBoundary, agent: string): Place | undefined {
  const [session] = sessionsOf(reader, agent, 1);
  if (session === undefined) return undefined;
  const { cwd, task } = session.request;
  const role = reader.get<{ role: string | null }>(
    `SELECT config ->> 'role' AS role FROM session WHERE agent = ? ORDER BY generation DESC`,
    agent,
  )?.role;
  const run =
    task === null ? undefined : reader.get<{ run: string | null }>('SELECT run FROM task WHERE id = ?', task)?.run;
  return { workspace: cwd, task, run: run ?? null, role: role ?? null, team: boundary.teamOf('agent', agent) || null };
}

/** Asks before a task's command is started. Its entry stands for the task and the command: every attempt finds it again. */
export function commandGate(gate: Gate, boundary: TeamBoundary, call: Call): CommandGate {
  return async ({ task, run, argv, cwd, env }) => {
    const deed: Action = {
      ...bashDeed(argv),
      cwd,
      env,
      workspace: cwd,
      actor: systemActor(`task ${task}`),
      at: systemClock.now(),
      ...teamOf(boundary.teamOf('task', task)),
    };
    const subject = `task:${task}:${sha256(JSON.stringify(argv))}`;
    return gate.decide(call, deed, { subject, task, run, standing: true });
  };
}

/** What the rules say about an operation. MAOS's own parts are not asked: they carry out what was decided before. */
export function operationRules(book: PolicyBook, boundary: TeamBoundary): NonNullable<RegistryOptions['decide']> {
  return (caller, operation, input) => {
    if (caller.actor.kind === 'system') return free;
    const said = book.decide(operationDeed(caller, operation, boundary));
    const started = operation.name === agentOps.start.name ? agentOps.start.input.safeParse(input) : undefined;
    const { argv, cwd } = started?.data ?? { argv: null };
    if (argv === null || cwd === undefined) return said;
    const command = book.decide({ ...bashDeed(argv), cwd, actor: caller.actor, at: systemClock.now() });
    // A person who starts a command has decided already; what is blocked is blocked for everybody.
    return caller.actor.kind === 'agent' || command.effect === 'block' ? strictest(said, command) : said;
  };
}

/** A command as the rules read it: the line that a shell gets, or the program and its arguments. */
function bashDeed(argv: readonly string[]): Pick<Action, 'kind' | 'argv' | 'command'> {
  const [shell, flag, line, ...more] = argv;
  const script = shell === 'sh' && flag === '-c' && line !== undefined && more.length === 0 ? line : undefined;
  return { kind: 'bash', ...(script === undefined ? { argv } : { command: script }) };
}

const free: Decision = { effect: 'allow', risk: 'low', rule: null, reason: 'MAOS itself calls.' };

const teamOf = (team: string | undefined): { team?: string } => (team ? { team } : {});

function operationDeed({ actor, teams, role }: Caller, { name }: Operation, boundary: TeamBoundary): Action {
  const team = actor.kind === 'agent' ? boundary.teamOf('agent', actor.id) : teams?.length === 1 ? teams[0] : undefined;
  return {
    kind: 'operation',
    operation: name,
    actor,
    at: systemClock.now(),
    ...teamOf(team),
    ...(role === undefined ? {} : { role }),
  };
}

/**
 * Holds back an operation that a rule wants to be asked about: the call is refused with the entry of the inbox, and the same call is
 * carried out, once, when it comes again after the approval. What was refused is asked anew after a while, but not under the same key.
 */
export function operationGate(gate: Gate, boundary: TeamBoundary, call: Call): NonNullable<RegistryOptions['ask']> {
  return async (caller, operation, input, decision, key) => {
    const { actor } = caller;
    const { text, hidden } = withoutSecrets(operation, input);
    const deed: Action = { ...operationDeed(caller, operation, boundary), command: text };
    // Of the whole input: what is shown leaves out secrets, and what is very long.
    const subject = `call:${actorName(actor)}:${operation.name}:${digestOf(operation, input)}`;
    const agent = actor.kind === 'agent' ? { agent: actor.id } : {};
    const errand = { subject, ...agent, hidden, key, again: true };
    const { effect, reason, entry } = await gate.asked(call, deed, decision, errand);
    if (effect === 'allow') return void (await call(approvalOps.use, { approval: entry.id, key: key ?? null }));
    const waits = effect === 'wait';
    const fix = waits
      ? 'Repeat the call when somebody has approved it.'
      : 'Ask a person. Made again some minutes later, without this idempotency key, the call asks anew.';
    throw new AppError('forbidden', reason, { fix, details: { approval: entry.id, rule: entry.rule, waits } });
  };
}

/** Nobody who reads the log can try out secrets against a hash whose salt is nowhere; after a restart such a call asks anew. */
const salt = randomUUID();

function digestOf({ secrets = [] }: Operation, input: unknown): string {
  return sha256(`${secrets.length === 0 ? '' : salt}${canonicalJson(input)}`);
}

const mostShown = 100_000;

/** An input as whoever answers sees it, and what of it they do not see. */
function withoutSecrets({ secrets = [] }: Operation, input: unknown): { text: string; hidden: string | null } {
  const entries = typeof input === 'object' && input !== null ? Object.entries(input) : [];
  const fields = entries.map(([name, value]) => [name, secrets.includes(name) ? '***' : value]);
  const text = canonicalJson(entries.length === 0 ? input : Object.fromEntries(fields));
  const secret = secrets.length === 0 ? null : 'fields that hold secrets are not shown';
  return { text: text.slice(0, mostShown), hidden: text.length > mostShown ? 'the end of it is cut off' : secret };
}

/** What happens when an entry is answered, and when nobody needs an answer any more. */
export function gateReactors(gate: Gate, call: Call, reader: Reader, home: string): Reactor[] {
  const { approved, denied, expired } = approvalEvents;
  return [
    gate.reactor(),
    {
      name: 'approval-tasks',
      types: [approved.type, denied.type, expired.type],
      react: async ({ stream }) => {
        const { standing, task } = findEntry(reader, stream);
        if (!standing || task === null) return;
        // It looks again, and goes on or fails by what it finds.
        if ((await call(taskOps.get, { task })).state === 'waiting') await call(taskOps.retry, { task });
      },
    },
    {
      name: 'approval-agents',
      types: [agentEvents.ended.type],
      react: async ({ stream, data }) => {
        const { generation } = agentEvents.ended.schema.parse(data);
        rmSync(hookFolder(home, { agent: stream, generation }), { recursive: true, force: true });
        const open = reader.get(`SELECT 1 FROM approval WHERE agent = ? AND state = 'open' AND standing = 0`, stream);
        if (open !== undefined) await call(approvalOps.lapse, { agent: stream, reason: 'Its agent has ended.' });
      },
    },
  ];
}

/** How long a hook of an agent waits for an answer: 23 days, the longest that Claude Code's own timer can. */
const hookPatienceSeconds = 2_000_000;

/** Where sessions have what their hooks need. */
function hookFolder(home: string, { agent, generation }: { agent: string; generation: number }): string {
  return join(home, 'hooks', `${agent}.${generation}`);
}

/**
 * What agents' programs ask before each tool call. Nothing of the session's environment reaches it, which a plan or a repository may
 * have changed: where MAOS is and who asks stand in its arguments and in a file.
 */
export function toolGate(home: string): NonNullable<RunnerOptions['gate']> {
  const maos = fileURLToPath(new URL('../../bin/maos.js', import.meta.url));
  const program = [process.execPath, ...process.execArgv, maos, 'hook', 'pre-tool-use'];
  return (session, { MAOS_TOKEN: token = '' }) => {
    const folder = hookFolder(home, session);
    const identity = join(folder, 'identity.json');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(identity, JSON.stringify({ agent: session.agent, token }), { mode: 0o600 });
    const clean = ['/usr/bin/env', '-i', 'PATH=/usr/bin:/bin', `MAOS_HOME=${home}`];
    const asks = [...program, '--as', identity, '--patience', String(hookPatienceSeconds)];
    return {
      argv: [...clean, '/bin/sh', '-c', hookLine('"$@"'), 'maos-hook', ...asks],
      patience: hookPatienceSeconds,
      folder,
    };
  };
}
