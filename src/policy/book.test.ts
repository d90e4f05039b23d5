import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../app/config.ts';
import { type Server, startServer } from '../app/server.ts';
import { localCaller } from '../kernel/caller.ts';
import type { Call, Reader } from '../kernel/handler.ts';
import { PolicyBook, repositoryAt } from './book.ts';
import { type Action, policyOps } from './contract.ts';
import { readPolicy } from './file.ts';
import { realPath } from './real-path.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'maos-policy-')));
const home = join(root, 'home');
const repository = join(root, 'repository');
let server: Server;
let call: Call;

beforeAll(async () => {
  mkdirSync(join(repository, '.git'), { recursive: true });
  mkdirSync(join(repository, '.maos'));
  mkdirSync(home);
  symlinkSync('/usr', join(repository, 'link'));
  const environment = { PATH: process.env['PATH'], HOME: home, MAOS_HOME: join(home, '.maos') };
  server = await startServer({
    config: readConfig(environment),
    version: '0',
    acts: false,
    listens: false,
    environment,
  });
  call = server.registry.as(localCaller);
});

afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

const check = (command: string) => call(policyOps.check, { command, cwd: repository });

describe('the operations', () => {
  it('tell what would happen, and why', async () => {
    const said = await check('cd link && sudo rm -rf lib | tee x');
    expect(said).toMatchObject({ effect: 'block', rule: 'system.wipe', risk: 'critical' });
    expect(said.commands.map(({ program, via }) => [...via, program].join(' > '))).toEqual([
      'cd',
      'sudo',
      'sudo > rm',
      'tee',
    ]);
    expect(said.commands[2]?.paths).toEqual([{ path: join(repository, 'link/lib'), access: 'delete' }]);
    expect(await call(policyOps.check, { argv: ['rm', 'x'], cwd: repository })).toMatchObject({ effect: 'allow' });
    expect(await check('echo "a=1" >> $MAOS_OUTPUT; ls > /dev/null 2> /dev/stderr')).toMatchObject({ effect: 'allow' });
    expect(await call(policyOps.check, { path: '.env', cwd: repository })).toMatchObject({ rule: 'file.env' });
    await expect(call(policyOps.check, { cwd: repository })).rejects.toMatchObject({ code: 'invalid' });
  });

  it('set rules, which are in the log, hold at once, and can be taken back', async () => {
    expect((await check('git push --force')).effect).toBe('ask');
    const rules = [
      { id: 'trusted-push', match: { command: { program: 'git', subcommand: 'push' } }, decision: 'allow' },
      { id: 'git.runs', match: { command: { program: 'git', args: 'alias.*' } }, decision: 'block', priority: 7 },
    ] as const;
    await call(policyOps.set, { rules: [...rules] });
    expect(await check('git push --force')).toMatchObject({ effect: 'allow', rule: 'trusted-push' });
    expect(await check('git config alias.x y')).toMatchObject({ effect: 'block', rule: 'git.runs' });
    expect(server.engine.feed.read(0).find(({ type }) => type === 'policy.changed')).toMatchObject({
      stream: 'policy',
      actor: 'user:local',
    });
    const shown = await call(policyOps.get, { layer: 'api' });
    expect(shown.rules.map(({ id }) => id)).toEqual(['git.runs', 'trusted-push']);
    await call(policyOps.set, { remove: ['trusted-push', 'git.runs'] });
    expect((await check('git push --force')).rule).toBe('git.force-push');
    await expect(call(policyOps.set, { remove: ['trusted-push'] })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('refuse a rule that cannot be read, and change nothing', async () => {
    const before = server.engine.feed.head;
    const bad = [
      { id: 'a', match: { text: '(' }, decision: 'ask' },
      { id: 'b', match: {}, when: 'nonsense(', decision: 'ask' },
      { id: 'c', match: { time: { zone: 'Mars/Base' } }, decision: 'ask' },
    ] as const;
    const refused = await call(policyOps.set, { rules: [...bad] }).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'invalid',
      issues: [{ path: 'rules.0.match.text' }, { path: 'rules.1.when' }, { path: 'rules.2.match.time.zone' }],
    });
    expect(server.engine.feed.head).toBe(before);
  });

  it('run the tests of a file and those of the shipped rules', async () => {
    const content = `
rules:
  - {id: no-make, match: {command: {program: make}}, decision: block}
tests:
  - {command: make all, expect: block, rule: no-make}
  - {command: cargo build, expect: block, name: wrong}
`;
    const { passed, failed } = await call(policyOps.test, { content });
    expect(passed).toBeGreaterThan(300);
    expect(failed).toEqual([{ name: 'wrong', expected: 'block', got: 'allow low by everyday', rule: 'everyday' }]);
    await expect(call(policyOps.test, { file: join(root, 'nothing.yaml') })).rejects.toMatchObject({ code: 'invalid' });
  });
});

const noRules: Reader = { get: () => undefined, all: () => [] };
let moment = 1_000_000;
const bash = (command: string): Action => ({
  kind: 'bash',
  command,
  cwd: repository,
  workspace: repository,
  actor: { kind: 'agent', id: 'ag_1' },
  at: moment,
});

function openBook(maosHome: string): Promise<PolicyBook> {
  return PolicyBook.open({ home, maosHome, reader: noRules, repositoryOf: repositoryAt, now: () => moment });
}

function write(file: string, text: string): void {
  writeFileSync(file, text);
  moment += 2_000;
  utimesSync(file, moment / 1_000, moment / 1_000);
}

describe('the book', () => {
  const file = join(repository, '.maos/policy.yaml');

  it('lets a repository make things stricter, and nothing looser', async () => {
    const book = await openBook(join(home, 'other'));
    expect((await book.judge(bash('make x'))).effect).toBe('allow');
    write(
      file,
      'rules: [{id: r.make, match: {command: {program: make}}, decision: ask}, {id: r.all, match: {}, decision: allow, priority: 1000}]\n',
    );
    expect(await book.judge(bash('make x'))).toMatchObject({ effect: 'allow' });
    write(
      file,
      'rules: [{id: r.make, match: {command: {program: make}}, decision: block}, {id: r.rm, match: {command: {program: rm}}, decision: allow, priority: 9}]\n',
    );
    expect(await book.judge(bash('make x'))).toMatchObject({ effect: 'block', rule: 'r.make' });
    expect(await book.judge(bash('rm -rf /'))).toMatchObject({ effect: 'block', rule: 'system.wipe' });
    expect(book.rule('r.make')).toMatchObject({ decision: 'block' });
  });

  it('asks as long as the rules of a repository were not read, or cannot be', async () => {
    const book = await openBook(join(home, 'other'));
    expect(book.decide(bash('ls'))).toMatchObject({ effect: 'ask', rule: null });
    await book.prepare(repository);
    expect(book.decide(bash('ls'))).toMatchObject({ effect: 'allow' });
    write(file, 'rules: [{id: x, mach: {}}]\n');
    expect(await book.judge(bash('ls'))).toMatchObject({
      effect: 'ask',
      risk: 'high',
      reason: expect.stringContaining('policy.yaml:1:'),
    });
    rmSync(file);
    moment += 2_000;
    expect(await book.judge(bash('ls'))).toMatchObject({ effect: 'allow' });
  });

  it('takes the rules of the home folder, replaces and disables shipped ones, and sees a change', async () => {
    const maosHome = join(home, 'policy-home');
    mkdirSync(maosHome);
    const own = join(maosHome, 'policy.yaml');
    write(
      own,
      'default: ask\ndisable: [git.push]\nrules:\n  - {id: system.root, match: {command: {program: sudo}}, decision: allow}\n',
    );
    const book = await openBook(maosHome);
    expect(await book.judge(bash('unheard-of'))).toMatchObject({ effect: 'ask', rule: null });
    expect(await book.judge(bash('git push'))).toMatchObject({ effect: 'allow', rule: 'everyday' });
    expect(await book.judge(bash('sudo ls'))).toMatchObject({ effect: 'allow' });
    write(own, 'default: block\n');
    expect(await book.judge(bash('unheard-of'))).toMatchObject({ effect: 'block', rule: null });
    write(own, 'default: [\n');
    expect(await book.judge(bash('unheard-of'))).toMatchObject({ effect: 'block', rule: null });
    await expect(book.effective(null)).rejects.toMatchObject({ code: 'invalid' });
    await expect(openBook(maosHome)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('policy.yaml:'),
    });
    expect(book.stats()).toMatchObject({ effects: { allow: 2, ask: 1, block: 2 } });
  });
});

const wrong: readonly (readonly [string, string, string, RegExp])[] = [
  [
    'an unknown field',
    'rules:\n  - id: a\n    match: {comand: {}}\n    decision: ask\n',
    '3:21',
    /Did you mean "command"/,
  ],
  ['a missing decision', 'rules:\n  - id: a\n    match: {}\n', '2:5', /decision|Invalid/],
  ['a wrong decision', 'rules:\n  - {id: a, match: {}, decision: maybe}\n', '2:34', /allow/],
  [
    'an id twice',
    'rules:\n  - {id: a, match: {}, decision: ask}\n  - {id: a, match: {}, decision: ask}\n',
    '3:10',
    /already/,
  ],
  ['a wrong expression', 'rules:\n  - id: a\n    match:\n      text: "(?<=x)"\n    decision: ask\n', '4:13', /RE2/],
  ['a wrong condition', 'rules:\n  - id: a\n    match: {}\n    when: "1 +"\n    decision: ask\n', '4:11', /Cedar/],
  ['no YAML', 'rules: [\n', '2:1', /YAML/],
  ['wrong hours', 'rules:\n  - {id: a, match: {time: {hours: "25:00-1"}}, decision: ask}\n', '2:35', /22:00/],
];

it.each(wrong)('a policy file with %s is refused at its place', async (_what, text, place, told) => {
  const refused = await readPolicy(text, 'p.yaml').catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'invalid', message: expect.stringMatching(told) });
  expect(refused).toMatchObject({ message: expect.stringContaining(`p.yaml:${place}`) });
});

it('a link to what is not there yet is followed, and one that leads to itself ends', () => {
  const at = (name: string): string => join(repository, name);
  symlinkSync('/opt/nothing-here/x', at('dangling'));
  symlinkSync('loop', at('loop'));
  // With a folder of which it is known that it leads nowhere else, and without.
  for (const from of [undefined, repository]) {
    expect(realPath(at('dangling'), from)).toBe(realPath('/opt/nothing-here/x'));
    expect(realPath(at('link'), from)).toBe('/usr');
    expect(realPath(at('link/no/such'), from)).toBe('/usr/no/such');
    expect(realPath(at('a/b'), from)).toBe(at('a/b'));
    expect(realPath(at('.git/a'), from)).toBe(at('.git/a'));
    expect(realPath(at('loop/x'), from)).toContain('loop');
    expect(realPath(`${repository}-2/a`, from)).toBe(`${repository}-2/a`);
  }
});
