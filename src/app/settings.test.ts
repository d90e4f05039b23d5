import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runOps } from '../workflows/contract.ts';
import { Local, type LocalHome } from './local.fixture.ts';

let local: Local;
let home: LocalHome;
beforeEach(async () => {
  local = await new Local().init();
  home = await local.start();
});
afterEach(() => local.destroy());

const plan = `name: wrong
agents:
  coder:
    runtime: claude
    options:
      allowedTool: [Bash]
      permissionMode: everything
    args: [--effort, high, --output-format=text]
  scripted:
    runtime: fake
    options: { hooks: true }
tasks:
  - { id: one, agent: coder, prompt: Improve it. }
`;

const issues = [
  { line: 6, column: 7, message: expect.stringContaining('Did you mean "allowedTools"?') },
  { line: 7, column: 23, message: expect.stringContaining('acceptEdits') },
  { line: 8, column: 28, message: expect.stringContaining('--output-format') },
  { line: 11, column: 16, message: expect.stringContaining('"fake" has no options') },
];

const opens = `name: opens
defaults: { env: { NODE_OPTIONS: --require ./x.js, CI: 1 } }
agents:
  coder: { env: { CLAUDE_CODE_SIMPLE: 1, CLAUDE_CODE_MAX_RETRIES: 0 } }
tasks:
  - { id: one, agent: coder, prompt: Improve it., env: { PATH: { from: PATH } } }
  - { id: two, command: node --version, env: { PATH: /bin, LD_PRELOAD: ./x.so } }
`;

describe('variables that would keep Claude from asking the rules', () => {
  it('are refused where a plan sets them for Claude, and nowhere else', async () => {
    await expect(home.call(runOps.check, { plan: opens })).rejects.toMatchObject({
      issues: [
        { line: 2, column: 20, message: expect.stringContaining('NODE_OPTIONS') },
        { line: 4, column: 19, message: expect.stringContaining('CLAUDE_CODE_SIMPLE could keep Claude') },
        { line: 6, column: 58, message: expect.stringContaining('PATH') },
      ],
    });
  });
});

describe('options and arguments that a runtime would refuse', () => {
  it('are told by maos check, each with its line and column', async () => {
    await expect(home.call(runOps.check, { plan, file: 'wrong.yaml' })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('wrong.yaml:6:7'),
      issues,
    });
  });

  it('let nothing start', async () => {
    await expect(home.call(runOps.create, { plan, cwd: local.repository })).rejects.toMatchObject({ issues });
    expect((await home.call(runOps.list, {})).runs).toEqual([]);
    expect(await local.branches()).toEqual([]);
  });

  it('are accepted when they are right, on an agent whose runtime is the default', async () => {
    const right = `name: right
agents: { coder: { options: { hooks: true, allowedTools: ['Bash(npm test:*)'] }, args: [--effort, high] } }
tasks: [{ id: one, agent: coder, prompt: Improve it. }]
`;
    expect(await home.call(runOps.check, { plan: right })).toMatchObject({ name: 'right' });
  });
});
