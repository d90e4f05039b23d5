import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { Decision, Effect } from '../policy/contract.ts';
import { type Caller, localCaller } from '../kernel/caller.ts';
import { AppError, conflict, notFound } from '../kernel/error.ts';
import { action, query } from '../kernel/handler.ts';
import { newId } from '../kernel/id.ts';
import { operation } from '../kernel/operation.ts';
import { Database } from '../log/database.ts';
import { type ObservedCall, Registry } from './registry.ts';

const spec = {
  summary: 'x',
  effect: 'read',
  scope: 'thing:read',
  input: () => z.strictObject({ thing: z.string() }),
  output: () => z.strictObject({ thing: z.string() }),
} as const;
const get = operation({ ...spec, name: 'thing.get', route: 'GET /things/:thing' });
const inner = operation({ ...spec, name: 'thing.inner', scope: 'secret:read', route: 'GET /inner', internal: true });
const outer = operation({ ...spec, name: 'thing.outer', route: 'GET /outer' });

const reader = new Database(':memory:', { readOnly: false });
afterAll(() => reader.close());

/** What was passed, in order. */
let passed: string[];
let observed: ObservedCall[];
let effect: Effect;
let approved: boolean;
let registry: Registry;
const bound: Caller = {
  actor: { kind: 'user', id: 'ada' },
  scopes: ['thing:read'],
  teams: ['red'],
  credential: 'key_1',
};
const decision = (): Decision => ({ effect, risk: 'high', rule: 'rule-1', reason: 'Not on a Friday.' });

beforeEach(() => {
  [passed, observed, effect, approved] = [[], [], 'allow', false];
  registry = new Registry({
    reader,
    core: { submit: () => Promise.reject(new Error('There is no command here.')) },
    now: () => 1_000,
    newId,
    handlers: [
      query(get, (_ctx, { thing }) => {
        passed.push('query');
        if (thing === 'gone') throw conflict('It is gone.');
        return { thing };
      }),
      query(inner, (_ctx, { thing }) => ({ thing })),
      action(outer, (ctx, { thing }) => ctx.call(inner, { thing })),
    ],
    boundary: {
      admit: (caller, { name }, input) => {
        passed.push(`team ${name}`);
        if (caller.teams !== null && JSON.stringify(input).includes('blue'))
          throw notFound('thing', 'blue', 'List them.');
        return input;
      },
      show: (_caller, _operation, output) => {
        passed.push('show');
        return output;
      },
      sees: () => true,
    },
    decide: (_caller, _operation, input) => {
      passed.push(`policy ${JSON.stringify(input)}`);
      return decision();
    },
    ask: async () => {
      passed.push('ask');
      if (!approved) throw new AppError('forbidden', 'It was denied.', { fix: 'Ask why.' });
    },
    limit: () => passed.push('rate'),
    observe: (call) => observed.push(call),
  });
});

const call = (input: unknown, caller = bound, name = 'thing.get'): Promise<unknown> =>
  registry.call(name, input, { caller });

describe('a call from outside', () => {
  it('passes team, policy, rate, its handler and the boundary again, and is told of once', async () => {
    expect(await call({ thing: 'red' })).toEqual({ thing: 'red' });
    expect(passed).toEqual(['team thing.get', 'policy {"thing":"red"}', 'rate', 'query', 'show']);
    expect(observed).toEqual([
      {
        caller: bound,
        operation: 'thing.get',
        call: null,
        trace: null,
        startedAt: 1_000,
        endedAt: 1_000,
        outcome: 'ok',
        decision: decision(),
      },
    ]);
  });

  const refusals: [string, unknown, Caller, string, string[]][] = [
    ['a scope that is missing', { thing: 'red' }, { ...bound, scopes: ['run:*'] }, 'forbidden', []],
    [
      'another team, before the input is looked at',
      { thing: 'blue', surprise: 1 },
      bound,
      'not_found',
      ['team thing.get'],
    ],
    ['a wrong input, before policy', { surprise: 1 }, bound, 'invalid', ['team thing.get']],
    [
      'its handler',
      { thing: 'gone' },
      bound,
      'conflict',
      ['team thing.get', 'policy {"thing":"gone"}', 'rate', 'query'],
    ],
  ];
  it.each(refusals)('is refused for %s, and that is told of', async (_what, input, caller, code, steps) => {
    await expect(call(input, caller)).rejects.toMatchObject({ code });
    expect(passed).toEqual(steps);
    expect(observed.map(({ outcome }) => outcome)).toEqual([code]);
  });

  it('that a rule blocks is refused with the rule; one that it asks for waits for the answer', async () => {
    effect = 'block';
    await expect(call({ thing: 'red' })).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('Not on a Friday.'),
      details: { rule: 'rule-1', risk: 'high' },
    });
    expect(passed).not.toContain('query');
    effect = 'ask';
    await expect(call({ thing: 'red' })).rejects.toMatchObject({ message: 'It was denied.' });
    expect(passed).not.toContain('query');
    approved = true;
    expect(await call({ thing: 'red' })).toEqual({ thing: 'red' });
  });
});

describe('what an action calls for its caller', () => {
  it('needs no scope and is not decided again, but stays within the teams of the caller', async () => {
    expect(await call({ thing: 'red' }, bound, 'thing.outer')).toEqual({ thing: 'red' });
    expect(passed).toEqual(['team thing.outer', 'policy {"thing":"red"}', 'rate', 'team thing.inner', 'show']);
    expect(observed).toHaveLength(1);
  });

  it('is closed to everybody else', async () => {
    await expect(call({ thing: 'red' }, localCaller, 'thing.inner')).rejects.toMatchObject({ code: 'forbidden' });
  });
});
