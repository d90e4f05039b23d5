import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { fieldsOfInput } from '../gateway/fields.ts';
import { AppError } from '../kernel/error.ts';
import { everyOperation, nouns, verbOf } from './catalogue.ts';
import { say } from './cli.fixture.ts';
import { commands } from './commands.ts';
import { kebab } from './argv.ts';

const operations = (await everyOperation()).filter((operation) => operation.internal !== true);
const tasks = {
  tasks: [
    {
      id: 'task_000000000001',
      title: 'First',
      state: 'done',
      since: 1_699_999_990_000,
      queue: 'default',
      attempt: 1,
      reason: null,
    },
    {
      id: 'task_00000z000002',
      title: 'Se\u001b[31mcond',
      state: 'queued',
      since: 1_699_999_000_000,
      queue: 'default',
      attempt: 0,
      reason: null,
    },
  ],
  next: 'c1',
};

describe('derived commands', () => {
  it('know every noun of the contracts', () => {
    const known = [...new Set(operations.map((operation) => operation.name.split('.')[0] ?? ''))].toSorted();
    expect(nouns).toEqual(known);
  });

  it.each(operations.map((operation) => [operation.name, operation] as const))(
    '%s has help for every field',
    async (_name, operation) => {
      const { out, code } = await say([...operation.name.split('.'), '--help']);
      expect(code).toBe(0);
      expect(out).toContain(`Usage: maos ${operation.name.replace('.', ' ')}`);
      for (const { name } of fieldsOfInput(operation)) {
        const positional = operation.positional?.includes(name) === true;
        expect(out).toContain(positional ? kebab(name).toUpperCase() : `${kebab(name)}`);
      }
      for (const key of operation.positional ?? [])
        expect(fieldsOfInput(operation).map(({ name }) => name)).toContain(key);
    },
  );

  it('send what was typed, paths made absolute, the folder filled in', async () => {
    const update = await say(
      [
        'task',
        'update',
        'task_1',
        '--labels',
        'a,b',
        '--payload',
        '{"x":1}',
        '--priority',
        '3',
        '--idempotency-key',
        'k1',
        '--json',
      ],
      { answers: { 'task.update': { id: 'task_1' } } },
    );
    expect(update).toMatchObject({ code: 0, out: '{"id":"task_1"}\n', err: '' });
    expect(update.calls).toEqual([
      {
        operation: 'task.update',
        input: { task: 'task_1', labels: ['a', 'b'], payload: { x: 1 }, priority: 3 },
        key: 'k1',
      },
    ]);
    const add = await say(['project', 'add', 'repo'], { answers: { 'project.add': {} } });
    expect(add.calls[0]?.input).toEqual({ path: '/here/repo' });
    const get = await say(['project', 'get', '.'], { answers: { 'project.get': {} } });
    expect(get.calls[0]?.input).toEqual({ project: '/here' });
    const create = await say(['run', 'create', '--objective', 'x'], { answers: { 'run.create': {} } });
    expect(create.calls[0]?.input).toEqual({ cwd: '/here', objective: 'x' });
  });

  it('ask for what is secret, and take it neither as an option nor without an answer', async () => {
    const answers = { 'user.create': {} };
    const asked = await say(['user', 'create', 'ada', '--role', 'admin'], { answers, typed: 'correct horse battery' });
    expect(asked.calls).toEqual([
      { operation: 'user.create', input: { name: 'ada', role: 'admin', password: 'correct horse battery' } },
    ]);
    const option = await say(['user', 'create', 'ada', '--password', 'correct horse battery'], { answers });
    expect(option).toMatchObject({ code: 2, calls: [] });
    expect(option.err).not.toContain('correct horse');
    const silent = await say(['user', 'create', 'ada'], { answers });
    expect(silent).toMatchObject({ code: 2, calls: [] });
    expect(silent.err).toContain('--password-stdin');
    expect((await say(['user', 'create', 'ada', '--idempotency-key', 'k'], { answers, typed: 'x' })).code).toBe(2);
  });

  it('say when nothing will carry the work out', async () => {
    const answers = { 'agent.start': {}, 'task.list': { tasks: [] } };
    expect((await say(['agent', 'start', 'a', 'do it'], { answers, embedded: true })).err).toMatch(/maos up/);
    expect((await say(['agent', 'start', 'a', 'do it'], { answers })).err).toBe('');
    expect((await say(['task', 'list'], { answers, embedded: true })).err).toBe('');
  });

  it('show lists as tables: fitted on a terminal, whole elsewhere', async () => {
    const piped = await say(['task', 'list'], { answers: { 'task.list': tasks } });
    expect(piped.out).toMatchInlineSnapshot(`
      "ID                 TITLE   STATE   SINCE                     QUEUE    ATTEMPT
      task_000000000001  First   done    2023-11-14T22:13:10.000Z  default        1
      task_00000z000002  Second  queued  2023-11-14T21:56:40.000Z  default        0

      There are more: add --cursor c1
      "
    `);
    const shown = await say(['task', 'list'], { answers: { 'task.list': tasks }, columns: 48, env: { NO_COLOR: '1' } });
    expect(shown.out).toMatchInlineSnapshot(`
      "ID           TITLE   STATE   SINCE    QUEUE
      task_000000  First   done    10s ago  default
      task_00000z  Second  queued  16m ago  default

      There are more: add --cursor c1
      "
    `);
  });

  it('show one thing field by field', async () => {
    const answer = {
      id: 'task_1',
      title: 'A\u0007 b',
      timeoutMs: 90_000,
      costUsd: 1.5,
      needs: ['a', 'b'],
      error: null,
      nested: { a: 1, b: null },
      steps: [{ id: 'x', state: 'done' }],
      text: 'one\ntwo',
    };
    expect((await say(['task', 'get', 'x'], { answers: { 'task.get': answer } })).out).toMatchInlineSnapshot(`
      "id       task_1
      title    A b
      timeout  1m 30s
      cost     $1.50
      needs    a, b
      error    -
      nested   a=1

      steps
        ID  STATE
        x   done

      text
      one
      two
      "
    `);
  });
});

describe('the grammar of maos', () => {
  it('shows help without a connection', async () => {
    for (const argv of [[], ['--help'], ['help'], ['run', '--help'], ['help', 'run'], ['task'], ['task', '--help']]) {
      const { code, out, acts } = await say(argv);
      expect([code, out.includes('Usage:'), acts]).toEqual([0, true, []]);
    }
    expect((await say(['--help'])).out).toContain(nouns.slice(0, 5).join(', '));
  });

  it('shows help and corrects a word without loading a contract', () => {
    const script = `
      import { registerHooks } from 'node:module';
      const loaded = [];
      registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
      const { runCli } = await import(${JSON.stringify(import.meta.resolve('./cli.ts'))});
      const stream = { write() {} };
      for (const argv of [['--help'], ['bogus'], ['--version']]) await runCli({ argv, stdout: stream, stderr: stream, env: {}, cwd: '/', version: '1' });
      console.log(JSON.stringify(loaded));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    const loaded: string[] = JSON.parse(stdout);
    expect(stderr).toBe('');
    expect(loaded.length).toBeGreaterThan(5);
    expect(loaded.filter((url) => /node_modules|contract\.ts|commands\//.test(url))).toEqual([]);
  });

  it.each(commands.map((command) => command.name))('%s has help with its options', async (name) => {
    expect((await say([name, '--help'])).out).toContain(`Usage: maos ${name}`);
  });

  it.each([
    [['tasks', 'list'], /no command "tasks"/, /maos task/],
    [['task', 'lst'], /no command "task lst"/, /maos task list/],
    [['statsu'], /no command "statsu"/, /maos status/],
    [['task', 'list', '--sate', 'x'], /no option --sate/, /--state[^]*maos task list --help/],
    [['task', 'get'], /TASK is missing/, /maos task get --help/],
  ])('corrects %j', async (argv, message, fix) => {
    const { code, out, err } = await say(argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(message);
    expect(err).toMatch(fix);
  });

  it('tells apart a run’s verbs and what is to be run', async () => {
    const list = await say(['run', 'list'], { answers: { 'run.list': { runs: [] } } });
    expect(list).toMatchObject({ code: 0, out: 'Nothing.\n' });
    const answer = { intact: true, records: 3, head: 'h', breaks: [] };
    const verified = await say(['audit', 'verify'], { answers: { 'audit.verify': answer } });
    expect(verified.out).toBe('intact   yes\nrecords  3\nhead     h\nbreaks   none\n');
    const typo = await say(['run', 'plam.yaml']);
    expect(typo.code).toBe(4);
    expect(typo.err).toMatch(/no file plam\.yaml/);
  });

  it.each([
    ['invalid', 2],
    ['unauthenticated', 5],
    ['forbidden', 5],
    ['not_found', 4],
    ['conflict', 5],
    ['exhausted', 5],
    ['unavailable', 6],
  ] as const)('exits after %s with %d', async (code, exit) => {
    const refuse = (): never => {
      throw new AppError(code, 'No \u001b[31mway.', {
        fix: 'Do this.',
        issues: [
          { path: 'a.0', message: 'Bad.' },
          { path: '', message: 'Worse.' },
        ],
      });
    };
    const human = await say(['task', 'list'], { answers: { 'task.list': refuse } });
    expect(human).toMatchObject({
      code: exit,
      out: '',
      err: 'maos: No way.\n  - a.0: Bad.\n  - Worse.\n  fix: Do this.\n',
    });
    const machine = await say(['task', 'list', '--json'], { answers: { 'task.list': refuse } });
    expect(JSON.parse(machine.err)).toMatchObject({
      error: { code, fix: 'Do this.', issues: [{ path: 'a.0' }, { path: '' }] },
    });
    expect(machine).toMatchObject({ code: exit, out: '' });
  });

  it('takes a defect for a failure', async () => {
    const broken = (): never => {
      throw new Error('boom');
    };
    expect(await say(['task', 'list'], { answers: { 'task.list': broken } })).toMatchObject({
      code: 1,
      err: 'maos: boom\n',
    });
  });
});

describe('completion', () => {
  const complete = async (words: readonly string[]): Promise<string[]> => {
    const { out } = await say(['completion', 'bash']);
    const script = `${out}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=$((\${#COMP_WORDS[@]}-1)); _maos; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8', cwd: '/' });
    expect(stderr).toBe('');
    return stdout.trim().split('\n');
  };

  it('completes commands, verbs and options in bash', async () => {
    expect(await complete(['maos', 'st'])).toEqual(['status', 'stop']);
    expect(await complete(['maos', 'task', 'c'])).toEqual(['create', 'claim', 'complete', 'cancel']);
    expect(await complete(['maos', 'task', 'list', '--st'])).toEqual(['--state']);
    expect(await complete(['maos', 'run', '--cont'])).toEqual(['--continues']);
    expect(await complete(['maos', 'check', 'etc'])).toEqual(['etc']);
  });

  it('names every command in the other shells', async () => {
    for (const shell of ['zsh', 'fish']) {
      const { out } = await say(['completion', shell]);
      for (const operation of operations) expect(out).toContain(verbOf(operation));
      for (const { name } of commands) expect(out).toContain(name);
    }
    expect((await say(['completion', 'tcsh'])).code).toBe(2);
  });
});
