/** What a server costs that has nothing to do: processor time and wake-ups of its threads over some seconds. `npx node bench/idle.ts [seconds]` */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Site } from '../src/app/site.fixture.ts';
import { taskOps } from '../src/tasks/contract.ts';
import { runOps } from '../src/workflows/contract.ts';

const seconds = Number(process.argv[2] ?? 10);
/** `getconf CLK_TCK` on every Linux that Node runs on. */
const ticksPerSecond = 100;

function ticks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** How often its threads have gone to sleep, which is how often they were woken. */
function sleeps(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'))
    .map((status) => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0))
    .reduce((sum, count) => sum + count, 0);
}

async function measure(what: string, pid: number): Promise<void> {
  await delay(3_000);
  const [before, asleep] = [ticks(pid), sleeps(pid)];
  await delay(seconds * 1_000);
  const percent = ((ticks(pid) - before) / ticksPerSecond / seconds) * 100;
  const rss = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  const wakes = (sleeps(pid) - asleep) / seconds;
  console.log(
    `${what}: ${percent.toFixed(2)} % CPU, ${wakes.toFixed(1)} wake-ups a second, ${(Number(rss) / 1024).toFixed(0)} MB`,
  );
}

const site = new Site();
try {
  const live = await site.start();
  await measure('a new server', live.pid);
  await live.call(taskOps.batch, {
    tasks: Array.from({ length: 1_000 }, (_, n) => ({ title: `task ${n}`, queue: 'shelf' })),
  });
  await live.call(runOps.create, {
    plan: JSON.stringify({ name: 'one', tasks: [{ id: 'a', command: 'echo a > a.txt' }] }),
    cwd: site.repository,
  });
  await site.until(
    'the run',
    () => live.call(runOps.get, { run: 'one-1' }),
    (run) => run.state === 'succeeded',
  );
  await measure('after a run, with 1,000 tasks queued', live.pid);
  await live.call(runOps.create, {
    plan: JSON.stringify({ name: 'two', tasks: [{ id: 'a', command: 'sleep 1000' }] }),
    cwd: site.repository,
  });
  await site.until(
    'the agent',
    () => live.call(runOps.get, { run: 'two-1' }),
    (run) => run.steps[0]?.phase === 'working',
  );
  await measure('while an agent works silently', live.pid);
  await live.stop();
} finally {
  await site.destroy();
}
