/** A server that a test kills, or that kills itself at a point that its argument names. Starts commands and never ends. */
import * as z from 'zod';
import { processHost } from '../runtimes/process/host.ts';
import { Fleet } from './fleet.fixture.ts';
import type { Host } from './runtime.ts';

const order = z.strictObject({
  home: z.string(),
  lines: z.array(z.string()),
  /** The number of the commit before which it dies; 0: never. */
  commit: z.int(),
  start: z.enum(['before', 'after', 'never']),
});
const { home, lines, commit, start } = order.parse(JSON.parse(process.argv[2] ?? '{}'));

const die = (): never => {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('dead');
};
const real = processHost({ pollMs: 200 });
const host: Host = {
  name: real.name,
  adopt: (folder, session) => real.adopt(folder, session),
  processesOf: (session) => real.processesOf(session),
  start: async (spec) => {
    if (start === 'before') die();
    const process = await real.start(spec);
    return start === 'after' ? die() : process;
  },
};

let commits = 0;
const fleet = await new Fleet(home, {
  host,
  beforeCommit: () => {
    commits += 1;
    if (commits === commit) die();
  },
}).open();
const agents = await Promise.all(lines.map((line) => fleet.sh(line)));
await Promise.all(agents.map((agent) => fleet.started(agent)));
process.stdout.write('started\n');
await new Promise((resolve) => setTimeout(resolve, 3_600_000));
