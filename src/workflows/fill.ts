import { invalid } from '../kernel/error.ts';
import type { TaskResult } from './outputs.ts';
import type { PlannedTask } from './planned.ts';
import { codeArgument, ShellValues } from './shell.ts';
import { fillTemplate, itemText, type Lookup, type Reference } from './template.ts';

/** A task with every reference filled: what is handed to the runtime and to the checks. */
export interface FilledTask {
  readonly prompt: string | null;
  readonly command: readonly string[] | null;
  /** Shell lines. */
  readonly checks: readonly string[];
  readonly onConflict: PlannedTask['onConflict'];
  /** For the task, its checks and its conflict command alike: the plan's env, MAOS_INPUT_<NAME>, and the values of shell lines. */
  readonly env: Readonly<Record<string, string>>;
}

/** Everything that a task would have run, each as an argv: its command, its checks, what resolves a conflict. */
export function commandsOf({ command, checks, onConflict }: FilledTask): (readonly string[])[] {
  const resolver = onConflict.kind === 'command' ? [onConflict.command] : [];
  return [...(command === null ? [] : [command]), ...resolver, ...checks.map((line) => ['sh', '-c', line])];
}

/** Fills a task's references from the results of finished tasks, by their id. Refuses when one is missing. */
export function fillTask(task: PlannedTask, results: Readonly<Record<string, TaskResult>> = {}): FilledTask {
  const outer: Lookup = (reference) => valueOf(task, reference, results, {});
  const inputs = mapValues(task.inputs, (text) => fillTemplate(text, outer));
  const lookup: Lookup = (reference) => valueOf(task, reference, results, inputs);
  const shell = new ShellValues(lookup);
  const fillArgv = (argv: readonly string[]): string[] => {
    const code = codeArgument(argv);
    return argv.map((argument, index) =>
      code?.shell === true && index === code.index ? shell.fill(argument) : fillTemplate(argument, lookup),
    );
  };
  const filled = {
    prompt: task.prompt === null ? null : fillTemplate(task.prompt, lookup),
    command: task.command === null ? null : fillArgv(task.command),
    checks: task.checks.map((line) => shell.fill(line)),
    onConflict:
      task.onConflict.kind === 'command'
        ? { ...task.onConflict, command: fillArgv(task.onConflict.command) }
        : task.onConflict,
  };
  const given = Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [`MAOS_INPUT_${name.toUpperCase()}`, value]),
  );
  const env = { ...mapValues(task.agent.env, (text) => fillTemplate(text, lookup)), ...given, ...shell.env };
  for (const [name, value] of Object.entries(env)) refuseUnfit(task, name, value);
  return { ...filled, env };
}

const mapValues = (map: Readonly<Record<string, string>>, change: (text: string) => string): Record<string, string> =>
  Object.fromEntries(Object.entries(map).map(([name, text]) => [name, change(text)]));

/** What the operating system would refuse with a message nobody understands (E2BIG, EINVAL). */
function refuseUnfit(task: PlannedTask, name: string, value: string): void {
  const fix = 'Let the earlier task write it to a file of the repository, and hand on the path.';
  if (value.includes('\0')) throw invalid(`The value of ${name} for task "${task.id}" holds a zero byte.`, { fix });
  if (Buffer.byteLength(value) > 120_000)
    throw invalid(
      `The value of ${name} for task "${task.id}" is larger than 120 kB, too large for an environment variable.`,
      { fix },
    );
}

function valueOf(
  task: PlannedTask,
  reference: Reference,
  results: Readonly<Record<string, TaskResult>>,
  own: Readonly<Record<string, string>>,
): string {
  if (reference.kind === 'item') return itemText(task.values.item, reference.field);
  if (reference.kind === 'input') {
    const from = Object.hasOwn(own, reference.name) ? own : task.values.inputs;
    const value = Object.hasOwn(from, reference.name) ? from[reference.name] : undefined;
    if (value === undefined)
      throw invalid(`Task "${task.id}" has no input "${reference.name}".`, {
        fix: 'Declare it under inputs: in the plan.',
      });
    return value;
  }
  const source = Object.hasOwn(task.values.tasks, reference.task) ? task.values.tasks[reference.task] : undefined;
  const values = (source?.ids ?? []).map((id) => taskValue(task, id, reference, results));
  if (source?.fan === true) return JSON.stringify(values);
  const [value] = values;
  if (value === undefined)
    throw invalid(`Task "${task.id}" knows no task "${reference.task}".`, { fix: 'Expand the plan again.' });
  return value;
}

function taskValue(
  task: PlannedTask,
  id: string,
  reference: Extract<Reference, { task: string }>,
  results: Readonly<Record<string, TaskResult>>,
): string {
  const done = Object.hasOwn(results, id) ? results[id] : undefined;
  if (done === undefined)
    throw invalid(`Task "${task.id}" uses a value of "${id}", which has no result yet.`, {
      fix: `Start "${task.id}" after "${id}" is done.`,
    });
  if (reference.kind === 'result') return done.result;
  const value = Object.hasOwn(done.outputs, reference.name) ? done.outputs[reference.name] : undefined;
  if (value === undefined)
    throw invalid(`Task "${id}" ended without its output "${reference.name}", which "${task.id}" uses.`, {
      fix: `Let "${id}" write ${reference.name}=… to the file in $MAOS_OUTPUT.`,
    });
  return value;
}
