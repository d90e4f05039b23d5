import { expect, it } from 'vitest';
import { say } from './cli.fixture.ts';

const what = {
  ...{
    kind: 'bash',
    tool: null,
    argv: null,
    command: 'rm -rf ../x',
    path: null,
    access: null,
    host: null,
    method: null,
  },
  ...{ operation: null, cwd: '/w/a', workspace: '/w/a', input: null, diff: null },
};
const entry = {
  ...{ id: 'approval_1', state: 'open', actor: 'system:task task_1', agent: null, task: 'task_1', run: 'run_1', what },
  ...{ rule: 'outside', reason: 'It deletes', risk: 'high', needs: { person: true, agents: 0 }, agreed: [], since: 0 },
  ...{ expiresAt: null, answeredAt: null, answer: null, always: false, hidden: null, covers: 'exactly this command' },
};
const shown = async (more: object): Promise<string> =>
  (await say(['inbox'], { answers: { 'approval.list': { approvals: [{ ...entry, ...more }] } } })).out;

it('the inbox names who asks once, and what an "always" would be about', async () => {
  const text = await shown({});
  expect(text.match(/task_1/g)).toHaveLength(1);
  expect(text).toMatch(/always +exactly this command/);
  expect(await shown({ actor: 'agent:agent_1' })).toContain('agent:agent_1, task_1');
});

it('the inbox shows the input of a tool, and why there is no "always"', async () => {
  const tool = { ...what, kind: 'api', command: null, tool: 'mcp__x__send', input: '{"to":"all"}' };
  const text = await shown({ what: tool, hidden: 'the end of it is cut off' });
  expect(text).toContain('mcp__x__send');
  expect(text).toContain('{"to":"all"}');
  expect(text).toMatch(/always +not possible: the end of it is cut off/);
});
