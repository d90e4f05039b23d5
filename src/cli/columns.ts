/** What a table of these things shows first; without an entry it is whatever is short. */
const chosen: Readonly<Record<string, readonly string[]>> = {
  agent: ['id', 'name', 'runtime', 'state', 'since', 'role', 'team', 'reason'],
  audit: ['position', 'at', 'type', 'stream', 'actor'],
  cost: ['name', 'costUsd', 'inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheWriteTokens', 'unpriced'],
  doctor: ['severity', 'area', 'message', 'fix', 'repaired'],
  merge: ['id', 'branch', 'state', 'since', 'task', 'title'],
  project: ['id', 'name', 'path', 'createdAt'],
  records: ['position', 'at', 'type', 'actor', 'data'],
  run: ['id', 'name', 'state', 'since', 'branch', 'counts', 'reason'],
  runtime: ['name', 'usable', 'version', 'summary', 'fix'],
  sessions: ['generation', 'state', 'requestedAt', 'endedAt', 'lastAction', 'outcome'],
  steps: ['id', 'state', 'phase', 'runtime', 'attempt', 'changed', 'costUsd', 'reason'],
  task: ['id', 'title', 'state', 'since', 'queue', 'attempt', 'reason'],
  workspace: ['id', 'key', 'state', 'since', 'holder', 'branch', 'path'],
};
/** `agent.sessions` and `task.history` list other things than agents and tasks. */
const telling: Readonly<Record<string, string>> = { generation: 'sessions', position: 'records' };
const most = 8;

type Values = Readonly<Record<string, unknown>>;

/** The columns of a table: those chosen for these things, without the ones that are empty in every row. */
export function columnsOf(noun: string, rows: readonly Values[]): string[] {
  const [first = {}] = rows;
  const sign = noun === 'audit' ? undefined : Object.keys(telling).find((key) => key in first && !('id' in first));
  const known = chosen[sign === undefined ? noun : (telling[sign] ?? noun)]?.filter((key) => key in first) ?? [];
  const keys = known.length > 1 ? known : Object.keys(first).filter((key) => rows.every((row) => isShort(row[key])));
  const filled = keys.filter((key) => rows.some((row) => !isEmpty(row[key])));
  return (filled.length > 0 ? filled : keys).slice(0, most);
}

function isShort(value: unknown): boolean {
  return typeof value === 'string' ? value.length <= 200 && !value.includes('\n') : true;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || value === '' || (Array.isArray(value) && value.length === 0);
}
