/** A server that a test kills: starts the agent described by its argument, reports how far it has read, and never ends. */
import * as z from 'zod';
import { processHost } from './host.ts';

const order = z.strictObject({
  folder: z.string(),
  session: z.string(),
  cwd: z.string(),
  line: z.string(),
  firstInput: z.string().nullable(),
});

const { line, firstInput, ...names } = order.parse(JSON.parse(process.argv[2] ?? '{}'));
const agent = await processHost().start({
  ...names,
  launch: {
    argv: ['/bin/sh', '-c', line],
    env: { PATH: '/usr/bin:/bin' },
    stdin: firstInput === null ? 'none' : 'pipe',
    firstInput: firstInput === null ? null : firstInput.repeat(100_000),
  },
});
process.stdout.write(`${JSON.stringify({ pid: agent.pid, offset: 0 })}\n`);
agent.follow(0, (_chunk, offset) => process.stdout.write(`${JSON.stringify({ pid: agent.pid, offset })}\n`));
await agent.exit;
