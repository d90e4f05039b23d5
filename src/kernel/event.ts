import type * as z from 'zod';
import { once } from './once.ts';

/** A kind of event: its name (`task.created`), the version of its data, and the shape of its data. */
export interface EventDefinition<Data = unknown> {
  readonly type: string;
  readonly version: number;
  readonly schema: z.ZodType<Data>;
}

/** The schema is made when it is first asked for: whoever only emits the event never does. */
export function event<Data>(type: string, schema: () => z.ZodType<Data>, version = 1): EventDefinition<Data> {
  const made = once(schema);
  return {
    type,
    version,
    get schema() {
      return made();
    },
  };
}

/** One record of the log. `at` is in milliseconds; `previous` and `hash` chain the records (SHA-256, base64url). */
export interface LogRecord<Data = unknown> {
  readonly position: number;
  readonly at: number;
  /** Who did it: `user:local`, `agent:agent_…`, `system:runner`. */
  readonly actor: string;
  /** The id of the thing it happened to: `task_…`. */
  readonly stream: string;
  readonly type: string;
  readonly version: number;
  readonly data: Data;
  /** The operation and the call that led to it: `task.create call_…`. */
  readonly cause: string;
  /** Groups all that one request from outside led to. */
  readonly trace: string;
  readonly previous: string;
  readonly hash: string;
}
