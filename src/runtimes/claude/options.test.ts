import { describe, expect, it } from 'vitest';
import { checkSettings, parseOptions } from './options.ts';

describe('settings for Claude', () => {
  it('are right when `parseOptions` takes them', () => {
    const options = { permissionMode: 'plan', allowedTools: ['WebFetch'], mcpConfig: [], hooks: true };
    expect(checkSettings({ options, args: ['--effort', 'high', '--add-dir', '/tmp'] })).toEqual([]);
    expect(parseOptions(options)).toMatchObject({ ...options, disallowedTools: [] });
  });

  it.each([
    [{ hook: true }, ['options', 'hook'], 'Did you mean "hooks"?', true],
    [{ something: 1 }, ['options', 'something'], 'There is: permissionMode, ', true],
    [{ hooks: 'yes' }, ['options', 'hooks'], 'expected boolean', undefined],
    [{ allowedTools: ['a', 1] }, ['options', 'allowedTools', 1], 'expected string', undefined],
  ])('%o is wrong at its place', (options, path, message, onKey) => {
    expect(checkSettings({ options, args: [] })).toEqual([
      { path, message: expect.stringContaining(message), ...(onKey === undefined ? {} : { onKey }) },
    ]);
    expect(() => parseOptions(options)).toThrow('The options for Claude are wrong');
  });

  it.each([
    ['--resume', 'conversation'],
    ['--model', 'model:'],
    ['--allowedTools=Bash', 'allowedTools:'],
    ['-p', 'form'],
    ['--safe-mode', 'by a hook'],
    ['--cloud', 'in the worktree'],
  ])('do not give %s another time', (argument, instead) => {
    expect(checkSettings({ options: {}, args: ['--effort', argument] })).toEqual([
      { path: ['args', 1], message: expect.stringContaining(instead) },
    ]);
  });

  it('set no variable that could keep Claude from asking the rules, be it in small letters or unknown', () => {
    const opening = [
      'PATH',
      'node_options',
      'LD_PRELOAD',
      'BASH_ENV',
      'CLAUDE_CODE_SIMPLE',
      'CLAUDE_CODE_SOMETHING_NEW',
    ];
    const problems = checkSettings({ options: {}, args: [], env: ['CI', ...opening, 'CLAUDE_CODE_MAX_RETRIES'] });
    expect(problems.map(({ path }) => path)).toEqual(opening.map((name) => ['env', name]));
  });
});
