import type { GetPromptResult, Prompt } from '@modelcontextprotocol/server';
import { AppError, invalid } from '../../kernel/error.ts';

interface Written {
  readonly prompt: Prompt;
  readonly text: (values: Readonly<Record<string, string>>) => string;
}

const run = { name: 'run', description: 'The run: its name or its id.', required: true };

const written: readonly Written[] = [
  {
    prompt: {
      name: 'plan_run',
      title: 'Plan a run',
      description: 'Turns an objective into a plan of tasks, has it checked, and starts it when you agree.',
      arguments: [
        { name: 'objective', description: 'What shall be true at the end.', required: true },
        { name: 'cwd', description: 'The folder of the repository.', required: true },
      ],
    },
    text: ({ objective, cwd }) => `Make a MAOS plan for this objective, in the repository ${cwd}:

${objective}

1. Look at the repository: what builds it, what tests it, where the parts that the objective touches are.
2. Cut the work into tasks that can be judged by themselves. Tasks that change the same files need each other, in order; all others
   run side by side. Give each task an id, a prompt that a stranger can work from, what it needs, and the commands that prove it
   (checks).
3. Write the plan as YAML (name, tasks: id, prompt, needs, checks) and have it read by run_check; correct it until it has no mistakes.
4. Show the plan with the order in which it would run. Start it by run_create only after the user agreed; then follow it by run_wait.`,
  },
  {
    prompt: {
      name: 'review_run',
      title: 'Review a run',
      description: 'Judges what a run made before it lands on your branch.',
      arguments: [run],
    },
    text: ({ run: name }) => `Review the run ${name} before it is merged.

1. Read its report (run_report) and its tasks (run_get). A task is done only if its evidence says that its checks passed on the very commit.
2. Read its changes (run_diff) as a reviewer: wrong behaviour, missing tests, changes that no task asked for, secrets, files that do not belong.
3. Tell what is wrong with file and line, worst first; then what was not proved. Say at the end: merge, or not, and why.
4. Do not merge by yourself. If the user says so, run_merge lands it; run_rollback takes back a single task.`,
  },
  {
    prompt: {
      name: 'resolve_conflict',
      title: 'Resolve a conflict',
      description: 'Brings both sides of a conflict together in the worktree of a task that waits.',
      arguments: [run, { name: 'task', description: 'The id of the task in its plan.', required: true }],
    },
    text: ({ run: name, task }) => `The task ${task} of the run ${name} waits because what it made does not merge.

1. run_get tells its workspace and what conflicts; workspace_get tells the folder.
2. In that folder, read both sides of every conflict: what the task wanted (its title and prompt), and what landed before it (run_diff).
3. Write what keeps the intention of both. Where they contradict each other, ask the user; never drop one side silently.
4. Remove all markers, run the checks of the task in that folder, then run_accept takes it as the task's result: it is checked and merged like every other.`,
  },
];

/** The prompts that come with MAOS. */
export const prompts: Prompt[] = written.map(({ prompt }) => prompt);

/** A prompt with its arguments filled in. */
export function promptOf(name: string, values: Readonly<Record<string, string>>): GetPromptResult {
  const found = written.find(({ prompt }) => prompt.name === name);
  if (found === undefined) {
    throw new AppError('not_found', `No prompt matches "${name.slice(0, 100)}".`, {
      fix: `Use one of ${prompts.map((prompt) => prompt.name).join(', ')}.`,
    });
  }
  for (const { name: argument } of found.prompt.arguments ?? []) {
    if ((values[argument] ?? '') === '')
      throw invalid(`The prompt ${name} needs the argument "${argument}".`, { fix: 'Give it a value.' });
  }
  const { description } = found.prompt;
  return {
    ...(description === undefined ? {} : { description }),
    messages: [{ role: 'user', content: { type: 'text', text: found.text(values) } }],
  };
}
