import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, agentOps, type Session } from '../agents/contract.ts';
import { type RunDetail, runOps, type Step } from '../workflows/contract.ts';
import { ScriptedModel } from './scripted-model.fixture.ts';
import { type LiveServer, Site } from './site.fixture.ts';

/** The real program: MAOS_TEST_CLAUDE, or `claude` on the PATH; null when there is none. */
function findClaude(): string | null {
  const named = process.env['MAOS_TEST_CLAUDE'];
  if (named !== undefined && named !== '') return named;
  try {
    return execFileSync('/bin/sh', ['-c', 'command -v claude'], { encoding: 'utf8' }).trim();
  } catch {
    process.stderr.write(
      '\nSKIPPED: the tests of MAOS with Claude Code need it. Install it (npm install -g @anthropic-ai/claude-code), ' +
        'or name its executable in MAOS_TEST_CLAUDE. They use no key and no network.\n\n',
    );
    return null;
  }
}

/** Without it these tests are skipped, loudly. */
export const program = findClaude();

/** In a plan: an agent that may run wait.sh, which runs until `go`, and no other program. */
export const mayWait = `agents: { waiter: { options: { allowedTools: ['Bash(sh wait.sh)'] } } }`;

export function stepOf(run: RunDetail, id: string): Step {
  const step = run.steps.find((one) => one.id === id);
  if (step === undefined) throw new Error(`There is no task ${id}.`);
  return step;
}

/** A machine in small on which Claude Code is installed: no login, a key that is none, and a model on loopback. */
export class ClaudeSite extends Site {
  readonly model: ScriptedModel;
  #server: LiveServer | undefined;

  constructor(model: ScriptedModel) {
    super({ files: { 'line.txt': 'base\n' } });
    this.model = model;
    const programs = join(this.root, 'programs');
    mkdirSync(programs);
    symlinkSync(program ?? '', join(programs, 'claude'));
    Object.assign(this.environment, {
      PATH: `${programs}:${this.environment['PATH'] ?? ''}`,
      ANTHROPIC_API_KEY: 'sk-ant-not-a-key',
      ANTHROPIC_BASE_URL: model.url,
      SECRET_OF_THE_SERVER: 'nobody may see this',
    });
    const wait = `touch ${this.root}/begun; while [ ! -e ${this.root}/go ]; do sleep 0.05; done\n`;
    writeFileSync(join(this.repository, 'wait.sh'), wait);
    this.git('add', '--all');
    this.git('commit', '--quiet', '--message=Waiting');
  }

  static async open(): Promise<ClaudeSite> {
    const model = new ScriptedModel();
    await model.start();
    return new ClaudeSite(model);
  }

  override async destroy(): Promise<void> {
    await super.destroy();
    await this.model.stop();
  }

  get server(): LiveServer {
    if (this.#server === undefined) throw new Error('No server was started.');
    return this.#server;
  }

  /** Starts the server, or the next one. */
  async serve(): Promise<void> {
    this.#server = await this.start();
  }

  planFile(text: string): string {
    const file = join(this.root, 'plan.yaml');
    writeFileSync(file, text);
    return file;
  }

  /** Starts a server and a run on it. */
  async begin(plan: string): Promise<RunDetail> {
    await this.serve();
    return this.server.call(runOps.create, { plan, cwd: this.repository });
  }

  get(run: RunDetail): Promise<RunDetail> {
    return this.server.call(runOps.get, { run: run.id });
  }

  /** Resolves when a run goes on no more. */
  ended(run: RunDetail): Promise<RunDetail> {
    const over = ({ state }: RunDetail): boolean => state !== 'running';
    return this.until('the end of the run', () => this.get(run), over);
  }

  agentOf(name: string): Promise<Agent> {
    return this.server.call(agentOps.get, { agent: name });
  }

  /** Oldest first. */
  async sessionsOf(name: string): Promise<Session[]> {
    const { sessions } = await this.server.call(agentOps.sessions, { agent: name });
    return sessions.toReversed();
  }

  /** The processes of Claude itself, below their wrappers. */
  claudes(): number[] {
    return this.processes().flatMap(({ pid, command }) => (/^\S*claude\S* -p /.test(command) ? [pid] : []));
  }

  /** What a file holds on a branch. */
  file(branch: string, path: string): string {
    return this.git('show', `${branch}:${path}`);
  }

  /** Resolves when Claude runs wait.sh. */
  async begun(): Promise<void> {
    const there = (): boolean => existsSync(join(this.root, 'begun'));
    await this.until('wait.sh', there, (yes) => yes);
  }

  /** Lets wait.sh end. */
  go(): void {
    writeFileSync(join(this.root, 'go'), '');
  }

  /** Resolves when Claude has saved this in a conversation, which is a moment after it happened. */
  async saved(text: string): Promise<void> {
    const files = join(this.root, 'user/.claude/projects/*/*.jsonl');
    const has = (): boolean => globSync(files).some((name) => readFileSync(name, 'utf8').includes(text));
    await this.until('the saved conversation', has, (there) => there);
  }
}
