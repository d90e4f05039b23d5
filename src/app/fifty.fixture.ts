import { join } from 'node:path';
import { Random } from './random.fixture.ts';

interface PlanTask {
  readonly id: string;
  readonly command?: string;
  readonly prompt?: string;
  readonly runtime?: string;
  readonly needs?: readonly string[];
  readonly checks?: readonly string[];
  readonly outputs?: readonly string[];
  readonly priority?: number;
  readonly retries?: object;
  readonly workspace?: string;
  readonly forEach?: string;
  readonly onConflict?: { readonly command: string };
}

/** A plan of fifty tasks, and what is known beforehand about how it ends. */
export interface FiftyTasks {
  readonly plan: string;
  readonly ids: readonly string[];
  /** How often the command of each task is to be started, not counting who resolves a conflict. */
  readonly starts: ReadonlyMap<string, number>;
  /** Whether who resolves a conflict writes a line of its own too. */
  readonly resolverMarks: boolean;
  /** How many sessions there are in all. */
  readonly sessions: number;
  /** Files that the run's branch must hold in the end. */
  readonly files: readonly string[];
}

/** The repository that the plan works on. */
export const fiftyFiles = { 'shared.txt': 'base\n', '.gitignore': 'cache/\n', 'src/main.txt': 'main\n' } as const;

/**
 * For tests: fifty commands that edit files. Fan-out and fan-in at random, checks, a conflict that a command resolves, a
 * retry, a chain in one shared workspace, values handed on, some that take long enough to outlive a server.
 *
 * Every command first writes a line into `side`: which task, which session, which process, when.
 */
export function fiftyTasks(seed: number, side: string): FiftyTasks {
  const random = new Random(seed);
  const mark = `echo "$MAOS_AGENT_NAME $MAOS_SESSION $$ $(date +%s%N)" >> ${side}`;
  const nap = (low: number, high: number): string => `sleep 0.${String(random.between(low, high)).padStart(3, '0')}`;
  const tasks: PlanTask[] = [];
  const line = (...parts: string[]): string => [mark, ...parts].join(' && ');
  const write = (id: string): string => `mkdir -p out && echo ${id} > out/${id}.txt`;
  const add = (task: PlanTask): void => void tasks.push(task);

  // Each waits for the other, so both start from the same commit and the second one to land has a conflict. It is resolved
  // by a command after commands, by a command after agents, or by the agent that made it, as the seed says.
  const resolver = seed % 3;
  const both = { command: line(nap(20, 200), `printf 'left\\nright\\n' > shared.txt`) };
  for (const [id, other] of [
    ['left', 'right'],
    ['right', 'left'],
  ] as const) {
    const flag = (name: string): string => join(side, `../flag-${name}`);
    const meet = `while [ ! -e ${flag(other)} ]; do sleep 0.02; done`;
    const work = line(`touch ${flag(id)}`, meet, `echo ${id} > shared.txt`, write(id));
    const script = JSON.stringify([{ conflicts: 'both' }, { run: work }, { result: 'done' }]);
    add({
      id,
      priority: 100,
      ...(resolver === 0 ? { command: work } : { runtime: 'fake', prompt: `\`\`\`json\n${script}\n\`\`\`` }),
      ...(resolver === 2 ? {} : { onConflict: both }),
    });
  }
  add({
    id: 'flaky',
    retries: { max: 1, backoff: '100ms' },
    command: line(nap(20, 100), `[ "$(grep -c '/flaky ' ${side})" -ge 2 ]`, write('flaky')),
  });
  for (let step = 1; step <= 5; step += 1) {
    const before =
      step === 1 ? [] : [`test "$(tail -n 1 cache/log)" = chain-${step - 1}`, `test -f out/chain-${step - 1}.txt`];
    add({
      id: `chain-${step}`,
      workspace: 'build',
      ...(step === 1 ? {} : { needs: [`chain-${step - 1}`] }),
      command: line(
        nap(20, 150),
        ...before,
        'mkdir -p cache',
        `echo chain-${step} >> cache/log`,
        write(`chain-${step}`),
      ),
    });
  }
  for (let number = 1; number <= 4; number += 1) {
    const id = `count-${number}`;
    add({ id, outputs: ['n'], command: line(nap(20, 200), `echo n=${number} >> "$MAOS_OUTPUT"`, write(id)) });
  }
  const counts = [1, 2, 3, 4].map((number) => `$\{{ tasks.count-${number}.outputs.n }}`);
  add({
    id: 'sum',
    needs: [1, 2, 3, 4].map((number) => `count-${number}`),
    outputs: ['total'],
    command: line(
      `t=0; for n in ${counts.join(' ')}; do t=$((t + n)); done; echo total=$t >> "$MAOS_OUTPUT"`,
      write('sum'),
    ),
    checks: ['test -f out/count-4.txt'],
  });
  add({ id: 'told', needs: ['sum'], command: line(`test $\{{ tasks.sum.outputs.total }} = 10`, write('told')) });
  // A list that is known only while the run goes on: three more tasks, and one that stands for them.
  const items = ['x', 'y', 'z'];
  add({
    id: 'lister',
    outputs: ['items'],
    command: line(nap(20, 100), `echo 'items=${JSON.stringify(items)}' >> "$MAOS_OUTPUT"`, write('lister')),
  });
  add({
    id: 'fan',
    needs: ['lister'],
    forEach: '${{ tasks.lister.outputs.items }}',
    command: line(nap(20, 200), 'mkdir -p out', 'echo ${{ item }} > out/fan-${{ item }}.txt'),
  });
  add({
    id: 'fanned',
    needs: ['fan'],
    command: line(...items.map((x) => `test -f out/fan-${x}.txt`), write('fanned')),
  });
  for (const id of ['long-1', 'long-2'])
    add({ id, priority: 90, command: line(`sleep 1.${random.between(2, 8)}`, write(id)) });
  const spread: string[] = [];
  while (tasks.length < 46) {
    const id = `t-${spread.length + 1}`;
    const needs =
      random.next() < 0.25 ? [] : random.some([...spread.slice(-8), 'count-1', 'sum'], random.between(1, 3));
    add({
      id,
      ...(needs.length === 0 ? {} : { needs }),
      ...(random.next() < 0.25 ? { checks: [nap(10, 80), `test -f out/${id}.txt`] } : {}),
      command: line(
        nap(20, 200),
        ...needs.map((need) => `test -f out/${need}.txt`),
        write(id),
        `echo ${id} >> own-${id}.txt`,
      ),
    });
    spread.push(id);
  }
  const needed = new Set(tasks.flatMap((task) => task.needs ?? []));
  const leaves = tasks.map((task) => task.id).filter((id) => !needed.has(id));
  add({
    id: 'gather',
    needs: leaves,
    command: line(...leaves.map((id) => `test -f out/${id}.txt`), 'ls out > gathered.txt'),
  });

  const commands = [...tasks.map((task) => task.id).filter((id) => id !== 'fan'), ...items.map((x) => `fan-${x}`)];
  const written = commands.filter((id) => id !== 'gather').map((id) => `out/${id}.txt`);
  return {
    plan: JSON.stringify({ name: 'fifty', concurrency: 6, tasks }),
    ids: [...commands, 'fan'],
    starts: new Map([...commands.map((id): [string, number] => [id, id === 'flaky' ? 2 : 1]), ['fan', 0]]),
    resolverMarks: resolver !== 2,
    sessions: commands.length + 2,
    files: [...written, ...spread.map((id) => `own-${id}.txt`), 'gathered.txt', 'shared.txt'],
  };
}
