import { afterEach, beforeEach, expect, it } from 'vitest';
import { Local } from './local.fixture.ts';

let local: Local;
beforeEach(async () => {
  local = await new Local().init();
});
afterEach(() => local.destroy());

it('a variable of the server reaches the program that a plan names it for, and nothing else, and its value is kept nowhere', async () => {
  const home = await local.start('home', { extra: { DEPLOY_KEY: 'do-not-tell-4711' } });
  const run = await home.carryOut(`
name: pass
tasks:
  - id: with
    command: 'test "$KEY" = do-not-tell-\${NUMBER} && test -z "$DEPLOY_KEY" && echo yes > with.txt'
    env: { KEY: { from: DEPLOY_KEY }, NUMBER: 4711 }
    checks: ['test -z "$KEY" && test "$NUMBER" = 4711']
  - id: without
    command: 'test -z "$KEY" && test -z "$DEPLOY_KEY" && echo yes > without.txt'
`);
  expect(run.state).toBe('succeeded');
  await home.server.close();
  const kept = local.database();
  expect(kept).toContain('DEPLOY_KEY');
  expect(kept).not.toContain('do-not-tell-4711');
});

it('a variable that the server does not have fails the task that needs it, with its name', async () => {
  const home = await local.start();
  const run = await home.carryOut(
    'name: lacks\ntasks:\n  - {id: one, command: echo one, env: {KEY: {from: DEPLOY_KEY}}, retries: 3}\n',
  );
  expect(run).toMatchObject({
    state: 'failed',
    steps: [{ attempt: 1, reason: expect.stringContaining('DEPLOY_KEY') }],
  });
});

it('a task and its step are called the same for a program and for a check', async () => {
  const home = await local.start();
  const run = await home.carryOut(`
name: named
tasks:
  - id: one
    command: 'echo "$MAOS_RUN $MAOS_STEP $MAOS_TASK" > names'
    checks: ['test "$(cat names)" = "$MAOS_RUN $MAOS_STEP $MAOS_TASK"']
`);
  expect(run.state).toBe('succeeded');
  expect(await local.git('show', `${run.branch}:names`)).toBe(`named-1 one ${run.steps[0]?.task}`);
});
