import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseRooms, problems, type Source } from './house.fixture.ts';

const root = dirname(import.meta.dirname);
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const plan = `
| folder | its one job | may import | packages |
|---|---|---|---|
| \`kernel/\` | words | – | – |
| \`log/\` | the log | kernel | – |
| \`agents/\` | agents | kernel, log | – |
| \`runtimes/\` | programs | kernel, agents/runtime.ts | – |
| \`tasks/\` | work | kernel, log, C:agents | yaml |
| \`app/\` | composition | all | all |
`;

const good: Source[] = [
  { path: 'kernel/id.ts', text: `import { randomBytes } from 'node:crypto';\n` },
  { path: 'log/pipeline.ts', text: `import { newId } from '../kernel/id.ts';\n` },
  { path: 'agents/contract.ts', text: `import * as z from 'zod';\nimport type { NewId } from '../kernel/id.ts';\n` },
  { path: 'agents/runtime.ts', text: '' },
  { path: 'agents/service.ts', text: `import { pipeline } from '../log/pipeline.ts';\n` },
  { path: 'runtimes/fake.ts', text: `import type { Runtime } from '../agents/runtime.ts';\n` },
  { path: 'tasks/contract.ts', text: `import {\n  agentId,\n} from '../agents/contract.ts';\n` },
  { path: 'tasks/plan.ts', text: `import { parse } from 'yaml';\n` },
  { path: 'tasks/plan.test.ts', text: `import { serve } from '../app/serve.ts';\nimport { it } from 'vitest';\n` },
  { path: 'app/serve.ts', text: `import fastify from 'fastify';\nimport '../agents/service.ts';\n` },
];

/** What the judge says when one file is added to, or replaced in, the good samples. */
const judge = (path: string, text: string): string[] =>
  problems(parseRooms(plan), [...good.filter((source) => source.path !== path), { path, text }]);

describe('the judge', () => {
  it('accepts the good samples', () => {
    expect(problems(parseRooms(plan), good)).toEqual([]);
  });

  it.each([
    ["another room's service", 'tasks/service.ts', `import { start } from '../agents/service.ts';`],
    ['a type import', 'tasks/service.ts', `import type { A } from '../agents/service.ts';`],
    ['an import over several lines', 'tasks/service.ts', `import {\n  a,\n} from '../agents/service.ts';`],
    ['an import for its effect', 'tasks/service.ts', `import '../agents/service.ts';`],
    ['a dynamic import', 'tasks/service.ts', `  const a = await import('../agents/service.ts');`],
    ['an inline import type', 'tasks/service.ts', `let a: import('../agents/service.ts').A;`],
    ['a worker', 'tasks/service.ts', `  new Worker(new URL('../agents/service.ts', import.meta.url));`],
    ['a room that is not in its row', 'log/read.ts', `import { a } from '../agents/contract.ts';`],
    ['an upward import', 'kernel/clock.ts', `import { a } from '../log/pipeline.ts';`],
    ['a file beside the one allowed', 'runtimes/host.ts', `import { a } from '../agents/contract.ts';`],
    ['test code', 'app/main.ts', `import { a } from '../tasks/plan.test.ts';`],
    ['a package that is not in its row', 'log/read.ts', `import { parse } from 'yaml';`],
    ['a scoped package', 'log/read.ts', `import type { A } from '@fastify/websocket';`],
    ['an import that names no file', 'tasks/service.ts', '  await import(name);'],
    ['a barrel', 'tasks/all.ts', `export * from './plan.ts';`],
    ['a re-export by name', 'tasks/all.ts', `export { plan } from './plan.ts';`],
    ['a contract that reaches the log', 'tasks/contract.ts', `import { a } from '../log/pipeline.ts';`],
    ['a contract that reaches a service', 'runtimes/contract.ts', `import { a } from './service.ts';`],
    ['a folder without a row', 'swarm/model.ts', ''],
    ['utils', 'tasks/utils.ts', ''],
    ['types', 'tasks/types.ts', ''],
    ['a manager', 'tasks/queue-manager.ts', ''],
    ['helpers, in a test too', 'tasks/helpers.ts', ''],
  ])('refuses %s', (_what, path, text) => {
    expect(judge(path, text)).toHaveLength(1);
  });

  it('names the place and the reason', () => {
    expect(judge('tasks/service.ts', `\nimport { start } from '../agents/service.ts';`)).toEqual([
      'src/tasks/service.ts:2 may not import agents/service.ts: its row allows kernel, log, C:agents',
    ]);
  });

  it('refuses a row without a folder and a row that allows nothing real', () => {
    const rooms = parseRooms(`${plan.trimEnd()}\n| \`swarm/\` | many | kernel, C:memory | – |\n`);
    expect(problems(rooms, good)).toEqual([
      'ARCHITECTURE.md: row swarm/ has no folder',
      'ARCHITECTURE.md: row swarm/ allows C:memory, which does not exist',
    ]);
  });

  it('refuses a document without the table', () => {
    expect(() => parseRooms('# Architecture\n')).toThrow('has no table');
  });
});

describe('the lint', () => {
  const sample = mkdtempSync(join(tmpdir(), 'maos-lint-'));
  afterAll(() => rmSync(sample, { recursive: true }));

  /** The names of the rules that report this text, standing at this path. */
  const lint = (path: string, text: string): string[] => {
    cpSync(join(root, '.oxlintrc.json'), join(sample, '.oxlintrc.json'));
    writeFileSync(join(sample, 'tsconfig.json'), read('tsconfig.json').replace('"types": ["node"],', ''));
    mkdirSync(join(sample, dirname(path)), { recursive: true });
    writeFileSync(join(sample, path), text);
    const oxlint = join(root, 'node_modules/oxlint/bin/oxlint');
    const run = spawnSync(process.execPath, [oxlint, '--format', 'json', path], { cwd: sample, encoding: 'utf8' });
    const report: { diagnostics: { code: string }[] } = JSON.parse(run.stdout);
    return [...new Set(report.diagnostics.map((item) => item.code.replace(/^.*\(|\)$/g, '')))].toSorted();
  };

  it.each([
    ['any', 'export const a = (b: any): unknown => b;', 'no-explicit-any'],
    ['a cast', 'export const a = (b: unknown): string => b as string;', 'consistent-type-assertions'],
    ['!', 'export const a = (b?: string): string => b!;', 'no-non-null-assertion'],
    ['a default export', 'export default 1;', 'no-default-export'],
    ['an empty catch', 'try {\n  JSON.parse("");\n} catch {}', 'no-empty'],
    ['a lost promise', 'export const a = (b: Promise<void>): void => {\n  b;\n};', 'no-floating-promises'],
    ['a misused promise', 'export const a = (b: Promise<boolean>): number => (b ? 1 : 2);', 'no-misused-promises'],
    ['console', 'console.log(1);', 'no-console'],
    ['the time', 'export const a = Date.now();', 'no-restricted-properties'],
    ['randomness', 'export const a = Math.random();', 'no-restricted-properties'],
    ['the environment', 'export const a = process.env;', 'no-restricted-properties'],
    [
      'the environment, imported',
      `import { env } from 'node:process';\nexport const a = env;`,
      'no-restricted-imports',
    ],
    ['a timer', 'setTimeout(() => 1, 1);', 'no-restricted-globals'],
    ['a repeated timer', 'setInterval(() => 1, 1);', 'no-restricted-globals'],
    ['a long function', `export function a(): void {\n${'  void 0;\n'.repeat(80)}}`, 'max-lines-per-function'],
    ['a long file', 'export const a = 1;\n' + '//\n'.repeat(500), 'max-lines'],
    [
      'a switch with a hole',
      `export const a = (b: 1 | 2): void => {\n  switch (b) {\n    case 1:\n  }\n};`,
      'switch-exhaustiveness-check',
    ],
  ])('refuses %s in a room', (_what, text, rule) => {
    expect(lint('src/tasks/sample.ts', `${text}\n`)).toContain(rule);
  });

  it('refuses files that import each other, types too', () => {
    lint('src/tasks/one.ts', `import type { Two } from './two.ts';\nexport type One = Two;\n`);
    expect(lint('src/tasks/two.ts', `import type { One } from './one.ts';\nexport type Two = One;\n`)).toEqual([
      'no-cycle',
    ]);
  });

  it('lets the kernel have time and const assertions be', () => {
    expect(lint('src/kernel/sample.ts', 'export const a = [Date.now(), setTimeout] as const;\n')).toEqual([]);
  });
});

describe('the house', () => {
  const tracked = globSync('src/**/*.ts', { cwd: root }).map((path) => path.replaceAll('\\', '/'));
  const sources = tracked.map((path) => ({ path: path.slice('src/'.length), text: read(path) }));

  it('is as drawn in ARCHITECTURE.md', () => {
    expect(problems(parseRooms(read('ARCHITECTURE.md')), sources)).toEqual([]);
  });

  it('keeps AGENTS.md within 60 lines', () => {
    expect(read('AGENTS.md').trimEnd().split('\n').length).toBeLessThanOrEqual(60);
  });

  it('has no dead links in its documents', () => {
    const documents = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root });
    const dead = documents.flatMap((path) =>
      [...read(path).matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)[^)]*\)/g)].flatMap(([, link = '']) =>
        existsSync(join(root, dirname(path), link)) ? [] : [`${path}: ${link}`],
      ),
    );
    expect(dead).toEqual([]);
  });

  it('names every direct dependency in docs/dependencies.md', () => {
    const manifest: Record<string, Record<string, string> | undefined> = JSON.parse(read('package.json'));
    const wanted = { ...manifest['dependencies'], ...manifest['devDependencies'], ...manifest['optionalDependencies'] };
    const page = read('docs/dependencies.md');
    expect(Object.keys(wanted).filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
    expect(Object.values(wanted).filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  it('locks no download addresses', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved": "https?:/);
  });
});
