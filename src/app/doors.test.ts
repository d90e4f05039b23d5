import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readToken } from '../auth/token.ts';
import { type Budget, budgetOps } from '../budgets/contract.ts';
import { createClient } from '../gateway/client.ts';
import { SseReader } from '../gateway/sse.ts';
import { AppError } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import { runDetail, runEvents, runOps } from '../workflows/contract.ts';
import { placesIn } from './places.ts';
import { type LiveServer, Site } from './site.fixture.ts';

const plan = (name: string): string => `name: ${name}
tasks:
  - id: write
    command: echo ${name} > ${name}.txt
    checks: [grep -q ${name} ${name}.txt]
  - id: count
    needs: [write]
    command: echo "lines=$(wc -l < ${name}.txt)" >> "$MAOS_OUTPUT"
    outputs: [lines]
`;
/** "needs" names a task that is not there: line 5, column 13. */
const wrongPlan = `name: wrong
tasks:
  - id: one
    command: echo one
    needs: [nobody]
`;
const mistake = { line: 5, column: 13 };

/** What a call refuses with. */
async function refusal(call: Promise<unknown>): Promise<AppError> {
  const answer = await call.then(
    (value) => new Error(`It was not refused, but answered ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  if (answer instanceof AppError) return answer;
  throw answer;
}

describe('the shell', () => {
  let site: Site;
  beforeAll(() => {
    site = new Site({ files: { 'plan.yaml': plan('shell'), 'wrong.yaml': wrongPlan } });
  });
  afterAll(() => site.destroy());

  it('creates, follows, reports and merges', async () => {
    const ran = await site.maos(['run', 'plan.yaml']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toMatch(/write +landed as [0-9a-f]{10}\n[^]*count +done\n[^]*shell-1 +succeeded\n/);
    const reported = await site.maos(['report', 'shell-1']);
    expect(reported.stdout).toMatch(/^shell-1: succeeded\n[^]*2 of 2 done/);
    expect((await site.maos(['merge', 'shell-1'])).code).toBe(0);
    expect(readFileSync(join(site.repository, 'shell.txt'), 'utf8')).toBe('shell\n');
  });

  it('shows a mistake of a plan with its line and column, and starts nothing', async () => {
    const refused = await site.maos(['run', 'wrong.yaml']);
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain(`wrong.yaml:${mistake.line}:${mistake.column}`);
    expect(refused.stderr).toMatch(/nobody[^]*fix: /);
    expect((await site.maos(['run', 'get', 'wrong-1'])).code).toBe(4);
  });

  it('refuses an unknown option, an unknown run, and a file that is not there', async () => {
    const option = await site.maos(['run', 'list', '--colour', 'red']);
    expect(option).toMatchObject({ code: 2, stdout: '' });
    expect(option.stderr).toMatch(/--colour[^]*maos run list --help/);
    const run = await site.maos(['report', 'nobody-7', '--json']);
    expect(run.code).toBe(4);
    expect(JSON.parse(run.stderr)).toMatchObject({ error: { code: 'not_found' } });
    const file = await site.maos(['run', 'plain.yaml']);
    expect(file).toMatchObject({ code: 4, stdout: '' });
    expect(file.stderr).toContain('There is no file plain.yaml');
  });
});

describe('a server', () => {
  let site: Site;
  let server: LiveServer;
  let url: string;
  let token: string;
  beforeAll(async () => {
    site = new Site();
    server = await site.start();
    ({ url } = JSON.parse(readFileSync(placesIn(site.home).server, 'utf8')));
    token = readToken(placesIn(site.home).token);
  });
  afterAll(async () => {
    await server.stop();
    await site.destroy();
  });

  describe('over REST, by the typed client', () => {
    const operations = { 'run.create': runOps.create, 'run.get': runOps.get } as const;

    it('creates, follows, reports and merges', async () => {
      const client = createClient({ url, token, operations });
      try {
        const { id, name } = await client.run.create({ plan: plan('rest'), cwd: site.repository });
        const types: string[] = [];
        for await (const record of client.follow({ after: 0, filter: { types: ['step.*', 'run.*'] } })) {
          types.push(record.type);
          if (record.stream === id && record.type === runEvents.reported.type) break;
        }
        expect(types).toEqual(expect.arrayContaining([runEvents.landed.type, runEvents.ended.type]));
        const { state, steps } = await client.run.get({ run: name });
        expect(state).toBe('succeeded');
        expect(steps.map(({ outputs }) => outputs)).toEqual([{}, { lines: '1' }]);
        expect((await client.call(runOps.report, { run: id })).markdown).toContain(`# ${name}: succeeded`);
        expect(await client.call(runOps.merge, { run: id })).toMatchObject({ branch: 'main' });
        expect(site.git('show', 'main:rest.txt')).toBe('rest');
      } finally {
        client.close();
      }
    });

    it('refuses unknown fields, unknown runs, a wrong token and a wrong plan, each in its own way', async () => {
      const { client } = server;
      const given = { plan: plan('never'), cwd: site.repository };
      const field = await refusal(client.call(runOps.create, { ...given, ...{ colour: 'red' } }));
      expect(field.code).toBe('invalid');
      expect(JSON.stringify([field.message, field.issues])).toContain('colour');
      expect(await refusal(client.call(runOps.get, { run: 'nobody-7' }))).toMatchObject({ code: 'not_found' });
      const wrong = await refusal(client.call(runOps.create, { ...given, plan: wrongPlan, file: '/tmp/wrong.yaml' }));
      expect(wrong.code).toBe('invalid');
      expect([wrong.message, ...(wrong.issues ?? []).map((issue) => issue.path)].join('\n')).toContain(
        `${mistake.line}:${mistake.column}`,
      );
      const stranger = createClient({ url, token: `${token}x` });
      expect(await refusal(stranger.call(runOps.list, {}))).toMatchObject({ code: 'unauthenticated' });
      stranger.close();
      expect((await client.call(runOps.list, {})).runs.filter(({ name }) => name.startsWith('never'))).toEqual([]);
    });
  });

  describe('over server-sent events', () => {
    type Request = Omit<RequestInit, 'headers'> & { readonly headers?: Readonly<Record<string, string>> };
    const api = (path: string, init: Request = {}): Promise<Response> =>
      fetch(`${url}/api/v1${path}`, {
        ...init,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...init.headers },
      });

    /** Records from a cursor on, until one fits. */
    async function follow(
      query: string,
      headers: Record<string, string>,
      last: (record: LogRecord) => boolean,
    ): Promise<LogRecord[]> {
      const response = await api(`/events?${query}`, { headers });
      expect(response.headers.get('content-type')).toContain('text/event-stream');
      const reader = new SseReader();
      const records: LogRecord[] = [];
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) {
        for (const { data } of reader.push(decoder.decode(chunk, { stream: true }))) {
          if (data === undefined) continue;
          const record: LogRecord = JSON.parse(data);
          records.push(record);
          if (last(record)) return records;
        }
      }
      throw new Error(`The stream ended after ${records.map(({ type }) => type).join(', ')}`);
    }

    it('creates, follows from a cursor, takes up where it was cut, reports and merges', async () => {
      const body = JSON.stringify({ plan: plan('sse'), cwd: site.repository });
      const created = runDetail().parse(await (await api('/runs', { method: 'POST', body })).json());
      const ended = (record: LogRecord): boolean =>
        record.stream === created.id && record.type === runEvents.reported.type;
      const all = await follow('after=0', {}, ended);
      expect(all.map(({ position }) => position)).toEqual(all.map((_, index) => index + 1));
      const middle = all[Math.floor(all.length / 2)]?.position ?? 0;
      const rest = await follow('', { 'last-event-id': String(middle) }, ended);
      expect(rest).toEqual(all.slice(middle));
      const landed = await follow('after=0&types=step.landed&types=run.*', {}, ended);
      expect(new Set(landed.map(({ type }) => type.replace(/^run\..*/, 'run')))).toEqual(
        new Set(['step.landed', 'run']),
      );
      const report = await (await api(`/runs/${created.name}/report`)).text();
      expect(report).toContain('2 of 2 done');
      expect((await api(`/runs/${created.name}/merge`, { method: 'POST', body: '{}' })).status).toBe(200);
      expect(site.git('show', 'main:sse.txt')).toBe('sse');
    });

    const wrong: readonly (readonly [string, string, Request, number, string])[] = [
      ['no token', '/events', { headers: { authorization: '' } }, 401, 'unauthenticated'],
      ['a wrong token', '/events', { headers: { authorization: 'Bearer nobody' } }, 401, 'unauthenticated'],
      ['a foreign page', '/events', { headers: { origin: 'http://evil.example' } }, 403, 'forbidden'],
      ['an unknown filter', '/events?colour=red', {}, 400, 'invalid'],
      ['a cursor of another log', '/events?after=999999999', {}, 409, 'conflict'],
      ['an unknown run', '/runs/nobody-7', {}, 404, 'not_found'],
      ['an unknown field', '/runs', { method: 'POST', body: '{"cwd": "/", "colour": "red"}' }, 400, 'invalid'],
      ['an unknown path', '/rums', {}, 404, 'not_found'],
    ];
    it.each(wrong)('refuses %s', async (_what, path, init, status, code) => {
      const response = await api(path, { ...init, signal: AbortSignal.timeout(10_000) });
      expect(response.status).toBe(status);
      const answer: { error: { code: string; fix?: string } } = JSON.parse(await response.text());
      expect(answer).toMatchObject({ error: { code } });
      expect(answer.error.fix ?? '').not.toBe('');
    });
  });

  it('sets a budget over one door, and shows, changes and removes it over others', async () => {
    const shell = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await site.maos(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return stdout;
    };
    const made: Budget = JSON.parse(
      await shell('budget', 'set', '--usd', '50', '--period', 'day', '--at-limit', 'ask', '--json'),
    );
    expect(made).toMatchObject({ kind: 'fleet', usd: 50, period: 'day', atLimit: 'ask', left: { usd: 50 } });
    const { client } = server;
    expect(await client.call(budgetOps.list, {})).toMatchObject({ budgets: [{ id: made.id }] });
    expect(await client.call(budgetOps.set, { budget: made.id, usd: 60, tokens: 1_000 })).toMatchObject({
      id: made.id,
      usd: 60,
      period: 'day',
    });
    expect(await shell('budget', 'get', made.id)).toContain('60');
    expect(await shell('cost')).toMatch(/BUDGET +LIMIT +USED +PROMISED +LEFT\nfleet \(day\) +\$60\.00/);
    expect((await refusal(client.call(budgetOps.set, { budget: made.id, usd: -1 }))).code).toBe('invalid');
    expect((await refusal(client.call(budgetOps.get, { budget: 'budget_zzzz' }))).code).toBe('not_found');
    expect(JSON.parse(await shell('budget', 'remove', made.id, '--json'))).toMatchObject({ id: made.id });
    expect(await client.call(budgetOps.list, {})).toEqual({ budgets: [] });
  });

  describe('used by the shell', () => {
    it('carries out a run that nobody follows', async () => {
      writeFileSync(join(site.root, 'plan.yaml'), plan('detached'));
      const started = await site.maos(['run', join(site.root, 'plan.yaml'), '--detach']);
      expect(started).toMatchObject({ code: 0, stderr: '' });
      const watched = await site.maos(['watch', 'detached-1']);
      expect(watched).toMatchObject({ code: 0, stderr: '' });
      expect(watched.stdout).toContain('detached-1: succeeded');
    });

    it('is not spoken to with a token that is not its own', async () => {
      const file = placesIn(site.home).token;
      const own = readFileSync(file, 'utf8');
      try {
        writeFileSync(file, 'A'.repeat(43));
        const refused = await site.maos(['status']);
        expect(refused).toMatchObject({ code: 5, stdout: '' });
        expect(refused.stderr).toMatch(/token[^]*fix: /);
      } finally {
        writeFileSync(file, own);
      }
    });
  });
});
