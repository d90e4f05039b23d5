import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { taskOps } from '../tasks/contract.ts';
import { findServer } from './connect.ts';
import { program } from './program.fixture.ts';
import { Site } from './site.fixture.ts';

const mebibytes = 1024;

interface Answer {
  readonly id: unknown;
  readonly method?: string;
  readonly params?: { readonly uri?: string };
  readonly result?: { readonly [key: string]: unknown };
  readonly error?: { readonly code: number; readonly message: string };
}

/** A client that started `maos mcp`. */
class Stdio {
  readonly child: ChildProcessWithoutNullStreams;
  readonly told: Answer[] = [];
  readonly #waiting = new Map<unknown, (answer: Answer) => void>();
  #next = 1;

  constructor(site: Site, environment: Readonly<Record<string, string>> = {}, args: readonly string[] = []) {
    this.child = spawn(process.execPath, [program(), 'mcp', ...args], {
      cwd: site.root,
      env: { ...site.environment, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const answer: Answer = JSON.parse(line);
      this.told.push(answer);
      if (answer.method === undefined) this.#waiting.get(answer.id)?.(answer);
    });
  }

  write(message: object | string): void {
    this.child.stdin.write(
      `${typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message })}\n`,
    );
  }

  ask(method: string, params: object = {}): Promise<Answer> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.write({ id, method, params });
    });
  }

  async shake(): Promise<Answer> {
    const clientInfo = { name: 'test', version: '1' };
    const answer = await this.ask('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
    this.write({ method: 'notifications/initialized' });
    return answer;
  }

  call(name: string, input: object = {}): Promise<Answer> {
    return this.ask('tools/call', { name, arguments: input });
  }

  /** The same over the newer revision, whose requests stand alone. */
  modern(method: string, params: object = {}): Promise<Answer> {
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    return this.ask(method, { ...params, _meta });
  }

  memory(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))?.[1]) / mebibytes;
  }

  async end(): Promise<number | null> {
    const closed = once(this.child, 'close');
    this.child.stdin.end();
    await closed;
    return this.child.exitCode;
  }
}

let site: Site;
beforeEach(() => {
  site = new Site();
});
afterEach(() => site.destroy());

async function pidOf(): Promise<number> {
  const running = await site.until(
    'a server',
    () => findServer(site.home),
    (found) => found !== undefined,
  );
  return running?.pid ?? 0;
}

describe('maos mcp', () => {
  it('starts a server when none runs, carries both revisions, and ends with its client', async () => {
    const stdio = new Stdio(site, {}, ['--toolset', 'monitor']);
    expect((await stdio.shake()).result).toMatchObject({ protocolVersion: '2025-11-25', serverInfo: { name: 'maos' } });
    expect(JSON.stringify((await stdio.ask('tools/list')).result)).toContain('"run_report"');
    expect((await stdio.call('task_create', { title: 'One' })).result).toMatchObject({
      structuredContent: { title: 'One' },
    });
    expect((await stdio.modern('server/discover')).result).toMatchObject({ supportedVersions: ['2026-07-28'] });
    const listed = await stdio.modern('tools/call', { name: 'task_list', arguments: {} });
    expect(listed.result).toMatchObject({ structuredContent: { tasks: [{ title: 'One' }] } });
    expect((await stdio.ask('nonsense/method')).error).toMatchObject({ code: -32601 });
    stdio.write('{"jsonrpc":');
    await site.until(
      'an error',
      () => stdio.told.at(-1),
      (last) => last?.error?.code === -32700,
    );
    expect(await stdio.end()).toBe(0);
    process.kill(await pidOf(), 'SIGTERM');
  });

  it('speaks TLS with a server that does, and knows it by its certificate', async () => {
    const stdio = new Stdio(site, { MAOS_TLS: 'auto' });
    expect((await stdio.shake()).result).toMatchObject({ serverInfo: { name: 'maos' } });
    expect((await findServer(site.home))?.url).toMatch(/^https:/);
    expect((await stdio.call('task_list')).result).toMatchObject({ structuredContent: { tasks: [] } });
    await stdio.end();
    process.kill(await pidOf(), 'SIGTERM');
  });

  it('is small beside every agent', async () => {
    // What is compiled once for all is there after the first start.
    const first = new Stdio(site);
    await first.shake();
    await first.end();
    const stdio = new Stdio(site);
    await stdio.shake();
    await stdio.ask('tools/list');
    for (let call = 0; call < 20; call += 1) await stdio.call('server_status');
    expect(stdio.memory()).toBeLessThan(60);
    await stdio.end();
    process.kill(await pidOf(), 'SIGTERM');
  });

  it('loses nothing when the server is killed: the session goes on, and a call is carried out once', async () => {
    const stdio = new Stdio(site);
    await stdio.shake();
    await stdio.call('task_create', { title: 'before' });
    for (let round = 0; round < 3; round += 1) {
      const pid = await pidOf();
      const calls = Array.from({ length: 20 }, (_, index) => stdio.call('task_create', { title: `${round}-${index}` }));
      process.kill(pid, 'SIGKILL');
      for (const answer of await Promise.all(calls))
        expect(answer.result).toMatchObject({ structuredContent: { state: 'queued' } });
    }
    const running = await site.start();
    const { tasks } = await running.call(taskOps.list, { limit: 1_000 });
    const titles = tasks.map(({ title }) => title);
    expect(new Set(titles).size).toBe(61);
    expect(titles.length).toBe(61);
    await stdio.end();
    await running.stop();
  });

  it('goes on telling what is watched after a restart of the server', async () => {
    const stdio = new Stdio(site);
    await stdio.shake();
    const plan = JSON.stringify({ name: 'watched', tasks: [{ id: 'one', command: 'echo one > one.txt' }] });
    const made = await stdio.call('run_create', { plan, cwd: site.repository });
    const id = String(Object(made.result?.['structuredContent']).id);
    const uri = `maos://run/${id}/report`;
    await stdio.ask('resources/subscribe', { uri });
    process.kill(await pidOf(), 'SIGKILL');
    await stdio.call('server_status');
    await site.until(
      'the end of the run',
      () => stdio.call('run_get', { run: id }),
      ({ result }) => Object(result?.['structuredContent']).state === 'succeeded',
    );
    const updates = (): number =>
      stdio.told.filter(({ method, params }) => method === 'notifications/resources/updated' && params?.uri === uri)
        .length;
    const before = updates();
    // The stream of the new server is open a moment later; what happens then is told.
    await site.until(
      'the news',
      async () => {
        await stdio.call('run_merge', { run: id });
        await stdio.call('run_undo', { run: id });
        return updates();
      },
      (now) => now > before,
    );
    expect(updates()).toBeGreaterThan(before);
    await stdio.end();
    process.kill(await pidOf(), 'SIGTERM');
  });

  it('says who calls by the token of its environment alone, and tells a refusal in the form of the protocol', async () => {
    const running = await site.start();
    const stdio = new Stdio(site, { MAOS_TOKEN: 'nobody' });
    const answer = await stdio.shake();
    expect(answer.error?.message).toContain('token');
    await stdio.end();
    await running.stop();
  });
});
