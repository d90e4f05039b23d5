import { LLMock } from '@copilotkit/aimock';
import { spawn } from 'node:child_process';
const usage = { input_tokens: 1000, output_tokens: 200 };
const model = new LLMock({ port: 0 });
const w = (p, c) => ({ toolCalls: [{ name: 'Write', arguments: { file_path: p, content: c } }], usage });
model
 .on({ userMessage: 'Write a guide', hasToolResult: false }, w('docs/guide.md', '# Guide\n'))
 .on({ userMessage: 'Write a guide', hasToolResult: true }, { content: 'The guide is written.', usage })
 .on({ userMessage: 'Read ranges', hasToolResult: false }, w('test/ranges.test.js', "import { test } from 'node:test';\ntest('ranges', () => {});\n"))
 .on({ userMessage: 'Read ranges', hasToolResult: true }, { content: 'Ranges are read.', usage })
 .on({ userMessage: 'Review what' }, { content: 'The tests of ranges assert nothing.', usage })
 .on({}, { content: 'I do not know', usage });
await model.start();
const env = { PATH: `/tmp/claude-cc/node_modules/.bin:${process.env.PATH}`, HOME: '/tmp/qc/chome', MAOS_HOME: '/tmp/qc/home', ANTHROPIC_API_KEY: 'sk-ant-not-a-key', ANTHROPIC_BASE_URL: model.url, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_TELEMETRY: '1' };
for (const args of [['run', 'examples/claude/plan.yaml'], ['cost', '--by', 'agent'], ['logs', 'claude-1/review']]) {
  await new Promise((r) => spawn(process.execPath, ['bin/maos.js', ...args], { env, stdio: 'inherit' }).on('exit', r));
}
await model.stop();
