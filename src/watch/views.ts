import { agentEvents, usageSums } from '../agents/contract.ts';
import { on, type Reader, type View, type Writer } from '../kernel/handler.ts';
import { runEvents } from '../workflows/contract.ts';

interface Used {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly costUsd: number | null;
}

function record(db: Writer, agent: string, generation: number, used: Used | null, ended: 0 | 1): void {
  if (used === null) return;
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, costUsd } = used;
  db.run(
    'INSERT OR REPLACE INTO cost VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    agent,
    generation,
    inputTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    inputTokens + outputTokens + cacheReadTokens + cacheWriteTokens,
    costUsd,
    ended,
  );
}

/** What every session has used, killed ones included. */
export const watchView: View = {
  name: 'watch',
  tables: ['cost', 'cost_agent', 'cost_run', 'cost_task'],
  schema: `
    CREATE TABLE cost (
      agent TEXT NOT NULL, generation INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,
      cache_write INTEGER NOT NULL, tokens INTEGER NOT NULL, cost REAL, ended INTEGER NOT NULL, PRIMARY KEY (agent, generation)
    ) STRICT;
    CREATE TABLE cost_agent (agent TEXT PRIMARY KEY, name TEXT NOT NULL, runtime TEXT NOT NULL, model TEXT, run TEXT) STRICT;
    CREATE TABLE cost_run (run TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT;
    CREATE TABLE cost_task (task TEXT PRIMARY KEY, run TEXT NOT NULL) STRICT;
  `,
  applies: [
    on(agentEvents.created, (db, { stream, data }) =>
      db.run('INSERT INTO cost_agent VALUES (?, ?, ?, ?, NULL)', stream, data.name, data.runtime, data.model),
    ),
    on(agentEvents.requested, (db, { stream, data }) => {
      if (data.request.task === null) return;
      db.run(
        'UPDATE cost_agent SET run = (SELECT run FROM cost_task WHERE task = ?) WHERE agent = ?',
        data.request.task,
        stream,
      );
    }),
    on(agentEvents.observed, (db, { stream, data }) => {
      if (data.model !== null) db.run('UPDATE cost_agent SET model = ? WHERE agent = ?', data.model, stream);
      record(db, stream, data.generation, data.usage, 0);
    }),
    on(agentEvents.ended, (db, { stream, data }) => record(db, stream, data.generation, data.usage, 1)),
    on(runEvents.created, (db, { stream, data }) => db.run('INSERT INTO cost_run VALUES (?, ?)', stream, data.name)),
    on(runEvents.step, (db, { stream, data }) =>
      db.run('INSERT OR IGNORE INTO cost_task VALUES (?, ?)', stream, data.run),
    ),
  ],
};

/** What a row of the cost list is about. */
export type CostBy = 'run' | 'agent' | 'model';

const names: Record<CostBy, string> = {
  run: `coalesce(cost_run.name, '(no run)')`,
  agent: 'cost_agent.name',
  model: `coalesce(cost_agent.model, cost_agent.runtime)`,
};

export interface CostRow {
  readonly name: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly costUsd: number;
  readonly unpriced: number;
}

/** Tokens and money summed by run, agent or model, the dearest first. */
export function costRows(db: Reader, by: CostBy, run: string | null): CostRow[] {
  return db.all<CostRow>(
    `SELECT ${names[by]} AS name, sum(input) AS inputTokens, sum(output) AS outputTokens, sum(cache_read) AS cacheReadTokens,
       sum(cache_write) AS cacheWriteTokens, ${usageSums.costUsd} AS costUsd, ${usageSums.unpriced} AS unpriced
     FROM cost JOIN cost_agent ON cost_agent.agent = cost.agent LEFT JOIN cost_run ON cost_run.run = cost_agent.run
     WHERE ?1 IS NULL OR cost_run.run = ?1 OR cost_run.name = ?1
     GROUP BY 1 ORDER BY costUsd DESC, name`,
    run,
  );
}
