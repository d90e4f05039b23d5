import { agentEvents } from '../../agents/contract.ts';
import type { EventDefinition, LogRecord } from '../../kernel/event.ts';
import { taskEvents } from '../../tasks/contract.ts';
import { runEvents } from '../../workflows/contract.ts';
import { span } from '../moment.ts';
import { oneLine } from '../text.ts';
import type { Tree } from './tree.ts';

type Teller = (record: LogRecord) => string | undefined;

function tell<Data>(
  definition: EventDefinition<Data>,
  words: (data: Data, record: LogRecord) => string | undefined,
): [string, Teller] {
  return [
    definition.type,
    (record) => {
      const parsed = definition.schema.safeParse(record.data);
      return parsed.success ? words(parsed.data, record) : undefined;
    },
  ];
}

const short = (commit: string): string => commit.slice(0, 10);
const many = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
const failure = (message: string): string => message.split('\n')[0] ?? '';

// Task events that only repeat what an event of the step tells are left out.
const tellers: ReadonlyMap<string, Teller> = new Map([
  tell(runEvents.created, ({ branch, base }) => `started on ${branch} from ${short(base)}`),
  tell(runEvents.prepared, ({ attempt }) => `workspace ready${attempt > 1 ? ` (attempt ${attempt})` : ''}`),
  tell(runEvents.working, ({ resolving }) =>
    resolving === null ? 'working' : `resolving a conflict with ${short(resolving)}`,
  ),
  tell(agentEvents.observed, ({ action }) => action ?? undefined),
  tell(runEvents.produced, ({ commit, changed, reused }) => {
    if (reused) return 'taken over from the run before';
    const { files, added, deleted } = changed;
    return commit === null
      ? 'finished without a change'
      : `made ${short(commit)}: ${many(files, 'file')}, +${added} -${deleted}`;
  }),
  tell(runEvents.checked, ({ passed, evidence }) => {
    const wrong = evidence.find((item) => !item.passed);
    if (wrong !== undefined) return `check failed: ${wrong.command} (${wrong.exit})`;
    return passed && evidence.length > 0 ? `${many(evidence.length, 'check')} passed` : undefined;
  }),
  tell(runEvents.merging, () => 'in the merge queue'),
  tell(runEvents.conflicted, ({ files }) => `conflict in ${files.join(', ')}`),
  tell(runEvents.landed, ({ commit }) => (commit === null ? 'done' : `landed as ${short(commit)}`)),
  tell(runEvents.failed, ({ message }) => `failed: ${failure(message)}`),
  tell(taskEvents.delayed, ({ until }, { at }) => `tried again in ${span(until - at)}`),
  tell(taskEvents.waiting, ({ reason }) => `waits for a person: ${reason}`),
  tell(taskEvents.failed, ({ error }) => `given up: ${failure(error.message)}`),
  tell(taskEvents.cancelled, ({ reason }) => `cancelled: ${reason}`),
  tell(runEvents.waiting, ({ reason }) => `waits for a person: ${reason}`),
  tell(runEvents.resumed, ({ tasks }) => `carried on with ${many(tasks.length, 'task')}`),
  tell(runEvents.ended, ({ state, reason }) => (reason === null || reason === '' ? state : `${state}: ${reason}`)),
]);

/** One thing that happened, in words. */
export interface Happening {
  /** The task's id in the plan; the run's name for the run itself. */
  readonly who: string;
  readonly what: string;
}

/** What a record of this run means to a person; undefined for what is of no interest. */
export function happening(tree: Tree, record: LogRecord): Happening | undefined {
  const task = tree.rows.get(record.stream) ?? tree.rows.get(tree.agents.get(record.stream) ?? '');
  if (task === undefined && record.stream !== tree.run) return undefined;
  const what = tellers.get(record.type)?.(record);
  return what === undefined ? undefined : { who: oneLine(task?.id ?? tree.name), what: oneLine(what) };
}
