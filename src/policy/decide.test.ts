import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRules } from './compile.ts';
import { type Action, effects, type PolicyRule, policyRule } from './contract.ts';
import { decide, strictest } from './decide.ts';
import { loadEngines } from './engines.ts';
import { shippedRules } from './shipped.ts';
import { shippedTests } from './shipped-tests.ts';
import { tryRules } from './trial.ts';

const at = Date.parse('2026-03-04T12:00:00Z');
const world = { home: '/home/u', maosHome: '/home/u/.maos', realpath: (path: string) => path, engines: {} };
const bash = (command: string, more: Partial<Action> = {}): Action => ({
  kind: 'bash',
  command,
  cwd: '/home/u/p',
  workspace: '/home/u/p',
  actor: { kind: 'agent', id: 'ag_1' },
  at,
  ...more,
});
const say = (rules: readonly PolicyRule[], action: Action, engines = {}) => {
  const compiled = compileRules(rules, { ...world, engines });
  expect(compiled.problems).toEqual([]);
  return decide(compiled.rules, action);
};
const rule = (id: string, decision: PolicyRule['decision'], match: object = {}, more: object = {}): PolicyRule =>
  policyRule().parse({ id, decision, match, ...more });

describe('the shipped rules', () => {
  it('say what their table says', () => {
    const { passed, failed } = tryRules({ rules: shippedRules, otherwise: 'allow', tests: shippedTests }, {}, at);
    expect(failed).toEqual([]);
    expect(passed).toBe(shippedTests.length);
    expect(shippedTests.filter(({ expect: said }) => said === 'allow').length).toBeGreaterThan(60);
  });

  it('have ids of their own, a reason and a test each', () => {
    expect(new Set(shippedRules.map(({ id }) => id)).size).toBe(shippedRules.length);
    for (const one of shippedRules) expect(policyRule().parse(one), one.id).toEqual(one);
    const tested = new Set(shippedTests.flatMap((test) => test.rule ?? []));
    const hidden = [
      'everyday',
      'file.read-keys',
      'shell.recursive',
      'git.rewrite-tool',
      'publish.artifact',
      'network.dev-tcp',
      'network.open',
    ];
    expect(shippedRules.map(({ id }) => id).filter((id) => !tested.has(id) && !hidden.includes(id))).toEqual([]);
  });

  it('let everyday work be when the default is to ask', () => {
    const { rules } = compileRules(shippedRules, world, 'ask');
    const asked = shippedTests.filter(({ command, expect: said }) => command !== undefined && said === 'allow');
    const refused = asked.filter(({ command }) => decide(rules, bash(command ?? '')).effect !== 'allow');
    expect(refused.length).toBeLessThan(asked.length / 4);
  });
});

const anyRule = fc
  .record({
    decision: fc.constantFrom(...effects),
    priority: fc.integer({ min: -2, max: 2 }),
    program: fc.option(fc.constantFrom('rm', 'ls', '*', 'r*', 'git')),
    risk: fc.constantFrom('low', 'medium', 'high', 'critical'),
  })
  .map(({ program, ...given }) => ({ match: program === null ? {} : { command: { program } }, ...given }));
const someRules = fc
  .array(anyRule, { maxLength: 12 })
  .map((list) => list.map((one, index) => policyRule().parse({ id: `r${index}`, ...one })));
const someCommand = fc.constantFrom('rm x', 'ls', 'git status', 'rm x; ls', 'ls | rm y', '$X', 'sudo rm z');

describe('which rule decides', () => {
  it('does not depend on the order in which the rules stand', () => {
    fc.assert(
      fc.property(someRules, someCommand, fc.infiniteStream(fc.nat(1_000)), (rules, command, dice) => {
        const shuffled = rules.map((one) => [dice.next().value ?? 0, one] as const).toSorted((a, b) => a[0] - b[0]);
        expect(
          say(
            shuffled.map(([, one]) => one),
            bash(command),
          ),
        ).toEqual(say(rules, bash(command)));
      }),
    );
  });

  it('is the highest priority, and there block before ask before allow', () => {
    fc.assert(
      fc.property(someRules, (rules) => {
        const fits = rules.filter(
          ({ match }) => match.command === undefined || ['rm', '*', 'r*'].includes(String(match.command.program)),
        );
        const top = Math.max(...fits.map(({ priority = 0 }) => priority));
        const first = fits.filter(({ priority = 0 }) => priority === top).map(({ decision }) => decision);
        const expected = effects.findLast((effect) => first.includes(effect)) ?? 'allow';
        expect(say(rules, bash('rm x')).effect).toBe(expected);
      }),
    );
  });

  it('is never looser for a command that does more', () => {
    const rank = (effect: string): number => effects.findIndex((one) => one === effect);
    fc.assert(
      fc.property(someRules, someCommand, someCommand, (rules, one, other) => {
        const both = say(rules, bash(`${one}; ${other}`));
        const each = strictest(say(rules, bash(one)), say(rules, bash(other)));
        expect(rank(both.effect)).toBeGreaterThanOrEqual(rank(each.effect));
      }),
    );
  });

  it('is no longer one that has expired', () => {
    const rules = [rule('a', 'block', {}, { expires: '2026-03-04T13:00:00+01:00' })];
    expect(say(rules, bash('ls', { at: at - 1 })).effect).toBe('block');
    expect(say(rules, bash('ls', { at })).effect).toBe('allow');
  });
});

const cases: readonly (readonly [string, object, Action, boolean])[] = [
  ['an actor', { actor: 'agent:*' }, bash('ls'), true],
  ['another actor', { actor: 'user:*' }, bash('ls'), false],
  ['a role', { role: ['worker', 'merger'] }, bash('ls', { role: 'merger' }), true],
  ['no team', { team: 'a' }, bash('ls'), false],
  ['a tool', { tool: 'mcp__github__*' }, bash('ls', { tool: 'mcp__github__merge' }), true],
  [
    'an operation',
    { operation: 'run.*' },
    { kind: 'operation', operation: 'run.merge', actor: { kind: 'user', id: 'a' }, at },
    true,
  ],
  ['a host in a URL', { host: '*.example.com' }, bash('curl https://api.example.com:8443/x'), true],
  ['a host of git', { host: 'github.com' }, bash('git clone git@github.com:a/b'), true],
  ['every host but one', { host: '!localhost' }, bash('curl http://localhost:1'), false],
  ['words', { contains: 'drop table' }, { ...bash(''), kind: 'database', command: 'DROP\n  TABLE x' }, true],
  ['hours over midnight', { time: { hours: '22:00-13:30' } }, bash('ls'), true],
  ['hours of another zone', { time: { hours: '09:00-12:30', zone: 'Asia/Tokyo' } }, bash('ls'), false],
  ['a day', { time: { days: ['wed'] } }, bash('ls'), true],
  ['the day on which a night began', { time: { days: ['tue'], hours: '20:00-13:00' } }, bash('ls'), true],
  ['a link out of the workspace', { path: { outside: 'workspace' } }, bash('rm link/x'), true],
  ['what is inside', { path: { inside: 'workspace', access: 'write' } }, bash('echo > a/b'), true],
  ['a sibling with the same beginning', { path: { outside: 'workspace' } }, bash('rm ../p2'), true],
  ['a wildcard that may mean it', { path: { glob: '.env' } }, bash('cat .e*'), true],
  [
    'an option that is not there',
    { command: { program: 'npm', flags: ['!dry-run'] } },
    bash('npm publish --dry-run'),
    false,
  ],
  ['an option of a cluster', { command: { flags: ['r', 'f'] } }, bash('rm -fr x'), true],
  ['an option after --', { command: { flags: ['f'] } }, bash('rm -- -f'), false],
  ['an option that is switched off', { command: { flags: ['force'] } }, bash('rm --force=false x'), false],
  [
    'a subcommand behind an option that nobody knows',
    { command: { subcommand: 'a b' } },
    bash('x --y z a --q b'),
    true,
  ],
  [
    'a subcommand that is the value of a known one',
    { command: { subcommand: 'push' } },
    bash('git -C push log'),
    false,
  ],
  ['an option with its value', { command: { args: '-c=core.x=*' } }, bash('git -ccore.x=y log'), true],
  ['a variable that a wrapper sets', { command: { program: 'x', env: 'A=b*' } }, bash('env -u C A=bc x'), true],
  ['a variable that is left out', { command: { env: ['A', '!A=b*'] } }, bash('A=bc x'), false],
  ['a folder with what is below it', { path: { glob: '/home/u/.q/**' } }, bash('tar c ~'), true],
  ['a folder of which only names are read', { path: { glob: '/home/u/.q/**' } }, bash('ls -R ~'), false],
  ['the files of a folder', { path: { glob: '/home/u/.q/key' } }, bash('cat ~/.q/*'), true],
];

/** A rule that allows, and an action that it is asked about: whether it allows it. */
const allowances: readonly (readonly [string, object, Action, boolean])[] = [
  ['one place', { command: { program: 'rm' }, path: { glob: '/scratch/**' } }, bash('rm /scratch/a /scratch/b'), true],
  [
    'a place and another',
    { command: { program: 'rm' }, path: { glob: '/scratch/**' } },
    bash('rm /scratch/a /b'),
    false,
  ],
  ['one machine', { host: 'a.example.com' }, bash('curl https://a.example.com/x'), true],
  ['a machine and another', { host: 'a.example.com' }, bash('curl https://a.example.com https://b.example.com'), false],
  ['a subcommand', { command: { program: 'x', subcommand: 'test' } }, bash('x test'), true],
  ['what may be a subcommand', { command: { program: 'x', subcommand: 'test' } }, bash('x --y test push'), false],
];

describe('a rule looks for', () => {
  it.each(cases)('%s', (_what, match, action, matches) => {
    const realpath = (path: string): string => path.replace(/^\/home\/u\/p\/link/, '/elsewhere');
    const { rules, problems } = compileRules([rule('it', 'block', match)], { ...world, realpath });
    expect(problems).toEqual([]);
    expect(decide(rules, action).effect).toBe(matches ? 'block' : 'allow');
  });

  it.each(allowances)('%s, and allows only what all of it is about', (_what, match, action, allowed) => {
    const { rules } = compileRules([rule('all', 'block'), rule('it', 'allow', match, { priority: 1 })], world);
    expect(decide(rules, action).effect).toBe(allowed ? 'allow' : 'block');
  });

  it('text, by an expression that takes linear time', async () => {
    const rules = [rule('a', 'block', { text: '(a|aa)+$|rm\\s+-rf' })];
    const engines = await loadEngines(rules);
    expect(say(rules, bash('x rm  -rf y'), engines).effect).toBe('block');
    const start = performance.now();
    expect(say(rules, bash(`echo ${'a'.repeat(20_000)}b`), engines).effect).toBe('allow');
    expect(performance.now() - start).toBeLessThan(2_000);
    const bad = compileRules([rule('b', 'ask', { text: '(?=x)y' })], { ...world, engines });
    expect(bad.problems).toMatchObject([{ path: [0, 'match', 'text'], message: expect.stringContaining('RE2') }]);
  });

  it('a condition in Cedar', async () => {
    const rules = [
      rule(
        'a',
        'block',
        {},
        { when: 'context.program == "rm" && context has role && context.role == "worker" && !context.outside' },
      ),
      rule('b', 'allow', {}, { when: 'context.nothing == 1', priority: 5 }),
    ];
    const engines = await loadEngines(rules);
    expect(say(rules, bash('rm x', { role: 'worker' }), engines).effect).toBe('block');
    expect(say(rules, bash('rm x', { role: 'merger' }), engines).effect).toBe('allow');
    // What cannot be evaluated makes nothing looser, and lets nothing through that would be asked for.
    const blocks = [rule('c', 'ask', {}, { when: 'context.nothing == 1' })];
    expect(say(blocks, bash('ls'), await loadEngines(blocks)).effect).toBe('ask');
    for (const when of ['context.', 'true }; permit (principal, action, resource) when { true']) {
      const wrong = compileRules([rule('d', 'ask', {}, { when })], { ...world, engines });
      expect(wrong.problems).toMatchObject([{ path: [0, 'when'], message: expect.stringContaining('Cedar') }]);
    }
  });
});
