import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LaunchRequest, Outcome, SessionEvent } from '../../agents/runtime.ts';
import { drive } from '../drive.ts';
import { processHost } from '../process/host.ts';
import { resolveMarkers } from './conflict.ts';
import { fakeRuntime } from './fake.ts';

let root: string;
beforeAll(() => (root = mkdtempSync(join(tmpdir(), 'maos-fake-'))));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Played {
  readonly outcome: Outcome;
  readonly events: SessionEvent[];
}

async function play(prompt: string, more: Partial<LaunchRequest> = {}): Promise<Played> {
  const session = `fake_${crypto.randomUUID()}`;
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', MAOS_FAKE_STATE: join(root, 'state') };
  const nothing = { argv: null, model: null, resume: null, maxBudgetUsd: null, resultSchema: null };
  const launch = fakeRuntime.launch({ ...nothing, prompt, sessionId: crypto.randomUUID(), env, cwd: root, ...more });
  const agent = await processHost().start({ folder: join(root, session), session, cwd: more.cwd ?? root, launch });
  const events: SessionEvent[] = [];
  const runtime = { ...fakeRuntime, exitGraceMs: 1500 };
  const { outcome } = await drive(agent, runtime, { stopGraceMs: 100, onEvents: (seen) => void events.push(...seen) });
  return { outcome, events };
}

describe('every way to end badly', () => {
  it.each([
    ['- exit: 3', 'exit'],
    ['- exit: 0', 'no_result'],
    ['- crash: SIGKILL', 'killed'],
    ['- fail: no', 'failed'],
    ['- refuse: never', 'refused'],
    ['- rate_limit: 60000', 'rate_limited'],
    ['- run: exit 4', 'failed'],
    ['- say: done\n- linger: true', 'hang'],
    ['- spawn: sleep 1000\n- say: done', 'orphans'],
    ['- no_such_step: 1', 'failed'],
  ])('%j is %s', async (script, reason) => {
    expect((await play(script)).outcome).toMatchObject({ kind: 'failed', reason });
  });

  it('gives the end of a rate limit', async () => {
    const { outcome } = await play('- rate_limit: 60000');
    const retryAt = outcome.kind === 'failed' ? (outcome.retryAt ?? 0) : 0;
    expect(retryAt - Date.now()).toBeGreaterThan(30_000);
  });
});

it('takes its script from a fence in a longer prompt, and from a file', async () => {
  const fenced = 'You work on maos.\n\n```yaml\n- result: { answer: 42 }\n```\n\nThe base commit is abc.';
  expect((await play(fenced)).outcome).toEqual({
    kind: 'succeeded',
    result: '{"answer":42}',
    structured: { answer: 42 },
  });
  writeFileSync(join(root, 'script.yaml'), '- say: from a file\n');
  expect((await play('Please.\nscript: script.yaml\n')).outcome).toMatchObject({ result: 'from a file' });
});

it('survives lines that are not of its protocol', async () => {
  const { outcome, events } = await play('- raw: "{ broken"\n- raw: "{\\"kind\\":\\"unheard of\\"}"\n- say: fine');
  expect(outcome).toEqual({ kind: 'succeeded', result: 'fine', structured: null });
  expect(events.map((event) => event.kind)).toEqual(['started', 'output', 'turn_ended']);
});

it('adds up what it spends', async () => {
  const { events } = await play('- usage: { input: 1, output: 2, cost: 0.5 }\n- usage: { input: 10, cost: 0.25 }');
  expect(events.findLast((event) => event.kind === 'usage')).toMatchObject({
    usage: { inputTokens: 11, outputTokens: 2, costUsd: 0.75 },
  });
});

it('resolves a conflict that it is handed in plain words', async () => {
  const repository = join(root, 'repository');
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.c', ...args], {
      cwd: repository,
      encoding: 'utf8',
    });
  execFileSync('git', ['init', '-q', '-b', 'main', repository]);
  const commit = (text: string): void => {
    writeFileSync(join(repository, 'list.txt'), text);
    git('add', '.');
    git('commit', '-qm', 'change');
  };
  commit('one\n');
  git('checkout', '-qb', 'side');
  commit('one\nside\n');
  git('checkout', '-q', 'main');
  commit('one\nmain\n');
  expect(() => git('merge', 'side')).toThrow('Command failed');
  expect((await play('There is a conflict in list.txt. Resolve it.', { cwd: repository })).outcome).toMatchObject({
    kind: 'succeeded',
  });
  expect(readFileSync(join(repository, 'list.txt'), 'utf8')).toBe('one\nmain\nside\n');
  expect(git('diff', '--name-only', '--diff-filter=U')).toBe('');
});

it.each([
  ['both', 'a\nours\ntheirs\nz'],
  ['ours', 'a\nours\nz'],
  ['theirs', 'a\ntheirs\nz'],
] as const)('keeps %s', (policy, expected) => {
  const text = 'a\n<<<<<<< HEAD\nours\n||||||| base\nold\n=======\ntheirs\n>>>>>>> side\nz';
  expect(resolveMarkers(text, policy)).toBe(expected);
});
