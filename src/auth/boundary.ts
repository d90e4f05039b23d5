/**
 * Keeps teams apart (docs/adr/0005). Everything of a project belongs to its team; a caller with teams sees only what is theirs, and
 * what it may not see is, in every answer, as if it were not there.
 *
 * B1  One place: each call, also those that an action makes for its caller, and each record that is followed passes here.
 * B2  What is not known to belong to one of the caller's teams is refused: an operation that nobody has listed, too.
 * B3  Absent and another team's give the same answer, word for word.
 * B4  A name or the beginning of an id means only what the caller may see, and is made exact before the operation reads it.
 */
import { type Caller, covers } from '../kernel/caller.ts';
import { AppError, conflict, invalid, notFound } from '../kernel/error.ts';
import type { LogRecord } from '../kernel/event.ts';
import type { Reader } from '../kernel/handler.ts';
import type { Operation } from '../kernel/operation.ts';

/** A sort of things that belong to teams. */
export interface Sort {
  /** What a person calls it, and what its ids begin with: `task`. */
  readonly what: string;
  /** Its rows: `SELECT id, team FROM … AS t WHERE (…)`; `team` is '' for none, null when it cannot be told. Names come from code. */
  readonly table: string;
  /** Columns besides the id by which it can be named. */
  readonly names: readonly string[];
  /** The team of row `t`. */
  readonly team: string;
}

/** How an operation is kept within the teams of its caller. */
export interface Bounds {
  /** Which fields of the input name what: `{ task: 'task', 'claims.*.task': 'task' }`. */
  readonly names?: Readonly<Record<string, string>>;
  /** Like `names`, for fields that hold something else as well: only whole ids are looked at. */
  readonly ids?: Readonly<Record<string, string>>;
  /** Like `names`, for fields that only choose among things: they are looked at, not made exact. */
  readonly filters?: Readonly<Record<string, string>>;
  /** At least one of these is needed, of each item where a path is given, or what is done would belong to nobody. */
  readonly needs?: { readonly of?: string; readonly fields: readonly string[] };
  /** The input has a field `team`: it must be one of the caller's, and is filled in when that is the only one. */
  readonly team?: 'given' | 'filled';
  /** A list in the output, and the sort of its rows, which have an `id`. */
  readonly rows?: { readonly field: string; readonly sort: string };
  /** A list of records in the output. */
  readonly records?: string;
  /** The output is one thing of this sort. */
  readonly output?: string;
}

/** `everybody`: nothing of a team is in it. `whole`: it concerns all teams at once. */
export type Rule = Bounds | 'everybody' | 'whole';

export interface BoundaryOptions {
  readonly reader: Reader;
  readonly sorts: readonly Sort[];
  /** By the name of the operation; the others follow the names of their fields, and without such a field are `whole`. */
  readonly rules: Readonly<Record<string, Rule>>;
  /** Whether any project has a team: until then there is nothing to keep apart. */
  readonly inUse: () => boolean;
}

/** Records that tell who may come in: for those who may see users. */
const accessRecords = /^(?:user|login|key|grant|client|oauth)\.|^agent\.token_issued$/;

/** See the head of this file. */
export class TeamBoundary {
  readonly #options: BoundaryOptions;
  readonly #sorts: ReadonlyMap<string, Sort>;

  constructor(options: BoundaryOptions) {
    this.#options = options;
    this.#sorts = new Map(options.sorts.map((sort) => [sort.what, sort]));
  }

  admit(caller: Caller, operation: Operation, input: unknown): unknown {
    const teams = this.#bound(caller);
    if (teams === undefined) return input;
    const rule = ruleFor(operation, this.#options);
    if (rule === 'everybody') return input;
    if (rule === 'whole') {
      if (operation.internal === true) return input;
      throw new AppError(
        'forbidden',
        `${operation.name} concerns all teams, and this credential is for ${said(teams)}.`,
        {
          fix: 'Ask somebody who is not bound to teams.',
        },
      );
    }
    if (operation.internal === true) return this.#inside(teams, rule, input);
    // Nothing of the caller's own object is changed, and what is no object is refused by the schema.
    const copy: unknown = structuredClone(input);
    refuseNobodys(rule, copy);
    for (const [path, what] of Object.entries(rule.ids ?? {}))
      change(copy, path.split('.'), (text) => (text.startsWith(`${what}_`) ? this.#exact(teams, what, text) : text));
    for (const [path, what] of Object.entries(rule.filters ?? {}))
      change(copy, path.split('.'), (text) => void this.#exact(teams, what, text));
    for (const [path, what] of Object.entries(rule.names ?? {}))
      change(copy, path.split('.'), (text) => this.#exact(teams, what, text));
    if (rule.team !== undefined) fillTeam(rule.team, teams, copy);
    return copy;
  }

  show(caller: Caller, operation: Operation, output: unknown): unknown {
    const rule = ruleFor(operation, this.#options);
    if (typeof rule === 'string' || typeof output !== 'object' || output === null) return output;
    const { records, rows, output: one } = rule;
    if (records !== undefined) return keep(output, records, (item) => isRecord(item) && this.sees(caller, item));
    const teams = this.#bound(caller);
    if (teams === undefined) return output;
    const visible = (sort: string, item: unknown): boolean => {
      const id = field(item, 'id');
      const team = typeof id === 'string' ? this.teamOf(sort, id) : undefined;
      return team !== undefined && teams.includes(team);
    };
    if (rows !== undefined) return keep(output, rows.field, (item) => visible(rows.sort, item));
    if (one !== undefined && !visible(one, output)) throw absent(one, 'that');
    return output;
  }

  sees(caller: Caller, record: Pick<LogRecord, 'stream' | 'type'>): boolean {
    if (accessRecords.test(record.type) && !covers(caller.scopes, 'user:read')) return false;
    const teams = this.#bound(caller);
    if (teams === undefined) return true;
    const what = record.stream.slice(0, Math.max(0, record.stream.indexOf('_')));
    const team = this.teamOf(what, record.stream);
    return team !== undefined && teams.includes(team);
  }

  /** The team of a thing by its whole id: '' for none; undefined when there is no such thing, or nobody can tell. */
  teamOf(what: string, id: string): string | undefined {
    const sort = this.#sorts.get(what);
    if (sort === undefined) return undefined;
    const sql = `SELECT ${sort.team} AS team FROM ${sort.table} AS t WHERE t.id = ?`;
    return this.#options.reader.get<{ team: string | null }>(sql, id)?.team ?? undefined;
  }

  /** The teams that a caller is bound to; undefined: to none. */
  #bound({ teams }: Caller): readonly string[] | undefined {
    if (teams === null || (teams.includes('') && !this.#options.inUse())) return undefined;
    return teams;
  }

  /** What an action reports for its caller may be about something that is only being made; what is there has to be theirs. */
  #inside(teams: readonly string[], { names = {} }: Bounds, input: unknown): unknown {
    for (const [path, what] of Object.entries(names)) {
      const id = field(input, path);
      const team = typeof id === 'string' ? this.teamOf(what, id) : undefined;
      if (typeof id === 'string' && team !== undefined && !teams.includes(team)) throw absent(what, id);
    }
    return input;
  }

  /** The whole id of what a text names among the things of these teams. */
  #exact(teams: readonly string[], what: string, text: string): string {
    const sort = this.#sorts.get(what);
    if (sort === undefined) throw new Error(`There is no sort "${what}".`);
    const wanted = text.trim();
    // A whole id is what programs give; names may have no index.
    const team = this.teamOf(what, wanted);
    if (team !== undefined && teams.includes(team)) return wanted;
    const start = wanted.startsWith(`${what}_`) ? wanted.toLowerCase() : `${what}_${wanted.toLowerCase()}`;
    const named = sort.names.map((name) => `OR t.${name} = ?1`).join(' ');
    const sql = `SELECT t.id, ${sort.team} AS team, (t.id = ?1 ${named}) AS exact FROM ${sort.table} AS t
      WHERE t.id = ?1 ${named} OR (t.id >= ?2 AND t.id < ?3) LIMIT 1000`;
    const rows = this.#options.reader
      .all<{ id: string; team: string | null; exact: number }>(sql, wanted, start, `${start}\u{10ffff}`)
      .filter(({ team }) => team !== null && teams.includes(team));
    const exact = rows.filter((row) => row.exact === 1);
    const [found, other] = exact.length > 0 ? exact : rows;
    if (found === undefined) throw absent(what, text);
    if (other === undefined) return found.id;
    throw conflict(`"${text}" fits several of them (${what}).`, { fix: 'Use the whole id.' });
  }
}

/** How an operation is bounded: as listed, else by the names of its fields. */
export function ruleFor(operation: Operation, { rules, sorts }: Pick<BoundaryOptions, 'rules' | 'sorts'>): Rule {
  const listed = rules[operation.name];
  if (listed !== undefined) return listed;
  const { def } = operation.input;
  const shape = 'shape' in def && typeof def.shape === 'object' && def.shape !== null ? Object.keys(def.shape) : [];
  const names = shape.filter((name) => sorts.some(({ what }) => what === name));
  return names.length === 0 ? 'whole' : { names: Object.fromEntries(names.map((name) => [name, name])) };
}

function absent(what: string, text: string): AppError {
  return notFound(what, text, `List them (maos ${what} list) and use an id or the beginning of one.`);
}

function refuseNobodys({ needs }: Bounds, input: unknown): void {
  if (needs === undefined) return;
  const { of, fields } = needs;
  const items = of === undefined ? [input] : field(input, of);
  if (!Array.isArray(items)) return;
  for (const item of items) {
    if (fields.some((name) => field(item, name) !== undefined && field(item, name) !== null)) continue;
    throw invalid(`Without ${fields.join(' or ')} this would belong to no team.`, {
      fix: `Give ${fields.join(' or ')}, of one of your teams.`,
    });
  }
}

function fillTeam(how: 'given' | 'filled', teams: readonly string[], input: unknown): void {
  if (typeof input !== 'object' || input === null) return;
  const given = field(input, 'team');
  if (given === undefined && how === 'given') return;
  if (typeof given === 'string' && teams.includes(given)) return;
  const [only = '', second] = teams;
  if (given === undefined && second === undefined) {
    if (only !== '') Reflect.set(input, 'team', only);
    return;
  }
  throw invalid(`The team has to be one of yours: ${said(teams)}.`, { fix: 'Give "team".' });
}

/** Replaces the texts at a path; `*` stands for every item of a list. What has another form is left for the schema to refuse. */
function change(value: unknown, path: readonly string[], to: (text: string) => string | void): void {
  const [first = '', ...rest] = path;
  if (typeof value !== 'object' || value === null) return;
  const keys = first === '*' ? (Array.isArray(value) ? [...value.keys()].map(String) : []) : [first];
  for (const key of keys) {
    const inner = field(value, key);
    if (rest.length > 0) change(inner, rest, to);
    else if (typeof inner === 'string') Reflect.set(value, key, to(inner) ?? inner);
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

function keep(output: object, name: string, visible: (item: unknown) => boolean): object {
  const items = field(output, name);
  return Array.isArray(items) ? { ...output, [name]: items.filter(visible) } : output;
}

function isRecord(item: unknown): item is Pick<LogRecord, 'stream' | 'type'> {
  return typeof field(item, 'stream') === 'string' && typeof field(item, 'type') === 'string';
}

function said(teams: readonly string[]): string {
  return teams.map((team) => (team === '' ? 'what has no team' : team)).join(', ') || 'no team';
}
