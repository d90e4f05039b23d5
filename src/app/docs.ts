/** Writes the generated documents, or with --check tells which of them are out of date. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basics } from '../agents/environment.ts';
import { referenceMarkdown } from '../cli/reference.ts';
import { describeApi } from '../gateway/openapi.ts';
import { runtimesDocument } from '../runtimes/document.ts';
import { planJsonSchema } from '../workflows/plan-schema.ts';
import { operations } from './operations.ts';
import { permissionsDocument } from './permissions.ts';
import { version } from './version.ts';

const root = new URL('../../', import.meta.url);

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

const documents: Readonly<Record<string, string>> = {
  'docs/reference.md': referenceMarkdown(operations),
  'docs/openapi.json': json(describeApi(operations, version)),
  'docs/permissions.md': permissionsDocument(operations),
  'docs/plan.schema.json': json(planJsonSchema()),
  'docs/runtimes.md': runtimesDocument(readFileSync(new URL('docs/runtimes.md', root), 'utf8'), basics),
};

const stale: string[] = [];
for (const [name, text] of Object.entries(documents)) {
  const file = new URL(name, root);
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  stale.push(name);
  if (!process.argv.includes('--check')) writeFileSync(file, text);
}
if (stale.length > 0 && process.argv.includes('--check')) {
  console.error(`Out of date: ${stale.join(', ')}. Run "npm run docs" and commit what it writes.`);
  process.exitCode = 1;
}
