import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Actor } from '../../kernel/actor.ts';
import { errorFrom } from '../../kernel/error.ts';
import type { InputOf, Operation, OutputOf } from '../../kernel/operation.ts';
import { openTestCore, type TestCore } from '../../tasks/core.fixture.ts';
import { approvalOps } from './contract.ts';
import { approvalHandlers } from './service.ts';
import { approvalView, findEntry, listEntries } from './views.ts';

let core: TestCore;
beforeEach(() => {
  core = openTestCore([approvalView], approvalHandlers);
});
afterEach(() => core.close());

const person: Actor = { kind: 'user', id: 'ada' };
const agent = (id: string): Actor => ({ kind: 'agent', id });

function as<Op extends Operation>(actor: Actor, operation: Op, input: InputOf<Op>): OutputOf<Op> {
  const parsed: unknown = operation.input.parse(input);
  const [result] = core.pipeline.submit([
    { operation: operation.name, input: parsed, actor, call: 'call_1', trace: 'trace_1' },
  ]);
  if (result === undefined) throw new Error('No result.');
  if (!result.ok) throw errorFrom(result.error);
  // The operation's own schema has just parsed it.
  // oxlint-disable-next-line typescript/consistent-type-assertions
  return operation.output.parse(result.output) as OutputOf<Op>;
}

const request = {
  subject: 'tool:agent_1:s:c1',
  actor: 'agent:agent_1',
  agent: 'agent_1',
  what: { kind: 'bash', command: 'rm -rf ../x', cwd: '/w/a/sub', workspace: '/w/a' },
  rule: 'rm-outside',
  reason: 'Deletes outside of the workspace',
  risk: 'medium',
} as const;
const ask = (more: Partial<InputOf<typeof approvalOps.ask>> = {}) =>
  core.call(approvalOps.ask, { ...request, ...more });
const stateOf = (id: string) => findEntry(core.database, id).state;

describe('the inbox', () => {
  it('holds one entry for a subject, and finds it again when it was answered', () => {
    const first = ask();
    expect(first).toMatchObject({ state: 'open', agreed: [], needs: { person: true, agents: 0 } });
    expect(ask().id).toBe(first.id);
    as(person, approvalOps.approve, { approvals: [first.id.slice(0, 16)] });
    expect(ask()).toMatchObject({ id: first.id, state: 'approved', agreed: ['user:ada'] });
    expect(() => as(person, approvalOps.deny, { approvals: [first.id] })).toThrow('answered before');
  });

  it('shows open ones first, the riskiest on top', () => {
    const ids = (['low', 'critical', 'high'] as const).map((risk) => ask({ subject: risk, risk }).id);
    const done = ask({ subject: 'done' }).id;
    as(person, approvalOps.deny, { approvals: [done], reason: 'No.' });
    const listed = listEntries(core.database, { limit: 10 });
    expect(listed.map(({ id }) => id)).toEqual([ids[1], ids[2], ids[0], done]);
    expect(listEntries(core.database, { state: ['denied'], agent: 'agent_1', limit: 10 })).toMatchObject([
      { id: done, answer: 'No.' },
    ]);
  });

  it('answers several at once, or none of them', () => {
    const ids = ['a', 'b'].map((subject) => ask({ subject }).id);
    expect(() => as(person, approvalOps.approve, { approvals: [...ids, 'approval_nobody'] })).toThrow(
      'approval_nobody',
    );
    expect(ids.map(stateOf)).toEqual(['open', 'open']);
    as(person, approvalOps.approve, { approvals: ids });
    expect(ids.map(stateOf)).toEqual(['approved', 'approved']);
  });
});

describe('who has to agree', () => {
  it('is a person, and no agent where the rule asks none', () => {
    const { id } = ask({ risk: 'low' });
    for (const operation of [approvalOps.approve, approvalOps.deny])
      expect(() => as(agent('agent_2'), operation, { approvals: [id] })).toThrow('No rule asks agents');
    expect(findEntry(core.database, id)).toMatchObject({ state: 'open', agreed: [] });
    as(person, approvalOps.approve, { approvals: [id] });
    expect(stateOf(id)).toBe('approved');
  });

  it('is never the agent that asks', () => {
    const { id } = ask({ quorum: 1 });
    for (const operation of [approvalOps.approve, approvalOps.deny])
      expect(() => as(agent('agent_1'), operation, { approvals: [id] })).toThrow('asks for');
    as(agent('agent_2'), approvalOps.approve, { approvals: [id] });
    expect(stateOf(id)).toBe('open');
    as(person, approvalOps.approve, { approvals: [id] });
    expect(stateOf(id)).toBe('approved');
  });

  it('is a person and so many agents for critical ones, in any order and each once', () => {
    const { id } = ask({ risk: 'critical', quorum: 2 });
    for (const who of [person, agent('agent_2'), agent('agent_2')]) {
      as(who, approvalOps.approve, { approvals: [id] });
      expect(stateOf(id)).toBe('open');
    }
    as(agent('agent_3'), approvalOps.approve, { approvals: [id] });
    expect(findEntry(core.database, id)).toMatchObject({
      state: 'approved',
      agreed: ['agent:agent_2', 'agent:agent_3', 'user:ada'],
    });
  });

  it('is a person alone, who says so', () => {
    const { id } = ask({ risk: 'critical' });
    expect(() => as(agent('agent_2'), approvalOps.approve, { approvals: [id], alone: true })).toThrow('Only a person');
    as(person, approvalOps.approve, { approvals: [id] });
    expect(stateOf(id)).toBe('open');
    as(person, approvalOps.approve, { approvals: [id], alone: true });
    expect(stateOf(id)).toBe('approved');
  });
});

describe('always', () => {
  const elsewhere = { ...request.what, cwd: '/w/b/sub', workspace: '/w/b' };

  it('answers exactly the same from the same place of any workspace, until it is taken back', () => {
    const { id } = ask();
    as(person, approvalOps.approve, { approvals: [id], always: true });
    expect(ask({ subject: 'other', what: elsewhere })).toMatchObject({ id, state: 'approved' });
    expect(ask({ subject: 'command', what: { ...elsewhere, command: 'rm -rf ../xy' } }).state).toBe('open');
    expect(ask({ subject: 'place', what: { ...elsewhere, cwd: '/w/b' } }).state).toBe('open');
    expect(ask({ subject: 'rule', what: elsewhere, rule: 'another' }).state).toBe('open');
    as(person, approvalOps.revoke, { approval: id });
    expect(ask({ subject: 'again', what: elsewhere }).state).toBe('open');
  });

  it('names what it is about, and is refused where that is more than what is shown', () => {
    const file = {
      kind: 'file',
      path: '/w/a/x',
      access: 'write',
      tool: 'Write',
      cwd: '/w/a',
      workspace: '/w/a',
    } as const;
    expect(ask().covers).toBe(
      'exactly this command in ./sub of any workspace, whoever asks, as long as the rule rm-outside does',
    );
    expect(ask({ subject: 'f', what: file, team: 'red' }).covers).toBe(
      'to write exactly this path with Write, whatever it changes there in the top folder of any workspace, whoever of the team red asks, as long as the rule rm-outside does',
    );
    const { id } = ask({ subject: 'secret', hidden: 'secrets in it are not shown' });
    expect(() => as(person, approvalOps.approve, { approvals: [id], always: true })).toThrow('more than it shows');
    expect(stateOf(id)).toBe('open');
  });

  it('does not reach what is not shown whole, another input, or another team', () => {
    const what = { ...request.what, kind: 'api', command: null, tool: 'mcp__x__y', input: '{"a":1}' } as const;
    const { id } = ask({ what });
    as(person, approvalOps.approve, { approvals: [id], always: true });
    expect(ask({ subject: 'same', what })).toMatchObject({ id });
    for (const other of [
      { hidden: 'the end of it is cut off' },
      { team: 'red' },
      { what: { ...what, input: '{"a":2}' } },
    ])
      expect(ask({ subject: JSON.stringify(other), what, ...other }).state).toBe('open');
  });

  it('can be said by people only', () => {
    const { id } = ask({ quorum: 1 });
    expect(() => as(agent('agent_2'), approvalOps.approve, { approvals: [id], always: true })).toThrow('Only a person');
  });
});

describe('how much may wait', () => {
  it('is bounded for each that asks, and answering makes room', () => {
    const ids = Array.from({ length: 50 }, (_, index) => ask({ subject: `s${index}` }).id);
    expect(() => ask({ subject: 'one more' })).toThrow('agent:agent_1 waits for 50 approvals already');
    expect(ask({ subject: 's3' }).id).toBe(ids[3]);
    ask({ subject: 'of another', actor: 'agent:agent_2', agent: 'agent_2' });
    as(person, approvalOps.deny, { approvals: [ids[0] ?? ''] });
    expect(ask({ subject: 'one more' }).state).toBe('open');
  });
});

describe('what is not approved', () => {
  it('can be asked anew after a while, longer each time, but not under the same key', () => {
    const again = (key: string | null = null) => ask({ again: true, key });
    const first = again('k1').id;
    as(person, approvalOps.deny, { approvals: [first] });
    expect(again()).toMatchObject({ id: first, state: 'denied' });
    core.clock.advance(5 * 60_000);
    const second = again('k2').id;
    expect(second).not.toBe(first);
    expect(again('k1')).toMatchObject({ id: first, state: 'denied' });
    as(person, approvalOps.deny, { approvals: [second] });
    core.clock.advance(9 * 60_000);
    expect(again().id).toBe(second);
    core.clock.advance(60_000);
    expect(again()).toMatchObject({ state: 'open' });
  });

  it('is not asked anew where nobody wants that', () => {
    const { id } = ask();
    as(person, approvalOps.deny, { approvals: [id] });
    core.clock.advance(10 * 24 * 3_600_000);
    expect(ask()).toMatchObject({ id, state: 'denied' });
  });

  it('expires by the clock, which names the next time', () => {
    const { id } = ask({ answerWithinMs: 1_000 });
    ask({ subject: 'later', answerWithinMs: 5_000 });
    expect(core.call(approvalOps.tick, {})).toEqual({ expired: 0, nextAt: core.clock.now() + 1_000 });
    core.clock.advance(1_000);
    expect(core.call(approvalOps.tick, {})).toEqual({ expired: 1, nextAt: core.clock.now() + 4_000 });
    expect(findEntry(core.database, id)).toMatchObject({ state: 'expired', answer: 'Nobody answered in time.' });
    expect(() => as(person, approvalOps.approve, { approvals: [id] })).toThrow('answered before');
  });

  it('can still be approved where whoever asked looks again', () => {
    const { id } = ask({ standing: true });
    as(person, approvalOps.deny, { approvals: [id] });
    expect(ask({ standing: true })).toMatchObject({ id, state: 'denied' });
    as(person, approvalOps.approve, { approvals: [id] });
    expect(findEntry(core.database, id)).toMatchObject({ state: 'approved', answer: null });
  });

  it('is closed when the agent that asked has ended', () => {
    const [{ id }, task] = [ask(), ask({ subject: 'task', standing: true })];
    core.call(approvalOps.lapse, { agent: 'agent_1', reason: 'Its agent has ended.' });
    expect([stateOf(id), stateOf(task.id)]).toEqual(['expired', 'open']);
  });
});

it('is the same when it is computed again from the log', () => {
  const { id } = ask({ risk: 'critical', answerWithinMs: 10 });
  as(agent('agent_2'), approvalOps.approve, { approvals: [id] });
  as(person, approvalOps.approve, { approvals: [id], always: true });
  as(person, approvalOps.deny, { approvals: [ask({ subject: 'b', what: { kind: 'file', path: '/etc' } }).id] });
  const before = core.dump();
  core.rebuild();
  expect(core.dump()).toEqual(before);
});
