import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LLMock, type ChatCompletionRequest, type FixtureResponse } from '@copilotkit/aimock';
import { taskOps } from '../tasks/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { placesIn } from './places.ts';
import { program } from './program.fixture.ts';
import { type LiveServer, Site } from './site.fixture.ts';
import { readToken } from '../auth/token.ts';

/** The executable of a client: what its variable names, or its name on the PATH; null when there is none. */
export function findClient(name: string, variable: string, hint: string): string | null {
  const named = process.env[variable] ?? '';
  if (named !== '') return named;
  try {
    return execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
  } catch {
    process.stderr.write(
      `\nSKIPPED: the tests of ${name} over MCP need it. Install it (${hint}), or name it in ${variable}.\n\n`,
    );
    return null;
  }
}

/** How a client reaches MAOS. */
export type Way = 'stdio' | 'http';

export interface Reach {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly url: string;
  readonly token: string;
}

/** A machine in small with a server, a model on loopback that calls one tool, and no login. */
export class ClientSite extends Site {
  readonly model = new LLMock({ port: 0 });
  readonly seen: string[] = [];
  #server: LiveServer | undefined;

  async open(): Promise<Reach> {
    this.model.on({}, (asked) => this.#answer(asked));
    await this.model.start();
    this.#server = await this.start();
    const { PATH = '', HOME = '', MAOS_HOME = '' } = this.environment;
    return {
      command: process.execPath,
      args: [program(), 'mcp', '--toolset', 'coordinator'],
      environment: { PATH, HOME, MAOS_HOME },
      url: `${(await this.#server.call(watchOps.status, {})).url ?? ''}/mcp?toolset=coordinator`,
      token: readToken(placesIn(this.home).token),
    };
  }

  /** The tasks that the client has made. */
  async titles(): Promise<string[]> {
    if (this.#server === undefined) throw new Error('No server was started.');
    return (await this.#server.call(taskOps.list, {})).tasks.map(({ title }) => title);
  }

  file(path: string, content: unknown): string {
    const full = join(this.root, path);
    mkdirSync(join(full, '..'), { recursive: true });
    writeFileSync(full, typeof content === 'string' ? content : JSON.stringify(content));
    return full;
  }

  /** Runs a client to its end, with nothing of the environment of the tests. */
  async client(
    program: string,
    args: readonly string[],
    extra: Readonly<Record<string, string>> = {},
  ): Promise<{ code: number | null; out: string }> {
    const { MAOS_HOME: _, MAOS_SITE: __, ...environment } = this.environment;
    const path = `${join(process.execPath, '..')}:${environment['PATH'] ?? ''}`;
    const child = spawn(program, args, {
      cwd: this.repository,
      env: { ...environment, ...extra, PATH: path, MAOS_SITE: this.root },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString()));
    await once(child, 'close');
    return { code: child.exitCode, out };
  }

  override async destroy(): Promise<void> {
    await super.destroy();
    await this.model.stop();
  }

  /** Calls the tool that makes a task, whatever its client calls it, and says what it was told. */
  #answer({ messages, tools = [] }: ChatCompletionRequest): FixtureResponse {
    this.seen.push(JSON.stringify(tools.map((tool) => tool.function.name)));
    const told = messages.findLast(({ role }) => role === 'tool');
    if (told !== undefined) return { content: `It said: ${JSON.stringify(told.content)}` };
    const tool = tools.find(({ function: { name } }) => name.endsWith('task_create'));
    if (tool === undefined) return { content: 'There is no such tool.' };
    const input = JSON.stringify({ title: 'made by a client' });
    return { content: 'I am at it.', toolCalls: [{ name: tool.function.name, arguments: input }] };
  }
}
