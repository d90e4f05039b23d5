import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { approvalOps } from '../policy/approvals/contract.ts';
import { Purse } from './budgets.fixture.ts';
import { type Budget, budgetOps } from './contract.ts';

let purse: Purse;
beforeEach(() => {
  purse = new Purse();
});
afterEach(() => purse.core.close());

const day = 24 * 3_600_000;
const read = (budget: Budget): Budget => purse.core.call(budgetOps.get, { budget: budget.id });
const refused = (agent: string): string => {
  try {
    purse.start(agent);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('It was started.');
};

describe('what a session is promised', () => {
  it.each([
    // The agent's limit, the share of the budget, what is promised of ten dollars, and of the four after a session of six.
    [undefined, undefined, 10, 'busy'],
    [2, undefined, 2, 2],
    [12, undefined, 10, 'busy'],
    [undefined, 3, 3, 3],
    [2, 3, 2, 2],
    [7, undefined, 7, 3],
  ])('limit %s, share %s', (budgetUsd, share, first, second) => {
    purse.core.call(budgetOps.set, { usd: 10, ...(share === undefined ? {} : { share }) });
    const limits = budgetUsd === undefined ? {} : { budgetUsd };
    expect(purse.start(purse.agent(limits)).promised.usd).toBe(first);
    if (second === 'busy')
      expect(refused(purse.agent(limits))).toMatch(/^All that is left of the fleet’s budget is promised/);
    else expect(purse.start(purse.agent(limits)).promised.usd).toBe(second);
  });

  it('is the least of all budgets that apply, and all of them are charged', () => {
    const fleet = purse.core.call(budgetOps.set, { usd: 10, tokens: 1_000, period: 'day' });
    const project = purse.core.call(budgetOps.set, { usd: 4, project: 'shop' });
    const session = purse.start(purse.agent({ budgetUsd: 6, budgetTokens: 300 }));
    expect(session.promised).toMatchObject({ usd: 4, tokens: 300 });
    purse.uses(session, 1.5, 100);
    expect(read(fleet)).toMatchObject({
      used: { usd: 1.5, tokens: 100 },
      reserved: { usd: 2.5, tokens: 200 },
      left: { usd: 6, tokens: 700 },
    });
    expect(read(project)).toMatchObject({ used: { usd: 1.5 }, reserved: { usd: 2.5 }, left: { usd: 0, tokens: null } });
    purse.ends(session, { costUsd: 1.6, tokens: 110 });
    expect(read(project)).toMatchObject({ used: { usd: 1.6, tokens: 110 }, reserved: { usd: 0 }, left: { usd: 2.4 } });
  });

  it('counts what was used before the budget was set', () => {
    const session = purse.start(purse.agent());
    purse.uses(session, 3, 10);
    expect(purse.core.call(budgetOps.set, { usd: 5 })).toMatchObject({
      used: { usd: 3, tokens: 10 },
      left: { usd: 2 },
    });
  });

  it('is nothing for a runtime that tells no usage, and the reason names the budget', () => {
    const free = purse.agent({}, 'mute');
    purse.ends(purse.start(free));
    purse.core.call(budgetOps.set, { tokens: 5, project: 'shop' });
    expect(refused(free)).toMatch(/"mute" reports no usage, so project shop’s budget cannot be kept/);
  });
});

describe('at the limit', () => {
  it('stops the session, and starts nothing until somebody raises it', () => {
    const budget = purse.core.call(budgetOps.set, { usd: 5 });
    const [one, other] = [purse.agent({ budgetUsd: 3 }), purse.agent({ budgetUsd: 2 })];
    const session = purse.start(one);
    purse.uses(session, 2, 10);
    expect(purse.core.call(budgetOps.keep, pick(session))).toEqual({ over: false });
    purse.uses(session, 5.25, 20);
    expect(purse.core.call(budgetOps.keep, pick(session))).toEqual({ over: true });
    expect(purse.isStopped(session)).toBe(true);
    purse.ends(session);
    expect(read(budget).over).toBe(
      `the fleet’s budget of $5 is used up ($5.25). maos budget set --budget ${budget.id} --usd MORE raises it.`,
    );
    expect(refused(other)).toBe('The fleet’s budget of $5 is used up ($5.25).');
    purse.core.call(budgetOps.set, { budget: budget.id, usd: 8 });
    expect(purse.start(other).promised.usd).toBe(2);
  });

  it('asks once, and as much again is allowed until the period ends', () => {
    const budget = purse.core.call(budgetOps.set, { usd: 5, period: 'day', atLimit: 'ask' });
    const session = purse.start(purse.agent());
    purse.uses(session, 5, 10);
    purse.core.call(budgetOps.keep, pick(session));
    purse.core.call(budgetOps.keep, pick(session));
    purse.core.call(budgetOps.ask, { budget: budget.id });
    const { approvals } = purse.core.call(approvalOps.list, {});
    expect(approvals).toMatchObject([
      { state: 'open', needs: { person: true }, reason: expect.stringContaining('$5 more') },
    ]);
    const approval = approvals[0]?.id ?? '';
    expect(read(budget)).toMatchObject({ approval, over: expect.stringContaining(`maos approve ${approval}`) });
    answer(approval, 'approved');
    expect(read(budget)).toMatchObject({ allowed: { usd: 5 }, left: { usd: 5 }, over: null, approval: null });
    purse.uses(session, 10, 20);
    purse.core.call(budgetOps.keep, pick(session));
    expect(purse.core.call(approvalOps.list, { state: ['open'] }).approvals).toHaveLength(1);
    purse.core.clock.advance(day);
    expect(read(budget)).toMatchObject({ used: { usd: 0 }, allowed: { usd: 0 }, left: { usd: 5 }, over: null });
  });

  it('stays shut when nobody wants to give more, and opens when that is turned round', () => {
    const budget = purse.core.call(budgetOps.set, { tokens: 50, atLimit: 'ask' });
    const session = purse.start(purse.agent());
    purse.uses(session, 1, 50);
    purse.core.call(budgetOps.keep, pick(session));
    const approval = read(budget).approval ?? '';
    answer(approval, 'denied');
    expect(read(budget).over).not.toContain('maos approve');
    purse.core.call(budgetOps.ask, { budget: budget.id });
    expect(purse.core.call(approvalOps.list, {}).approvals).toHaveLength(1);
    answer(approval, 'approved');
    expect(read(budget)).toMatchObject({ over: null, left: { tokens: 50 } });
  });

  it('is reached by a price that nobody tells, once the session has ended, until somebody sets the budget again', () => {
    const budget = purse.core.call(budgetOps.set, { usd: 5 });
    const tokens = purse.core.call(budgetOps.set, { tokens: 500, project: 'shop' });
    const session = purse.start(purse.agent());
    purse.uses(session, null, 10);
    expect(read(budget)).toMatchObject({ over: null, used: { unpriced: true } });
    purse.ends(session, { costUsd: null, tokens: 12 });
    expect(read(budget).over).toMatch(
      /^an agent used tokens without telling their price, and the fleet’s budget is in money/,
    );
    expect(read(tokens)).toMatchObject({ over: null, used: { tokens: 12 } });
    purse.core.call(budgetOps.set, { usd: 5 });
    expect(read(budget)).toMatchObject({ over: null, used: { unpriced: true } });
  });
});

describe('a period', () => {
  it('charges each day with what was used in it', () => {
    const daily = purse.core.call(budgetOps.set, { usd: 5, period: 'day' });
    const total = purse.core.call(budgetOps.set, { usd: 50 });
    const session = purse.start(purse.agent());
    purse.uses(session, 4, 10);
    purse.core.clock.advance(day);
    purse.uses(session, 4.5, 11);
    expect(read(daily)).toMatchObject({ used: { usd: 0.5, tokens: 1 }, reserved: { usd: 0.5 } });
    expect(read(total)).toMatchObject({ used: { usd: 4.5, tokens: 11 } });
    expect(read(daily).resetsAt).toBeGreaterThan(purse.core.clock.now());
    purse.core.rebuild();
    expect(read(daily)).toMatchObject({ used: { usd: 0.5, tokens: 1 } });
  });
});

describe('budget.set, list and remove', () => {
  it('keep one budget for each subject and period, and change what is named', () => {
    const first = purse.core.call(budgetOps.set, { usd: 5, tokens: 9 });
    expect(purse.core.call(budgetOps.set, { usd: 6 })).toMatchObject({ id: first.id, usd: 6, tokens: 9 });
    expect(purse.core.call(budgetOps.set, { usd: 7, period: 'day' }).id).not.toBe(first.id);
    const agent = purse.core.call(budgetOps.set, { agent: purse.agent(), usd: 1 });
    expect(agent).toMatchObject({ kind: 'agent', project: purse.project });
    const run = { kind: 'run', subject: 'run_1', name: 'shop-1', project: purse.project, run: 'run_1' } as const;
    const none = { tokens: null, period: 'total', atLimit: 'stop', share: null } as const;
    purse.core.call(budgetOps.record, {
      budgets: [
        { ...run, ...none, usd: 3 },
        { ...run, ...none, usd: null, subject: 'run_2' },
      ],
    });
    const kinds = (input: object): string[] =>
      purse.core.call(budgetOps.list, input).budgets.map(({ kind, period }) => `${kind} ${period}`);
    expect(kinds({})).toEqual(['fleet day', 'fleet total', 'agent total']);
    expect(kinds({ run: 'run_1' })).toEqual(['run total']);
    expect(kinds({ project: purse.project, all: true })).toEqual(['run total', 'agent total']);
    purse.core.call(budgetOps.remove, { budget: first.id });
    expect(kinds({})).toEqual(['fleet day', 'agent total']);
  });

  it.each([
    ['no limit', {}, 'invalid', /needs a limit/],
    ['a limit that is taken away', { usd: null }, 'invalid', /needs a limit/],
    ['two subjects', { project: 'shop', agent: 'x', usd: 1 }, 'invalid', /one of/],
    ['no such project', { project: 'nobody', usd: 1 }, 'not_found', /nobody/],
    ['no such budget', { budget: 'zzzz', usd: 1 }, 'not_found', /zzzz/],
  ])('refuse %s', (_what, input, code, message) => {
    expect(purse.core.refusal(budgetOps.set, input)).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

function pick({ agent, generation }: { readonly agent: string; readonly generation: number }) {
  return { agent, generation };
}

/** Answers as a person does; the reactor’s part is done at once. */
function answer(approval: string, state: 'approved' | 'denied'): void {
  const input = { approvals: [approval] };
  if (state === 'denied') purse.person(approvalOps.deny, input);
  else purse.person(approvalOps.approve, { ...input, always: false });
  purse.core.call(budgetOps.answer, { approval });
}
