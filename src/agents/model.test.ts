import { describe, expect, it } from 'vitest';
import { type AgentState, agentState } from './contract.ts';
import {
  addUsage,
  checkGeneration,
  isLive,
  moved,
  type Move,
  moves,
  overBudget,
  stateAfter,
  uuidFrom,
} from './model.ts';
import { sha256 } from '../kernel/hash.ts';

const usage = { inputTokens: 1, outputTokens: 2, cacheReadTokens: 3, cacheWriteTokens: 4, costUsd: 0.5 };

describe('moves', () => {
  // One row a move; one letter a state it leads to, in the order idle, starting, running, paused, stopping, removed.
  it.each<[Move, string]>([
    ['request', 'S.....'],
    ['started', '.RRPX.'],
    ['stop', '.XXXX.'],
    ['kill', '.XXXX.'],
    ['interrupt', '..R...'],
    ['pause', '..PP..'],
    ['resume', '...R..'],
    ['message', '.SRP..'],
    ['ended', '.IIII.'],
    ['remove', 'D.....'],
  ])('%s: %s', (move, row) => {
    const letters: Record<AgentState, string> = {
      idle: 'I',
      starting: 'S',
      running: 'R',
      paused: 'P',
      stopping: 'X',
      removed: 'D',
    };
    const targets = agentState.options.map((state) => stateAfter(state, move));
    expect(targets.map((target) => (target === undefined ? '.' : letters[target])).join('')).toBe(row);
  });

  it('covers every move in the table above', () => {
    expect(Object.keys(moves)).toHaveLength(10);
  });

  it('refuses with the state and what to do', () => {
    const refusal = {
      code: 'conflict',
      message: expect.stringContaining('is running and cannot start'),
      fix: expect.stringContaining('agent stop'),
    };
    expect(() => moved({ name: 'a', state: 'running' }, 'request')).toThrow(expect.objectContaining(refusal));
    expect(() => moved({ name: 'a', state: 'idle' }, 'stop')).toThrow('no running session');
  });

  it('knows which states have a session', () => {
    expect(agentState.options.filter(isLive)).toEqual(['starting', 'running', 'paused', 'stopping']);
  });
});

describe('reports', () => {
  it.each([[1], [3]])('refuses generation %i of an agent at 2', (generation) => {
    expect(() => checkGeneration({ id: 'agent_a', generation: 2 }, generation)).toThrow('its newest is 2');
  });

  it('makes the same uuid from the same id', () => {
    const make = (id: string): string => uuidFrom(Buffer.from(sha256(id), 'base64url'));
    expect(make('session_a')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(make('session_a')).toBe(make('session_a'));
    expect(make('session_b')).not.toBe(make('session_a'));
  });
});

describe('usage', () => {
  const used = 10;
  it('sums, and an unknown price makes the sum unknown', () => {
    expect(addUsage(usage, usage)).toEqual({
      inputTokens: 2,
      outputTokens: 4,
      cacheReadTokens: 6,
      cacheWriteTokens: 8,
      costUsd: 1,
    });
    expect(addUsage(usage, { ...usage, costUsd: null }).costUsd).toBeNull();
  });

  it.each([
    [null, null, null, ''],
    [null, null, 99, ''],
    [1, null, 0.5, ''],
    [1, null, 1, ''],
    [1, null, 1.01, 'It has used $1.0100 of its budget of $1.'],
    [1, null, null, 'It has a budget of $1, but its program reports no price.'],
    [null, used, null, ''],
    [null, used - 1, null, `It has used ${used} of its budget of ${used - 1} tokens.`],
    [1, used - 1, 0.5, `It has used ${used} of its budget of ${used - 1} tokens.`],
  ])('budget %s and %s tokens, cost %s', (usd, tokens, costUsd, why) => {
    expect(overBudget({ usd, tokens }, { ...usage, costUsd }) ?? '').toBe(why);
  });
});
