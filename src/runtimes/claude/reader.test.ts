import { describe, expect, it } from 'vitest';
import type { ExitStatus, Outcome, SessionEvent } from '../../agents/runtime.ts';
import { claude } from './claude.ts';
import { ClaudeReader } from './reader.ts';

const ok: ExitStatus = { kind: 'exited', code: 0 };
const init = { type: 'system', subtype: 'init', session_id: 'abc', model: 'opus' };
const good = {
  type: 'result',
  subtype: 'success',
  is_error: false,
  result: 'done',
  total_cost_usd: 0.5,
  modelUsage: {},
};
const bad = { ...good, is_error: true, result: 'something broke' };

function read(
  lines: readonly (object | string)[],
  exit: ExitStatus = ok,
  stderr = '',
): { events: SessionEvent[]; outcome: Outcome } {
  const reader = new ClaudeReader();
  const text = lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('');
  return { events: reader.push(Buffer.from(text)), outcome: reader.finish(exit, stderr) };
}

describe('the end of a session', () => {
  it.each<[string, readonly (object | string)[], ExitStatus, object]>([
    ['a good result', [init, good], ok, { kind: 'succeeded', result: 'done' }],
    ['exit 0 without a result', [init], ok, { reason: 'no_result', retry: true }],
    ['nothing but garbage', ['{ oh', 'dear'], ok, { reason: 'no_result', message: expect.stringContaining('2 lines') }],
    ['a good result between garbage', ['{ oh', init, good, '}'], ok, { kind: 'succeeded' }],
    [
      'a result, then it had to be stopped',
      [init, good],
      { kind: 'signalled', signal: 'SIGTERM' },
      { reason: 'hang', retry: true },
    ],
    ['a result, then exit 1', [init, good], { kind: 'exited', code: 1 }, { reason: 'exit' }],
    ['a result with processes left', [init, good], { ...ok, orphans: 2 }, { reason: 'orphans' }],
    [
      'a result with background tasks left',
      [init, { type: 'system', subtype: 'background_tasks_changed', tasks: [{ id: 1 }] }, good],
      ok,
      { reason: 'orphans' },
    ],
    ['killed before a result', [init], { kind: 'signalled', signal: 'SIGKILL' }, { reason: 'killed', retry: true }],
    ['a lost process', [init], { kind: 'lost' }, { reason: 'lost', retry: true }],
    ['a program that is not there', [], { kind: 'exited', code: 127 }, { reason: 'missing_program', retry: false }],
    [
      'an unknown option',
      [],
      { kind: 'exited', code: 1 },
      { reason: 'exit', message: expect.stringContaining('the stderr') },
    ],
    ['401', [{ ...bad, api_error_status: 401 }], { kind: 'exited', code: 1 }, { reason: 'auth', retry: false }],
    ['400', [{ ...bad, api_error_status: 400 }], { kind: 'exited', code: 1 }, { reason: 'model_error', retry: false }],
    ['500', [{ ...bad, api_error_status: 500 }], { kind: 'exited', code: 1 }, { reason: 'model_error', retry: true }],
    ['529', [{ ...bad, api_error_status: 529 }], { kind: 'exited', code: 1 }, { reason: 'model_error', retry: true }],
    ['a cut connection', [bad], { kind: 'exited', code: 1 }, { reason: 'model_error', retry: true }],
    [
      'a refusal',
      [{ ...bad, stop_reason: 'refusal' }],
      { kind: 'exited', code: 1 },
      { reason: 'refused', retry: false },
    ],
    [
      'an empty budget',
      [{ ...bad, subtype: 'error_max_budget_usd' }],
      { kind: 'exited', code: 1 },
      { reason: 'budget', retry: false },
    ],
    ['an interruption', [{ ...bad, terminal_reason: 'aborted_streaming' }], ok, { reason: 'interrupted', retry: true }],
    [
      'a result whose fields have changed',
      [{ ...good, modelUsage: 7, errors: {}, total_cost_usd: 'x' }],
      ok,
      { kind: 'succeeded' },
    ],
  ])('%s', (_name, lines, exit, expected) => {
    expect(read(lines, exit, 'the stderr').outcome).toMatchObject(expected);
  });

  it('knows when a rate limit ends', () => {
    const limit = { type: 'rate_limit_event', rate_limit_info: { status: 'rejected', resetsAt: 1_800_000_000 } };
    const { events, outcome } = read([init, limit, { ...bad, api_error_status: 429 }], { kind: 'exited', code: 1 });
    expect(outcome).toMatchObject({ reason: 'rate_limited', retry: true, retryAt: 1_800_000_000_000 });
    expect(events).toContainEqual({ kind: 'rate_limited', until: 1_800_000_000_000 });
    expect(read([{ ...limit, rate_limit_info: { status: 'allowed_warning', resetsAt: 1 } }]).events).toEqual([]);
  });

  it('judges by the last turn', () => {
    expect(read([init, bad, good]).outcome).toMatchObject({ kind: 'succeeded' });
    expect(read([init, good, bad]).outcome).toMatchObject({ kind: 'failed' });
  });
});

it('counts tokens while it works, each message once, and takes the totals of the program at the end', () => {
  const say = (id: string, tokens: number): object => ({
    type: 'assistant',
    message: { id, content: [{ type: 'text', text: 'hm' }], usage: { input_tokens: tokens, output_tokens: 1 } },
  });
  const modelUsage = {
    opus: { inputTokens: 50, outputTokens: 5 },
    haiku: { inputTokens: 7, outputTokens: 1, cacheReadInputTokens: 3 },
  };
  const { events } = read([init, say('a', 10), say('a', 10), say('b', 20), { ...good, modelUsage }, say('c', 100)]);
  const usages = events.flatMap((event) => (event.kind === 'usage' ? [event.usage] : []));
  expect(usages.map((usage) => usage.inputTokens)).toEqual([10, 10, 30, 57, 157]);
  expect(usages.at(-2)).toEqual({
    inputTokens: 57,
    outputTokens: 6,
    cacheReadTokens: 3,
    cacheWriteTokens: 0,
    costUsd: 0.5,
  });
});

describe('a conversation that is continued', () => {
  const earlier = { inputTokens: 100, outputTokens: 10, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd: 1 };
  const said = {
    type: 'assistant',
    message: { id: 'a', content: [], usage: { input_tokens: 20, output_tokens: 2 } },
  };
  const ending = (input: number, output: number, cost: number): object => ({
    ...good,
    total_cost_usd: cost,
    modelUsage: { opus: { inputTokens: input, outputTokens: output } },
  });

  it.each([
    ['takes off what earlier sessions have used', ending(125, 13, 1.25), [25, 3, 0.25]],
    ['counts all when the program began again at zero', ending(25, 3, 0.25), [25, 3, 0.25]],
    ['never counts less than it has seen', { ...good, total_cost_usd: 1.5 }, [20, 2, 1.5]],
  ])('%s', (_what, end, [inputTokens, outputTokens, costUsd]) => {
    const reader = new ClaudeReader(earlier);
    const events = reader.push(Buffer.from([init, said, end].map((line) => `${JSON.stringify(line)}\n`).join('')));
    expect(events.findLast((event) => event.kind === 'usage')).toMatchObject({
      usage: { inputTokens, outputTokens, costUsd },
    });
  });
});

it('gives up a key that was refused three times, unless it works after all', () => {
  const refused = [1, 2, 3, 4].map((attempt) => ({
    ...{ type: 'system', subtype: 'api_retry', max_retries: 10, error: 'authentication_failed' },
    ...{ attempt, error_status: 401 },
  }));
  const stopped: ExitStatus = { kind: 'signalled', signal: 'SIGTERM' };
  const { events, outcome } = read([init, ...refused], stopped);
  expect(events.map(({ kind }) => kind)).toEqual(['started', 'waiting', 'waiting', 'waiting', 'turn_ended']);
  expect(outcome).toMatchObject({
    reason: 'auth',
    retry: false,
    message: expect.stringContaining('ANTHROPIC_API_KEY'),
  });
  const spoken = { type: 'assistant', message: { id: 'a', content: [{ type: 'text', text: 'hm' }] } };
  expect(read([init, ...refused, spoken], stopped).outcome).toMatchObject({ reason: 'killed' });
  expect(read([init, ...refused, spoken, good]).outcome).toMatchObject({ kind: 'succeeded' });
});

describe('the start', () => {
  const request = {
    ...{
      prompt: 'Do it',
      argv: null,
      model: null,
      resume: null,
      sessionId: 'id-1',
      maxBudgetUsd: null,
      resultSchema: null,
    },
    ...{ env: { PATH: '/bin' }, cwd: '/' },
  };

  it('allows edits, asks nobody, and runs neither hooks nor servers of the repository', () => {
    const { argv, stdin, firstInput } = claude().launch(request);
    expect(argv.join(' ')).toBe(
      'claude -p --input-format stream-json --output-format stream-json --verbose --session-id id-1 ' +
        '--permission-mode acceptEdits --permission-prompts none --strict-mcp-config --settings {"disableAllHooks":true}',
    );
    expect(stdin).toBe('pipe');
    expect(JSON.parse(firstInput ?? '')).toMatchObject({ type: 'user', message: { role: 'user' } });
  });

  it('takes what the plan allows and refuses what it does not know', () => {
    const { argv } = claude().launch({
      ...request,
      resume: 'old',
      maxBudgetUsd: 2,
      options: { allowedTools: ['Bash(npm test:*)'] },
    });
    expect(argv.join(' ')).toContain('--resume old --max-budget-usd 2');
    expect(argv.join(' ')).toContain('--allowedTools Bash(npm test:*)');
    expect(() => claude().launch({ ...request, options: { permision: 'all' } })).toThrow('permision');
  });
});
