import type { Tool } from '@modelcontextprotocol/server';
import * as z from 'zod';
import { type Caller, covers } from '../../kernel/caller.ts';
import type { Operation } from '../../kernel/operation.ts';
import { aliases } from './alias.ts';
import { holds, toolsetNamed } from './toolset.ts';
import type { Asker } from './surface.ts';

type Json = Record<string, unknown>;

/** A tool that is no operation: it belongs to this door. */
export interface Extra {
  readonly tool: Tool;
  readonly scope: string;
}

/**
 * What MAOS reports to itself is no tool. What handles a password or a token is none either: whatever a tool is given or answers
 * stands in the transcript of a model.
 */
function isTool({ internal, open, secrets }: Operation): boolean {
  return internal !== true && open !== true && secrets === undefined;
}

/** The name of an operation as a tool: `task.create` → `task_create`. */
export function toolName(operation: string): string {
  return operation.replaceAll('.', '_');
}

interface Described {
  readonly operation: Operation;
  readonly full: Tool;
  readonly brief: Tool;
}

/** How many lists are kept: one for each toolset and set of scopes, of which a server sees a few. */
const keptLists = 64;

/** Every tool, described once; and the lists that were asked for, each made once. */
export class Tools {
  readonly #described: readonly Described[];
  readonly #extras: readonly Extra[];
  readonly #byName: ReadonlyMap<string, Operation>;
  readonly #lists = new Map<string, Tool[]>();

  constructor(operations: readonly Operation[], extras: readonly Extra[]) {
    const open = operations.filter(isTool);
    this.#described = open.map(describe).toSorted((a, b) => order(a.full.name, b.full.name));
    this.#extras = extras;
    this.#byName = new Map(open.map((operation) => [toolName(operation.name), operation]));
  }

  get names(): readonly string[] {
    return [...this.#byName.keys(), ...this.#extras.map(({ tool }) => tool.name)];
  }

  find(name: string): Operation | undefined {
    return this.#byName.get(name);
  }

  /** What a caller is shown, always in the same order. */
  list({ caller, toolset }: Pick<Asker, 'caller' | 'toolset'>): Tool[] {
    const chosen = toolset ?? toolsetFor(caller);
    const key = `${chosen} ${caller.scopes.join(' ')}`;
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const list = this.#make(chosen, caller.scopes);
    for (const oldest of this.#lists.keys()) {
      if (this.#lists.size < keptLists) break;
      this.#lists.delete(oldest);
    }
    this.#lists.set(key, list);
    return list;
  }

  #make(chosen: string, scopes: readonly string[]): Tool[] {
    const set = toolsetNamed(chosen);
    const allowed = this.#described.filter(({ operation }) => covers(scopes, operation.scope));
    const shown = allowed.filter(({ operation }) => holds(set, operation.name));
    const extras = this.#extras.filter(({ tool, scope }) => set.extras?.includes(tool.name) && covers(scopes, scope));
    const old = set.aliases === true ? aliased(allowed) : [];
    return [
      ...shown.map(({ full, brief }) => (set.brief === true ? brief : full)),
      ...extras.map(({ tool }) => tool),
      ...old,
    ];
  }
}

/** By what the caller may do, not by what it calls itself. */
function toolsetFor({ scopes }: Caller): string {
  if (covers(scopes, 'run:write')) return 'coordinator';
  if (covers(scopes, 'run:merge')) return 'merger';
  return covers(scopes, 'task:work') ? 'worker' : 'monitor';
}

function aliased(allowed: readonly Described[]): Tool[] {
  return Object.entries(aliases).flatMap(([name, { operation }]) => {
    const found = allowed.find((one) => one.operation.name === operation);
    return found === undefined
      ? []
      : [{ ...found.full, name, description: `${found.full.description} (${operation})` }];
  });
}

const order = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

function describe(operation: Operation): Described {
  const { name, summary, detail, effect, refusals = {} } = operation;
  const refuses = Object.entries(refusals).map(([code, when]) => `Refuses (${code}): ${when}`);
  const tool = { name: toolName(name), inputSchema: rooted(schemaOf(operation.input, 'input')) };
  const output = schemaOf(operation.output, 'output');
  const brief: Tool = {
    ...tool,
    description: summary,
    annotations: { readOnlyHint: effect === 'read', ...(effect === 'destroy' ? { destructiveHint: true } : {}) },
  };
  const full: Tool = {
    ...tool,
    title: titleOf(name),
    description: [summary, detail, ...refuses].filter((part) => part !== undefined).join('\n'),
    // Another root than an object cannot be announced to clients of the older revision.
    ...(output['type'] === 'object' ? { outputSchema: rooted(output) } : {}),
    annotations: {
      title: titleOf(name),
      readOnlyHint: effect === 'read',
      destructiveHint: effect === 'destroy',
      idempotentHint: effect === 'read',
      openWorldHint: false,
    },
  };
  return { operation, full, brief };
}

function titleOf(name: string): string {
  const [noun = '', verb = ''] = name.split('.');
  return `${verb.slice(0, 1).toUpperCase()}${verb.slice(1)} ${noun}`;
}

/** A schema without what says nothing to a model: the dialect, and bounds that no input comes near. */
export function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.propertyNames !== undefined) delete jsonSchema.propertyNames;
    },
  });
  return json;
}

/** The protocol wants an object at the root, also of a union of objects. */
function rooted(json: Json): { [key: string]: unknown; type: 'object' } {
  return { ...json, type: 'object' };
}
