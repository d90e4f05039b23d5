import type * as z from 'zod';
import { once } from './once.ts';

/** What an operation does to the world; `destroy` may lose something and asks for a token. */
export type Effect = 'read' | 'write' | 'destroy';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * One thing that MAOS can do, defined once. REST route, CLI command, typed client, OpenAPI and reference
 * documentation are all derived from it.
 */
export interface Operation<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType> {
  /** `<noun>.<verb>`, for example `task.create`. */
  readonly name: string;
  /** One sentence, for a person or a model: what it does. */
  readonly summary: string;
  /** Idempotency, replay and anything a caller must know. */
  readonly detail?: string;
  readonly effect: Effect;
  /** What the caller must be allowed: `task:read`, `task:write`. */
  readonly scope: string;
  readonly input: Input;
  readonly output: Output;
  /** `POST /tasks/:task/claim`, below `/api/v1`. A path parameter is a field of the input. */
  readonly route: `${Method} /${string}`;
  /** Input fields that a shell command takes without their name, in order. */
  readonly positional?: readonly string[];
  /** The last of them takes all the words that are left, joined by blanks. */
  readonly rest?: true;
  /** When it refuses: code → in which case. */
  readonly refusals?: Readonly<Record<string, string>>;
  /** Reported by MAOS's own reactors and runners; kept out of the CLI and the default tool lists. */
  readonly internal?: true;
  /** Needs no credential, because it is how one gets one; its own handler bounds what strangers can do. */
  readonly open?: true;
  /**
   * Fields of its input (a password) or output (a token) that nobody may write down: a shell asks for those of the input, and no
   * idempotency key is taken, because what belongs to a key is kept in the log.
   */
  readonly secrets?: readonly string[];
}

export type InputOf<Op> = Op extends Operation<infer Input, z.ZodType> ? z.input<Input> : never;
export type ParsedOf<Op> = Op extends Operation<infer Input, z.ZodType> ? z.output<Input> : never;
export type OutputOf<Op> = Op extends Operation<z.ZodType, infer Output> ? z.output<Output> : never;

/** An operation as it is written down: its schemas are made when they are first asked for, because few of them are in any one process. */
type Spec<Input extends z.ZodType, Output extends z.ZodType> = Omit<Operation<Input, Output>, 'input' | 'output'> & {
  readonly input: () => Input;
  readonly output: () => Output;
};

export function operation<Input extends z.ZodType, Output extends z.ZodType>(
  spec: Spec<Input, Output>,
): Operation<Input, Output> {
  const [input, output] = [once(spec.input), once(spec.output)];
  return {
    ...spec,
    get input() {
      return input();
    },
    get output() {
      return output();
    },
  };
}
