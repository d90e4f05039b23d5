import { spawn } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunDetail, runDetail, runEvents } from '../workflows/contract.ts';
import { placesIn } from './places.ts';
import { program } from './program.fixture.ts';
import { Site } from './site.fixture.ts';

const examples = join(import.meta.dirname, '../../examples');
const everyTask = [
  ...['rename', 'graph', 'api-convert', 'api-quantity', 'api-recipe', 'examples'],
  ...['measure-parsequantity', 'measure-shoppinglist', 'release', 'site', 'links', 'verify'],
];
/** The README promises less than a minute. */
const promisedMs = 60_000;

/** The examples, as they are in a fresh clone, on a machine of their own. */
class Copy extends Site {
  readonly examples = join(this.root, 'examples');
  readonly sandbox = join(this.examples, 'quickstart/sandbox');

  constructor() {
    super();
    cpSync(examples, this.examples, { recursive: true, filter: (path) => !/^\.?sandbox/.test(basename(path)) });
  }

  run(example = 'quickstart'): ReturnType<Site['maos']> {
    return this.maos(['run', `examples/${example}/plan.yaml`], this.root);
  }

  async detail(name: string): Promise<RunDetail> {
    return runDetail().parse(JSON.parse((await this.maos(['run', 'get', name, '--json'])).stdout));
  }

  inSandbox(...args: string[]): string {
    return this.gitAt(this.sandbox, ...args);
  }

  show(commit: string, file: string): string {
    return this.inSandbox('show', `${commit}:${file}`);
  }

  /** Everything that a finished run must not leave behind. */
  async left(): Promise<object> {
    const places = placesIn(this.home);
    const folders = (place: string): string[] => (existsSync(place) ? readdirSync(place) : []);
    return {
      processes: await this.until(
        'the end of every process',
        () => this.processes(),
        (found) => found.length === 0,
        10_000,
      ).catch(() => this.processes()),
      worktrees: this.inSandbox('worktree', 'list', '--porcelain')
        .match(/^worktree .*$/gm)
        ?.slice(1),
      branches: this.inSandbox('branch', '--list', 'maos/work/*'),
      folders: folders(places.worktrees).flatMap((project) => folders(join(places.worktrees, project))),
      trash: folders(places.trash),
      checks: folders(places.checks),
      changes: this.inSandbox('status', '--porcelain'),
    };
  }
}

const nothing = { processes: [], worktrees: [], branches: '', folders: [], trash: [], checks: [], changes: '' };

describe('the quickstart', () => {
  let site: Copy;
  let ran: Awaited<ReturnType<Copy['run']>>;
  let tookMs = 0;
  beforeAll(async () => {
    site = new Copy();
    const before = performance.now();
    ran = await site.run();
    tookMs = performance.now() - before;
  }, 180_000);
  afterAll(() => site.destroy());

  it('ends well, in less than a minute', async () => {
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(tookMs).toBeLessThan(promisedMs);
    const { state, steps, spent } = await site.detail('quickstart-1');
    expect(state).toBe('succeeded');
    expect(steps.map(({ id, state: its }) => `${id} ${its}`)).toEqual(everyTask.map((id) => `${id} done`));
    expect(spent).toEqual({ costUsd: 0, tokens: 0, unpriced: false });
  });

  it('leaves no process, worktree or work branch', async () => expect(await site.left()).toEqual(nothing));

  it('had conflicts, and kept both sides of each', async () => {
    const types = site.records().map(({ type }) => type);
    expect(types.filter((type) => type === runEvents.conflicted.type).length).toBeGreaterThan(0);
    const { branch, steps } = await site.detail('quickstart-1');
    expect(steps.some(({ conflicts, state }) => conflicts > 0 && state === 'done')).toBe(true);
    const pages = site.show(branch, 'docs/README.md');
    const listed = [...pages.matchAll(/^- \[(.*?)\]/gm)].map(([, page]) => page);
    expect(listed).toEqual(['api-convert.md', 'api-quantity.md', 'api-recipe.md', 'imports.md', 'statistics.md']);
    expect(pages).not.toMatch(/^[<=>|]{7}/m);
  });

  it('tried a task again that found a lock taken', async () => {
    const messages = site.records().flatMap(({ type, data }) => {
      const failed = type === runEvents.failed.type ? runEvents.failed.schema.parse(data) : null;
      return failed === null ? [] : [failed.message];
    });
    expect(messages.length).toBeGreaterThan(0);
    expect(messages.filter((message) => !message.includes('Another measurement is going on'))).toEqual([]);
    const { steps } = await site.detail('quickstart-1');
    expect(steps.filter(({ attempt }) => attempt > 1).every(({ id }) => id.startsWith('measure-'))).toBe(true);
  });

  it('did the work', async () => {
    const { branch, base } = await site.detail('quickstart-1');
    expect(site.inSandbox('rev-parse', 'main')).toBe(base);
    expect(
      site.inSandbox('grep', '--count', '-E', 'parseQuantity|formatQuantity', branch, '--', 'src', 'test'),
    ).not.toBe('');
    expect(() => site.inSandbox('grep', '-qE', 'parseQty|formatQty', branch, '--', 'src', 'test')).toThrow(
      'Command failed',
    );
    expect(site.show(branch, 'docs/imports.md')).toContain('recipe.js --> quantity.js');
    expect(site.show(branch, 'test/examples.test.js').match(/^test\(/gm)).toHaveLength(8);
    expect(site.show(branch, 'CHANGELOG.md')).toContain('## 2.0.0\n\n- `parseQty` is now `parseQuantity`');
    expect(site.show(branch, 'docs/statistics.md')).toMatch(/documented functions: 6\n[^]*shoppingList: \d+ calls/);
    const tasks = site.inSandbox('log', '--format=%(trailers:key=MAOS-Task,valueonly)', `${base}..${branch}`);
    const made = ['api-convert', 'api-quantity', 'api-recipe', 'examples', 'graph', 'release', 'rename'];
    expect([...new Set(tasks.split('\n').filter((task) => task !== ''))].toSorted()).toEqual(made);
    expect(site.inSandbox('fsck', '--no-dangling', '--no-progress')).toBe('');
  });

  it('proved it by checks on the exact commits', async () => {
    const { steps } = await site.detail('quickstart-1');
    const checked = steps.filter(({ commit }) => commit !== null);
    expect(checked.length).toBe(7);
    for (const { evidence } of checked) expect(evidence.map(({ exit }) => exit)).toContain('exit 0');
  });

  it('is reported once, as Markdown and as JSON', async () => {
    const { report } = await site.detail('quickstart-1');
    expect(report).toBe(join(site.home, 'runs/quickstart-1/report.md'));
    expect(ran.stdout).toContain(`Report: ${report}`);
    expect(readFileSync(report ?? '', 'utf8')).toMatch(/^# quickstart-1: succeeded\n[^]*12 of 12 done/);
    const json = JSON.parse(readFileSync(join(site.home, 'runs/quickstart-1/report.json'), 'utf8'));
    expect(json).toMatchObject({ name: 'quickstart-1', state: 'succeeded', counts: { done: 12 } });
    expect(site.records().filter(({ type }) => type === runEvents.reported.type)).toHaveLength(1);
  });

  it('is in a log that nobody has altered', async () => {
    const verified = JSON.parse((await site.maos(['audit', 'verify', '--json'])).stdout);
    expect(verified).toMatchObject({ intact: true, breaks: [] });
    expect((await site.maos(['doctor'])).code).toBe(0);
  });

  it('is looked at, landed, taken back and removed', async () => {
    const { base, branch } = await site.detail('quickstart-1');
    const tip = site.inSandbox('rev-parse', branch);
    expect((await site.maos(['diff', 'quickstart-1', '--stat'])).stdout).toMatch(/^docs\/imports\.md +\+10 +-0$/m);
    expect((await site.maos(['merge', 'quickstart-1'])).code).toBe(0);
    expect(site.inSandbox('rev-parse', 'main')).toBe(tip);
    expect(existsSync(join(site.sandbox, 'docs/imports.md'))).toBe(true);
    expect((await site.maos(['undo', 'quickstart-1'])).code).toBe(0);
    expect(site.inSandbox('rev-parse', 'main')).toBe(base);
    const refused = await site.maos(['rm', 'quickstart-1']);
    expect(refused.code).toBe(5);
    const line = /maos (rm quickstart-1 --token \S+)/.exec(refused.stderr)?.[1] ?? '';
    expect((await site.maos(line.split(' '))).code).toBe(0);
    expect(site.inSandbox('branch', '--list', 'maos/*')).toBe('');
    expect(site.inSandbox('for-each-ref', '--contains', tip, 'refs/maos/rescue')).not.toBe('');
  });

  it('runs again in the same sandbox, before and after it was landed', async () => {
    expect((await site.run()).code).toBe(0);
    expect((await site.maos(['merge', 'quickstart-2'])).code).toBe(0);
    expect((await site.run()).code).toBe(0);
    const third = await site.detail('quickstart-3');
    expect(third.steps.filter(({ commit }) => commit !== null).map(({ id }) => id)).toEqual(['release']);
    expect(await site.left()).toEqual(nothing);
  });
});

describe('the quickstart, when it is killed', () => {
  const moments = [
    ['while agents work', / working\n/g, 4],
    // There is one only after work has landed.
    ['in the middle of a conflict', / resolving a conflict /g, 1],
  ] as const;

  it.each(moments)('%s, goes on with maos resume', async (_when, line, count) => {
    const site = new Copy();
    try {
      const child = spawn(process.execPath, [program(), 'run', 'examples/quickstart/plan.yaml'], {
        cwd: site.root,
        env: site.environment,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const gone = once(child, 'close');
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
      const enough = (): boolean => (said.match(line) ?? []).length >= count || child.exitCode !== null;
      await site.until(`${count} × ${line}`, enough, Boolean);
      child.kill('SIGKILL');
      await gone;
      const landed = site.records().filter((record) => record.type === runEvents.landed.type);
      const resumed = await site.maos(['resume', 'quickstart-1']);
      expect(resumed).toMatchObject({ code: 0, stderr: '' });
      const { state, steps } = await site.detail('quickstart-1');
      expect(state).toBe('succeeded');
      expect(steps.map(({ id }) => id)).toEqual(everyTask);
      // What had landed is not done again.
      const again = site.records().filter((record) => record.type === runEvents.landed.type);
      expect(again.slice(0, landed.length)).toEqual(landed);
      expect(new Set(again.map(({ stream }) => stream)).size).toBe(again.length);
      expect(await site.left()).toEqual(nothing);
      expect(JSON.parse((await site.maos(['audit', 'verify', '--json'])).stdout)).toMatchObject({ intact: true });
    } finally {
      await site.destroy();
    }
  });
});

describe('the plan of scripted agents', () => {
  it('shows prompts, a conflict that its agent resolves, and what was used', async () => {
    const site = new Copy();
    try {
      expect(await site.run('fake')).toMatchObject({ code: 0, stderr: '' });
      const { spent, steps } = await site.detail('fake-1');
      expect(spent.costUsd).toBeCloseTo(0.077);
      expect(steps.reduce((sum, { conflicts }) => sum + conflicts, 0)).toBe(1);
      const guide = site.gitAt(join(site.examples, 'fake/sandbox'), 'show', 'maos/fake-1:docs/guide.md');
      expect(guide).toMatch(/A chapter on quantities\.\n[^]*The guide has 2 chapters\.$/);
      expect(guide).toContain('A chapter on recipes.');
    } finally {
      await site.destroy();
    }
  });
});
