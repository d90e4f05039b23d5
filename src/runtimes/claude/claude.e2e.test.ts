import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LLMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostProcess, LaunchRequest, SessionEvent } from '../../agents/runtime.ts';
import { runtimeConformance } from '../conformance.fixture.ts';
import { drive } from '../drive.ts';
import { processHost } from '../process/host.ts';
import { claude } from './claude.ts';

/** The real program: MAOS_TEST_CLAUDE, or `claude` on the PATH. */
function findClaude(): string | null {
  const named = process.env['MAOS_TEST_CLAUDE'];
  if (named !== undefined && named !== '') return named;
  try {
    return execFileSync('/bin/sh', ['-c', 'command -v claude'], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

const program = findClaude();
if (program === null) {
  process.stderr.write(
    '\nSKIPPED: the tests of the runtime "claude" need Claude Code. Install it (npm install -g @anthropic-ai/claude-code), ' +
      'or name its executable in MAOS_TEST_CLAUDE. They use no key and no network.\n\n',
  );
}

const runtime = claude(program ?? 'claude');
const model = new LLMock({ port: 0 });
let home: string;

/** Everything the program sees: a home of its own, a key that is none, and a model on this machine. */
function env(): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: home,
    ANTHROPIC_API_KEY: 'sk-ant-not-a-key',
    ANTHROPIC_BASE_URL: model.url,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDE_CODE_MAX_RETRIES: '0',
    DISABLE_TELEMETRY: '1',
    DISABLE_ERROR_REPORTING: '1',
  };
}

/** Claude saves its conversation a moment after it happened; what a kill in that moment takes is not there on resume. */
function saved(session: string, text: string): boolean {
  return globSync(join(home, `.claude/projects/*/${session}.jsonl`)).some((file) =>
    readFileSync(file, 'utf8').includes(text),
  );
}

const usage = { input_tokens: 1000, output_tokens: 200 };
const busy = { allowedTools: ['Bash'] };
const waiting = {
  toolCalls: [{ name: 'Bash', arguments: { command: 'while :; do sleep 0.2; done', description: 'Wait' } }],
  usage,
};

/** What the model says, by what it is asked. */
function scriptModel(): void {
  const hello = { name: 'Write', arguments: { file_path: 'hello.txt', content: 'hello\n' } };
  model
    .on({ userMessage: 'Write hello.txt', hasToolResult: false }, { toolCalls: [hello], usage })
    .on({ userMessage: 'Write hello.txt', hasToolResult: true }, { content: 'The file is written.', usage })
    .onMessage('Fail', { error: { message: 'no such thing', type: 'invalid_request_error' }, status: 400 })
    .onMessage('No key', { error: { message: 'invalid x-api-key', type: 'authentication_error' }, status: 401 })
    .onMessage('Limit', {
      error: { message: 'over your limit', type: 'rate_limit_error' },
      status: 429,
      retryAfter: 3600,
    })
    .onMessage('Break', { error: { message: 'internal', type: 'api_error' }, status: 500 })
    .onMessage('Never end', { content: 'working', ...waiting })
    .onMessage('First half', { content: 'the first half', ...waiting })
    .onMessage('You were interrupted', { content: 'the second half', usage })
    .on({ userMessage: 'Ask me', hasToolResult: false }, { content: 'what now?', toolCalls: [hello], usage })
    .on({ userMessage: 'Ask me', hasToolResult: true }, { content: 'still here', usage }, { latency: 200 })
    .onMessage('go on', { content: 'I go on', usage })
    .on({}, { content: 'I do not know', usage });
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'maos-claude-home-'));
  scriptModel();
  await model.start();
});
afterAll(async () => {
  await model.stop();
  rmSync(home, { recursive: true, force: true });
});

describe.skipIf(program === null)('claude', { timeout: 60_000 }, () => {
  const host = processHost();
  const sessions: string[] = [];
  let root: string;
  beforeAll(() => void (root = mkdtempSync(join(tmpdir(), 'maos-claude-'))));
  afterAll(async () => {
    for (const pid of (await Promise.all(sessions.map((session) => host.processesOf(session)))).flat())
      process.kill(pid, 'SIGKILL');
    rmSync(root, { recursive: true, force: true });
  });

  async function start(prompt: string | null, more: Partial<LaunchRequest> = {}): Promise<HostProcess> {
    const session = `claude_${crypto.randomUUID()}`;
    sessions.push(session);
    const nothing = { argv: null, model: null, resume: null, maxBudgetUsd: null, resultSchema: null };
    const launch = runtime.launch({
      ...nothing,
      prompt,
      sessionId: crypto.randomUUID(),
      env: env(),
      cwd: root,
      ...more,
    });
    return host.start({ folder: join(root, session), session, launch, cwd: root });
  }

  runtimeConformance(runtime, processHost, () => ({
    writes: { prompt: 'Write hello.txt' },
    fails: { prompt: 'Fail' },
    endless: { prompt: 'Never end', options: busy },
    steered: { prompt: 'Ask me' },
    resumable: { prompt: 'First half', options: busy },
    saved: (session) => saved(session, 'First half'),
    env: env(),
  }));

  it('is found and tells its version', async () => {
    expect(await runtime.probe(env())).toMatchObject({
      usable: true,
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    });
    expect(await claude('maos-no-such-claude').probe(env())).toMatchObject({
      usable: false,
      fix: expect.stringContaining('npm install'),
    });
  });

  it('edits a file, killed with -9 in the middle of the next task, resumed by its session id; usage is recorded', async () => {
    const sessionId = crypto.randomUUID();
    const events: SessionEvent[] = [];
    const collect = (more: readonly SessionEvent[]): void => void events.push(...more);
    const first = await drive(await start('Write hello.txt', { sessionId }), runtime, { onEvents: collect });
    expect(first.outcome).toEqual({ kind: 'succeeded', result: 'The file is written.', structured: null });
    expect(readFileSync(join(root, 'hello.txt'), 'utf8')).toBe('hello\n');
    expect(events[0]).toMatchObject({ kind: 'started', providerSession: sessionId });
    expect(events).toContainEqual({ kind: 'tool', name: 'Write', summary: 'hello.txt' });
    const spent = events.findLast((event) => event.kind === 'usage');
    expect(spent).toMatchObject({ usage: { inputTokens: 2000, outputTokens: 400, costUsd: expect.any(Number) } });

    const agent = await start('First half', { resume: sessionId, options: busy });
    const working = Promise.withResolvers<void>();
    const killed = drive(agent, runtime, {
      onEvents: (more) => more.some((event) => event.kind === 'tool') && working.resolve(),
    });
    await working.promise;
    await expect.poll(() => saved(sessionId, 'First half'), { timeout: 10_000 }).toBe(true);
    process.kill(-agent.pid, 'SIGKILL');
    expect((await killed).outcome).toMatchObject({ kind: 'failed', reason: 'killed', retry: true });

    const again: SessionEvent[] = [];
    const resumed = await drive(await start(null, { resume: sessionId }), runtime, {
      onEvents: (more) => void again.push(...more),
    });
    expect(resumed.outcome).toEqual({ kind: 'succeeded', result: 'the second half', structured: null });
    expect(again[0]).toMatchObject({ kind: 'started', providerSession: sessionId });
    expect(JSON.stringify(model.getRequests().at(-1)?.body).includes('First half')).toBe(true);
  });

  it('passes on a message that comes while it works, also when it is seen only after the turn', async () => {
    const before = model.getRequests().length;
    const agent = await start('Ask me');
    const results: string[] = [];
    const end = drive(agent, runtime, {
      onEvents: (more) => results.push(...more.flatMap((event) => (event.kind === 'turn_ended' ? [event.result] : []))),
    });
    // The model is at its second answer: no tool call comes any more to which the message could be added.
    await expect.poll(() => model.getRequests().length, { timeout: 10_000 }).toBe(before + 2);
    await agent.write(runtime.message('go on'));
    expect((await end).outcome).toEqual({ kind: 'succeeded', result: 'I go on', structured: null });
    expect(results).toEqual(['still here', 'I go on']);
  });

  it.each([
    ['No key', 'auth', false],
    ['Limit', 'rate_limited', true],
    ['Break', 'model_error', true],
    ['Fail', 'model_error', false],
  ])('classifies "%s" as %s', async (prompt, reason, retry) => {
    expect((await drive(await start(prompt), runtime)).outcome).toMatchObject({ kind: 'failed', reason, retry });
  });

  it('says that there is no conversation to resume', async () => {
    const { outcome } = await drive(await start(null, { resume: crypto.randomUUID() }), runtime);
    expect(outcome).toMatchObject({ kind: 'failed', reason: 'no_conversation', retry: true });
  });
});
