import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClaudeSite, findClaude, say, ScriptedModel, shell, write } from './claude.fixture.ts';

const program = findClaude();

describe.skipIf(program === null)('MAOS with Claude Code', { timeout: 120_000 }, () => {
  let model: ScriptedModel;
  let site: ClaudeSite;
  beforeEach(async () => {
    model = new ScriptedModel();
    await model.start();
    site = new ClaudeSite(program ?? '', model);
  });
  afterEach(async () => {
    await site.destroy();
    await model.stop();
  });

  it('edits a file', async () => {
    model.add({ when: 'Write hello.txt', steps: [write('hello.txt', 'hello\n'), say('It is written.')] });
    writeFileSync(
      join(site.root, 'plan.yaml'),
      `
name: edit
defaults: { env: { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' , DISABLE_TELEMETRY: '1'} }
tasks:
  - id: hello
    prompt: Write hello.txt
    checks: [grep -q hello hello.txt]
`,
    );
    const ran = await site.maos(['run', join(site.root, 'plan.yaml')]);
    console.log(ran.stdout, ran.stderr);
    console.log(
      (await site.maos(['cost'])).stdout,
      (await site.maos(['ps', '-a'])).stdout,
      (await site.maos(['logs', 'edit-1/hello'])).stdout,
    );
    console.log(site.git('show', 'maos/edit-1:hello.txt'), site.journal());
  });
});
