import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { agentOps, secretNames } from '../agents/contract.ts';
import { firstOver, payersOf } from '../budgets/ledger.ts';
import type { Clock } from '../kernel/clock.ts';
import { AppError } from '../kernel/error.ts';
import type { Call, Reader } from '../kernel/handler.ts';
import type { InputOf } from '../kernel/operation.ts';
import type { Mask } from '../kernel/mask.ts';
import { type Workspace, workspaceOps } from '../workspaces/contract.ts';
import { type Run, runOps } from './contract.ts';
import { type Failure, refusal, sessionFailure } from './failure.ts';
import { dynamicItems, expandDynamic } from './fan.ts';
import { commandsOf, fillTask, type FilledTask } from './fill.ts';
import { latestFile, readOutputFile } from './output-file.ts';
import { parseOutputs, type TaskResult } from './outputs.ts';
import { type CommandGate, permit } from './permit.ts';
import { conflictPrompt, taskPrompt } from './prompt.ts';
import { findStep, getRun, stepAttempt, type StepState, stepsOf } from './rows.ts';
import { conflictSides } from './sides.ts';

export interface AttemptTools {
  readonly call: Call;
  /** Left out: every command is started. */
  readonly gate?: CommandGate;
  readonly reader: Reader;
  readonly clock: Clock;
  /** Where tasks write their outputs. */
  readonly outputs: string;
  /** What hides the secrets of a task in what it hands on. */
  readonly mask?: (secrets: readonly string[]) => Promise<Mask>;
  /** Runs whose branch is known to be there. */
  readonly branches: Set<string>;
  readonly capabilities: ReadonlyMap<
    string,
    { readonly conflicts: boolean; readonly resume: boolean; readonly prompt: boolean }
  >;
}

type Move = InputOf<typeof runOps.advance>['move'];
type Next = 'next' | 'wait';

/** How often the result of one attempt may come back from the merge queue before a person is asked. */
const conflictLimit = 5;

/** One phase of one attempt of a task. Made anew for every phase from what the log says. */
export class Attempt {
  readonly #tools: AttemptTools;
  readonly #step: StepState;
  readonly #fence: number;
  readonly #run: Run;

  constructor(tools: AttemptTools, step: StepState, fence: number) {
    this.#tools = tools;
    this.#step = step;
    this.#fence = fence;
    this.#run = getRun(tools.reader, step.run);
  }

  async next(): Promise<Next> {
    if (this.#step.planned.forEach !== null) return this.#fan();
    if (stepAttempt(this.#tools.reader, this.#step.task)?.attempt !== this.#fence) return this.#begin();
    switch (this.#step.phase) {
      case 'preparing':
        return this.#step.accepted ? this.#deliver('accepted by a person') : this.#work();
      case 'working':
        return this.#harvest();
      case 'resolving':
        return this.#step.generation === null ? this.#resolve() : this.#harvest();
      case 'checking':
        return this.#check();
      case 'merging':
        return this.#merge();
      case 'pending':
      case 'done':
      case 'failed':
        return 'wait';
    }
  }

  fail(failure: Failure): Promise<Next> {
    this.#forgetBranch();
    const { retryAt = null, feedback = null, ...rest } = failure;
    return this.#advance({ kind: 'failed', ...rest, retryAt, feedback });
  }

  async #advance(move: Move): Promise<Next> {
    const { accepted } = await this.#tools.call(runOps.advance, { task: this.#step.task, attempt: this.#fence, move });
    return accepted ? 'next' : 'wait';
  }

  /** A list that was not known before: now its tasks are made; claimed again, all of them are done. */
  #fan(): Promise<Next> {
    const steps = stepsOf(this.#tools.reader, this.#run.id);
    if (steps.some((step) => step.planned.fan?.of === this.#step.id)) return this.#advance({ kind: 'gathered' });
    const items = dynamicItems(this.#step.planned, this.#results());
    const planned = steps.map((step) => step.planned);
    const { instances, rewired } = expandDynamic(planned, this.#step.id, items);
    return this.#advance({ kind: 'fanned', instances: [...instances], rewired: [...rewired] });
  }

  /** What an earlier attempt has made and nobody has refused is not made again. */
  async #begin(): Promise<Next> {
    const { reuse, conflicts, phase, accepted } = this.#step;
    const queued = await this.#offered();
    if (queued?.state === 'landed') return this.#advance({ kind: 'landed', commit: queued.landed });
    if (queued?.state === 'withdrawn' && (await this.#keeps())) return this.#offerAgain();
    if (queued !== undefined && queued.state !== 'withdrawn' && phase === 'merging' && !accepted)
      return this.#goOnMerging(queued.id);
    return reuse === null || conflicts > 0 ? this.#prepare() : this.#reuse(reuse);
  }

  /** The newest merge of the step's commit; its claim may have been lost before it could be recorded. */
  async #offered() {
    const { task, merge, commit, phase } = this.#step;
    if (commit === null || (merge === null && phase !== 'merging')) return undefined;
    const { merges } = await this.#tools.call(workspaceOps.merges, { task, limit: 1_000 });
    return merges.find((one) => one.commit === commit && (merge === null || one.id === merge));
  }

  /** The claim was lost, and what it had offered is in the queue or has come back from it: this attempt hears its verdict. */
  async #goOnMerging(merge: string): Promise<Next> {
    const { task, workspace } = this.#step;
    // Where a conflict would be resolved.
    if (workspace !== null && (await this.#workspace()).state === 'ready')
      await this.#tools.call(workspaceOps.hold, { workspace, holder: task });
    return this.#advance({ kind: 'merging', merge });
  }

  /** Whether the finished commit and the workspace it was made in are still there for this task. */
  async #keeps(): Promise<boolean> {
    const { phase, commit, workspace, planned, accepted, task } = this.#step;
    if (phase !== 'merging' || commit === null || workspace === null || planned.workspace !== null || accepted)
      return false;
    const { state, holder } = await this.#workspace();
    return state === 'ready' && (holder === null || holder === task);
  }

  async #offerAgain(): Promise<Next> {
    const { task, workspace, commit, producedBase, changed, outputs, summary } = this.#step;
    await this.#ensureBranch();
    await this.#tools.call(workspaceOps.hold, { workspace: workspace ?? '', holder: task });
    return this.#advance({
      kind: 'produced',
      commit,
      base: producedBase ?? this.#run.base,
      changed: changed ?? { files: 0, added: 0, deleted: 0 },
      outputs,
      summary: summary ?? '',
      reused: false,
    });
  }

  async #queued(id: string) {
    const { merges } = await this.#tools.call(workspaceOps.merges, { task: this.#step.task, limit: 1_000 });
    return merges.find((one) => one.id === id);
  }

  /** A claim that was lost while the workspace was filled must not leave it held for ever. */
  async #prepared(workspace: string, base: string): Promise<Next> {
    const next = await this.#advance({ kind: 'prepared', workspace, base });
    if (next === 'wait') await this.#tools.call(workspaceOps.release, { workspace, holder: this.#step.task });
    return next;
  }

  async #prepare(): Promise<Next> {
    const { call } = this.#tools;
    const { task, planned, workspace: earlier, feedback, accepted } = this.#step;
    const { project, branch, id } = this.#run;
    await this.#ensureBranch();
    // An agent that is told what was wrong goes on where it was; everything else begins anew from the branch of now.
    const again = feedback !== null && planned.prompt !== null && planned.workspace === null;
    if (earlier !== null && (again || accepted)) {
      const kept = await call(workspaceOps.hold, { workspace: earlier, holder: task });
      if (kept.state === 'ready') return this.#prepared(kept.id, kept.base);
    }
    if (planned.workspace === null) {
      const made = await call(workspaceOps.create, {
        project,
        key: `task:${task}:${this.#fence}`,
        base: branch,
        holder: task,
      });
      return this.#prepared(made.id, made.base);
    }
    const shared = await call(workspaceOps.create, { project, key: `shared:${id}:${planned.workspace}`, base: branch });
    await call(workspaceOps.hold, { workspace: shared.id, holder: task });
    // What an earlier attempt of this task has left there is judged together with what this one adds.
    const tip = earlier === shared.id ? await this.#tip() : null;
    const { head, conflicts } = await call(workspaceOps.update, { workspace: shared.id, branch });
    if (conflicts.length > 0) {
      return this.fail({
        class: 'conflict',
        message: `The shared workspace does not fit ${branch}: ${conflicts.join(', ')}.`,
        retry: false,
      });
    }
    // Something landed meanwhile: the next look begins with it.
    if (tip !== null && tip !== (await this.#tip())) return this.#prepare();
    return this.#prepared(shared.id, tip ?? head);
  }

  async #tip(): Promise<string> {
    const { project, branch } = this.#run;
    return (await this.#tools.call(workspaceOps.inspect, { project, revision: branch })).commit;
  }

  /**
   * Made with the run; one that was deleted by hand is made again, with all that has landed on it. Looked at once for each run and
   * server, and again when something went wrong: only the merge queue moves it.
   */
  async #ensureBranch(): Promise<void> {
    const { id, project, branch, base } = this.#run;
    const { branches, call } = this.#tools;
    if (branches.has(id)) return;
    const { merges } = await call(workspaceOps.merges, { branch, state: ['landed'], limit: 1 });
    await call(workspaceOps.ensureBranch, { project, branch, commit: merges[0]?.landed ?? base });
    branches.add(id);
  }

  #forgetBranch(): void {
    this.#tools.branches.delete(this.#run.id);
  }

  /** Takes the result of the same task in the run that this one continues. */
  async #reuse(task: string): Promise<Next> {
    const source = findStep(this.#tools.reader, task);
    if (source === undefined || source.state !== 'done') return this.#prepare();
    const { base } = this.#run;
    await this.#ensureBranch();
    return this.#advance({
      kind: 'produced',
      commit: source.commit,
      base: source.producedBase ?? base,
      changed: source.changed ?? { files: 0, added: 0, deleted: 0 },
      outputs: source.outputs,
      summary: source.summary ?? '',
      reused: true,
    });
  }

  async #work(afresh = false): Promise<Next> {
    const workspace = await this.#workspace();
    const filled = this.#fill();
    const { prompt, command } = filled;
    const about = { task: this.#step.task, run: this.#run.id, cwd: workspace.path };
    const ways = { fail: this.fail.bind(this), wait: this.#advance.bind(this) };
    for (const argv of commandsOf(filled)) {
      const held = await permit(this.#tools, { ...about, argv, env: this.#environment(filled, workspace) }, ways);
      if (held !== null) return held;
    }
    await this.#makeOutputFolder();
    const { feedback, planned } = this.#step;
    return this.#advance({
      kind: 'work',
      cwd: workspace.path,
      env: this.#environment(filled, workspace),
      passEnv: planned.agent.passEnv,
      prompt:
        prompt === null
          ? null
          : taskPrompt({ run: this.#run, step: this.#step, workspace, prompt, outputs: planned.outputs, feedback }),
      argv: command === null ? null : [...command],
      resolving: null,
      resume: feedback !== null && !afresh && (await this.#remembers()),
    });
  }

  /** Whether the step's agent has a conversation that its runtime can continue. */
  async #remembers(): Promise<boolean> {
    const { agent, planned } = this.#step;
    if (agent === null || !this.#can(planned.runtime, 'resume')) return false;
    const { sessions } = await this.#tools.call(agentOps.sessions, { agent });
    return sessions.some(({ providerSession }) => providerSession !== null);
  }

  #can(runtime: string, what: 'conflicts' | 'resume'): boolean {
    return this.#tools.capabilities.get(runtime)?.[what] === true;
  }

  async #workspace(): Promise<Workspace> {
    const { workspace } = this.#step;
    if (workspace === null) throw new AppError('conflict', 'The attempt has no workspace.', { fix: 'Retry the task.' });
    return this.#tools.call(workspaceOps.get, { workspace });
  }

  #fill(): FilledTask {
    return fillTask(this.#step.planned, this.#results());
  }

  /** What finished tasks of the run handed on, by their id in the plan. */
  #results(): Record<string, TaskResult> {
    if (Object.keys(this.#step.planned.values.tasks).length === 0) return {};
    const done = stepsOf(this.#tools.reader, this.#run.id).filter((step) => step.state === 'done');
    return Object.fromEntries(done.map((step) => [step.id, { result: step.summary ?? '', outputs: step.outputs }]));
  }

  #environment(filled: FilledTask, workspace: Workspace): Record<string, string> {
    return {
      ...workspace.env,
      ...filled.env,
      ...this.#identity(),
      MAOS_REPOSITORY: this.#run.repository,
      MAOS_OUTPUT: this.#outputFile(),
    };
  }

  /** What an agent and a check are told about what they work for. */
  #identity(): Record<string, string> {
    return { MAOS_RUN: this.#run.name, MAOS_TASK: this.#step.task, MAOS_STEP: this.#step.id };
  }

  #outputFile(): string {
    return join(this.#tools.outputs, this.#step.task, String(this.#fence));
  }

  async #makeOutputFolder(): Promise<void> {
    await mkdir(dirname(this.#outputFile()), { recursive: true });
    await rm(this.#outputFile(), { force: true });
  }

  /** Looks at how the agent's session ended, and makes a commit of what it left. */
  async #harvest(): Promise<Next> {
    const { agent, generation } = this.#step;
    if (agent === null) return 'wait';
    const { session } = await this.#tools.call(agentOps.get, { agent });
    if (session === null || session.generation !== generation || session.outcome === null) return 'wait';
    const { outcome } = session;
    if (outcome.kind !== 'failed') return this.#deliver(outcome.result);
    // The program had not saved yet what was to be continued: the same attempt begins a new conversation.
    if (outcome.reason === 'no_conversation' && session.request.resume)
      return this.#step.resolving === null ? this.#work(true) : this.#resolve(true);
    const { reader, clock } = this.#tools;
    const over = firstOver(reader, payersOf(reader, agent, generation), clock.now());
    return this.fail(sessionFailure(outcome, session, { run: this.#run, step: this.#step, over }));
  }

  /** Makes a commit of what is in the worktree: the result, if nothing is wrong with it. */
  async #deliver(summary: string): Promise<Next> {
    const { planned, title } = this.#step;
    const outputs = await this.#readOutputs();
    if (outputs instanceof AppError) return this.fail(refusal('outputs', outputs.message));
    const workspace = await this.#workspace();
    const { resolving } = this.#step;
    const subject = resolving === null ? title : `${title} (conflict resolved)`;
    const message = `${subject}\n\nMAOS-Run: ${this.#run.name}\nMAOS-Task: ${this.#step.id}\n`;
    const made = await this.#tools.call(workspaceOps.commit, {
      workspace: workspace.id,
      since: this.#step.base ?? workspace.base,
      onto: resolving,
      message,
      expects: resolving === null ? planned.expects : null,
    });
    if (made.problem !== null) return this.fail(refusal('result', made.problem));
    if (made.commit === null && !planned.allowEmpty) {
      return this.fail(refusal('no_change', 'The agent said it was done, but nothing changed.'));
    }
    return this.#advance({
      kind: 'produced',
      commit: made.commit,
      base: this.#step.base ?? workspace.base,
      changed: { files: made.files, added: made.added, deleted: made.deleted },
      outputs,
      summary: summary.slice(0, 20_000),
      reused: false,
    });
  }

  async #readOutputs(): Promise<Record<string, string> | AppError> {
    // A conflict that was resolved does not change what the task handed on.
    if (this.#step.resolving !== null) return this.#step.outputs;
    try {
      const file = this.#step.accepted ? await latestFile(dirname(this.#outputFile())) : this.#outputFile();
      const { outputs: names, agent } = this.#step.planned;
      const outputs = parseOutputs(file === null ? '' : await readOutputFile(file), names);
      const mask = await this.#tools.mask?.(secretNames(agent.passEnv));
      return mask === undefined ? outputs : mask.data(outputs);
    } catch (error) {
      if (error instanceof AppError) return error;
      throw error;
    }
  }

  /** Done is a claim until the task's checks have passed on exactly its commit. */
  async #check(): Promise<Next> {
    const { commit, reused, producedBase, planned } = this.#step;
    const filled = this.#fill();
    if (reused || filled.checks.length === 0)
      return this.#advance({ kind: 'checked', passed: true, evidence: this.#step.evidence });
    const { passed, evidence } = await this.#tools.call(workspaceOps.check, {
      project: this.#run.project,
      commit: commit ?? producedBase ?? this.#run.base,
      commands: [...filled.checks],
      env: await this.#checkEnvironment(filled),
      timeoutMs: planned.timeoutMs,
    });
    const next = await this.#advance({ kind: 'checked', passed, evidence });
    if (passed || next === 'wait') return next;
    const broken = evidence.find((one) => !one.passed);
    return this.fail(
      refusal('check', `The check "${broken?.command ?? ''}" failed (${broken?.exit ?? ''}).\n${broken?.output ?? ''}`),
    );
  }

  async #checkEnvironment(filled: FilledTask): Promise<Record<string, string>> {
    const ports = this.#step.workspace === null ? {} : (await this.#workspace()).env;
    return { ...ports, ...filled.env, ...this.#identity() };
  }

  async #merge(): Promise<Next> {
    const { commit, merge, task, title, planned } = this.#step;
    if (commit === null) return this.#advance({ kind: 'landed', commit: null });
    if (merge === null) {
      const filled = this.#fill();
      const queued = await this.#tools.call(workspaceOps.queueMerge, {
        project: this.#run.project,
        branch: this.#run.branch,
        commit,
        task,
        title,
        checks: [...filled.checks],
        env: await this.#checkEnvironment(filled),
        timeoutMs: planned.timeoutMs,
        checked: true,
      });
      return this.#advance({ kind: 'merging', merge: queued.id });
    }
    return this.#afterQueue(merge);
  }

  async #afterQueue(id: string): Promise<Next> {
    const merge = await this.#queued(id);
    switch (merge?.state) {
      case 'landed':
        return this.#advance({ kind: 'landed', commit: merge.landed });
      case 'conflict':
        return this.#advance({ kind: 'conflicted', onto: merge.onto ?? '', files: merge.files });
      case 'rejected': {
        const broken = merge.evidence.find((one) => !one.passed);
        const message = `Together with the work of other tasks the check "${broken?.command ?? ''}" fails (${broken?.exit ?? ''}).\n${broken?.output ?? ''}`;
        return this.fail(refusal('check', message));
      }
      case 'withdrawn':
        this.#forgetBranch();
        return this.#advance({
          kind: 'waiting',
          for: 'person',
          reason: `${merge.reason ?? `${this.#run.branch} could not be moved.`} maos resume ${this.#run.name} queues it again.`,
        });
      case 'queued':
      case undefined:
        return 'wait';
    }
  }

  /** A conflict goes back to who made it, with both sides; if that is nobody who can, it waits for a person. */
  async #resolve(afresh = false): Promise<Next> {
    const { planned, resolving, workspace, conflicts, files } = this.#step;
    const inFiles = `Conflict with the work of other tasks in ${files.join(', ')}.`;
    const filled = this.#fill();
    const { onConflict } = filled;
    const able =
      onConflict.kind === 'command' || (onConflict.kind === 'return' && this.#can(planned.runtime, 'conflicts'));
    if (resolving === null || workspace === null) {
      // A result of an earlier run that does not fit here: the work is done anew, at once and for free.
      return this.fail({ class: 'conflict', message: inFiles, retry: true, retryAt: 1 });
    }
    const place = await this.#workspace();
    const { files: open } = await this.#tools.call(workspaceOps.conflict, { workspace, onto: resolving });
    if (!able || conflicts > conflictLimit) {
      const accept = `Resolve it in ${place.path} and say maos run accept ${this.#run.name} ${this.#step.id}`;
      const retry = `or do the work again on top of theirs with maos task retry ${this.#step.task}`;
      return this.#advance({ kind: 'waiting', for: 'person', reason: `${inFiles} ${accept}, ${retry}.` });
    }
    const sides = await conflictSides(place.path, open);
    const about = { run: this.#run, step: this.#step, files: open, prompt: filled.prompt, sides };
    const prompt = onConflict.kind === 'command' ? null : conflictPrompt(about);
    return this.#advance({
      kind: 'work',
      cwd: place.path,
      env: {
        ...this.#environment(filled, place),
        MAOS_CONFLICT_FILES: open.join('\n'),
        MAOS_CONFLICT_COMMIT: resolving,
      },
      passEnv: planned.agent.passEnv,
      prompt,
      argv: onConflict.kind === 'command' ? [...onConflict.command] : null,
      resolving,
      resume: prompt !== null && !afresh && (await this.#remembers()),
    });
  }
}
