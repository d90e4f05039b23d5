import { transitiveNeeds } from './graph.ts';
import type { Plan, PlanTask } from './plan.ts';
import { codeArgument, codeProblem, shellProblems } from './shell.ts';
import type { Problem } from './source.ts';
import { suggestion } from './suggest.ts';
import { readTemplate, type Reference, references } from './template.ts';

/** Which values a text may name. `early` texts are read before the task's own inputs exist and before other tasks end. */
type Scope = 'task' | 'inputs' | 'early' | 'run';

/** A text of the plan that may hold references. */
interface Slot {
  readonly path: readonly (string | number)[];
  readonly text: string;
  readonly scope: Scope;
  /** `line`: a shell's text. `code`, `program`: takes no reference. */
  readonly reader?: 'line' | 'code' | 'program';
}

type Path = readonly (string | number)[];

function commandSlots(command: PlanTask['command'], path: Path): Slot[] {
  if (command === undefined) return [];
  if (typeof command === 'string') return [{ path, text: command, scope: 'task', reader: 'line' }];
  const argv = command.map(String);
  const code = codeArgument(argv);
  return argv.map((text, index): Slot => {
    const slot: Slot = { path: [...path, index], text, scope: 'task' };
    if (index === 0) return { ...slot, reader: 'program' };
    return index === code?.index ? { ...slot, reader: code.shell ? 'line' : 'code' } : slot;
  });
}

function listSlots(values: readonly string[] | undefined, path: Path, scope: Scope, reader?: 'line'): Slot[] {
  return (values ?? []).map((text, index) => ({
    path: [...path, index],
    text,
    scope,
    ...(reader === undefined ? {} : { reader }),
  }));
}

function mapSlots(values: Readonly<Record<string, unknown>> | undefined, path: Path, scope: Scope): Slot[] {
  // What is not text ({from: NAME}) holds no references.
  return Object.entries(values ?? {}).map(([name, text]) => ({ path: [...path, name], text: String(text), scope }));
}

function conflictSlots(onConflict: PlanTask['onConflict'], path: Path, scope: Scope): Slot[] {
  return typeof onConflict === 'object'
    ? [{ path: [...path, 'command'], text: onConflict.command, scope, reader: 'line' }]
    : [];
}

function textSlot(text: string | undefined, path: Path, scope: Scope): Slot[] {
  return text === undefined ? [] : [{ path, text, scope }];
}

function taskSlots(task: PlanTask, path: Path): Slot[] {
  return [
    ...textSlot(task.title, [...path, 'title'], 'early'),
    ...listSlots(task.expects, [...path, 'expects'], 'early'),
    ...textSlot(task.prompt, [...path, 'prompt'], 'task'),
    ...commandSlots(task.command, [...path, 'command']),
    ...listSlots(task.checks, [...path, 'checks'], 'task', 'line'),
    ...mapSlots(task.env, [...path, 'env'], 'task'),
    ...mapSlots(task.inputs, [...path, 'inputs'], 'inputs'),
    ...conflictSlots(task.onConflict, [...path, 'onConflict'], 'task'),
  ];
}

/** Texts that every task takes over: they may name the run's inputs only. */
function commonSlots(plan: Plan): Slot[] {
  const { defaults, agents = {} } = plan;
  return [
    ...listSlots(defaults?.checks, ['defaults', 'checks'], 'run', 'line'),
    ...mapSlots(defaults?.env, ['defaults', 'env'], 'run'),
    ...conflictSlots(defaults?.onConflict, ['defaults', 'onConflict'], 'run'),
    ...Object.entries(agents).flatMap(([name, agent]) => [
      ...listSlots(agent.args?.map(String), ['agents', name, 'args'], 'run'),
      ...mapSlots(agent.env, ['agents', name, 'env'], 'run'),
    ]),
  ];
}

/** References that name nothing, or something that is not known when the text is read. */
export function referenceProblems(plan: Plan): Problem[] {
  const judge = new ReferenceJudge(plan);
  return [
    ...commonSlots(plan).flatMap((slot) =>
      slotProblems(slot, (reference) => judge.problem(reference, slot.scope, null)),
    ),
    ...plan.tasks.flatMap((task, index) => [
      ...taskSlots(task, ['tasks', index]).flatMap((slot) =>
        slotProblems(slot, (reference) => judge.problem(reference, slot.scope, task)),
      ),
      ...forEachProblems(task, ['tasks', index, 'forEach'], judge),
    ]),
  ];
}

function slotProblems(slot: Slot, judge: (reference: Reference) => string | null): Problem[] {
  if (!slot.text.includes('${{')) return [];
  const parts = readTemplate(slot.text).filter((part) => part.kind !== 'text');
  const unsafe = slot.reader === 'line' ? shellProblems(slot.text) : [];
  return parts.flatMap((part, index): Problem[] => {
    const unsafeHere = slot.reader === 'line' ? (unsafe[index] ?? null) : readerProblem(slot);
    const message = part.kind === 'bad' ? part.message : (judge(part.reference) ?? unsafeHere);
    const occurrence = parts.slice(0, index).filter(({ raw }) => raw === part.raw).length;
    return message === null ? [] : [{ path: slot.path, raw: part.raw, occurrence, message }];
  });
}

function readerProblem(slot: Slot): string | null {
  if (slot.reader === 'code') return codeProblem;
  return slot.reader === 'program'
    ? 'The program cannot come from a reference: MAOS must know what it starts. Name it here.'
    : null;
}

function forEachProblems(task: PlanTask, path: Path, judge: ReferenceJudge): Problem[] {
  if (task.forEach === undefined) return [];
  if (Array.isArray(task.forEach)) {
    const literal = task.forEach.findIndex((item) => JSON.stringify(item).includes('${{'));
    return literal === -1
      ? []
      : [
          {
            path: [...path, literal],
            message:
              'An item of a list cannot hold references. Write forEach as one reference, or use the reference in the prompt or command.',
          },
        ];
  }
  const parts = readTemplate(task.forEach.trim());
  const [part] = parts;
  if (parts.length !== 1 || part?.kind === 'text' || part === undefined) {
    return [
      {
        path,
        message: 'forEach is a list or exactly one reference. Write [a, b] or "${{ tasks.<id>.outputs.<name> }}".',
      },
    ];
  }
  const message = part.kind === 'bad' ? part.message : judge.forEachProblem(part.reference, task);
  return message === null ? [] : [{ path, raw: part.raw, message }];
}

/** Knows the plan's names and says what is wrong with a reference, or null. */
class ReferenceJudge {
  readonly #runInputs: string[];
  readonly #tasks: ReadonlyMap<string, PlanTask>;
  readonly #needs: (id: string) => ReadonlySet<string>;

  constructor(plan: Plan) {
    this.#runInputs = Object.keys(plan.inputs ?? {});
    this.#tasks = new Map(plan.tasks.map((task) => [task.id, task]));
    this.#needs = transitiveNeeds(plan.tasks.map(({ id, needs = [] }) => ({ id, needs })));
  }

  problem(reference: Reference, scope: Scope, task: PlanTask | null): string | null {
    if (reference.kind === 'input') return this.#input(reference.name, scope, task);
    if (reference.kind === 'item') return this.#item(reference.field, task);
    if (scope === 'early')
      return 'A title and expects are read before other tasks end. Use inputs.<name> of the run, or item.';
    if (task === null)
      return "defaults and agents belong to every task, so no task's values are known here. Name it in the task itself.";
    return this.#ofTask(reference, task);
  }

  forEachProblem(reference: Reference, task: PlanTask): string | null {
    if (reference.kind === 'item') return 'forEach itself has no item yet. Name a run input or an output of a task.';
    if (reference.kind === 'input') return this.#input(reference.name, 'early', task);
    if (reference.kind === 'result')
      return 'A result is a text, not a list. Let the task write an output and name that.';
    return this.#ofTask(reference, task);
  }

  #input(name: string, scope: Scope, task: PlanTask | null): string | null {
    const own = scope === 'task' ? Object.keys(task?.inputs ?? {}) : [];
    if (own.includes(name) || this.#runInputs.includes(name)) return null;
    if (scope !== 'task' && Object.hasOwn(task?.inputs ?? {}, name))
      return `The task's own input "${name}" is not known yet here. Use an input of the run, or item.`;
    return `There is no input "${name}". ${suggestion(name, [...own, ...this.#runInputs], 'Declare it under inputs:.')}`;
  }

  #item(field: string | null, task: PlanTask | null): string | null {
    if (task?.forEach === undefined)
      return 'There is an item only in a task with forEach. Add forEach: to this task, or remove the reference.';
    if (field === null || !Array.isArray(task.forEach)) return null;
    const without = task.forEach.findIndex((item) => typeof item !== 'object' || !Object.hasOwn(item, field));
    if (without === -1) return null;
    const item = task.forEach[without];
    const fields = typeof item === 'object' ? Object.keys(item) : [];
    return `Item ${without + 1} of forEach has no field "${field}". ${suggestion(field, fields, 'Write each item as a mapping, or use ${{ item }}.')}`;
  }

  #ofTask(reference: Extract<Reference, { task: string }>, task: PlanTask): string | null {
    const source = this.#tasks.get(reference.task);
    if (source === undefined) {
      return `There is no task "${reference.task}". ${suggestion(
        reference.task,
        [...this.#tasks.keys()].filter((id) => id !== task.id),
        'Add that task.',
      )}`;
    }
    if (source === task) return 'A task cannot use its own result. Name a task that it needs.';
    if (!this.#needs(task.id).has(reference.task)) {
      const back = this.#needs(reference.task).has(task.id);
      const fix = back
        ? `But "${reference.task}" already needs "${task.id}", so remove the reference.`
        : `Add "${reference.task}" to the needs of "${task.id}".`;
      return `Task "${task.id}" does not wait for "${reference.task}". ${fix}`;
    }
    if (reference.kind === 'result' || source.outputs?.includes(reference.name)) return null;
    return `Task "${reference.task}" has no output "${reference.name}". ${suggestion(reference.name, source.outputs ?? [], `Add outputs: [${reference.name}] to it.`)}`;
  }
}

/** Whether a text names the item of its forEach. */
export function namesItem(text: string): boolean {
  return references(text).some(({ kind }) => kind === 'item');
}
