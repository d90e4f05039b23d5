import { actorName } from '../kernel/actor.ts';
import { commandPredicates, hostsOf, type Predicate } from './command-match.ts';
import { type ActionKind, actionKinds, type Effect, effects, type PolicyRule, type Risk, risks } from './contract.ts';
import type { Condition, Request } from './engines.ts';
import { anyGlob, type Glob, type PathGlob, pathGlob, type PathText, smallGlob } from './glob.ts';
import { withinStretch } from './moment.ts';
import type { SeenPlace, Subject, World } from './subject.ts';

/** A rule, ready to be asked. */
export interface CompiledRule {
  readonly source: PolicyRule;
  readonly effect: Effect;
  readonly risk: Risk;
  readonly expires: number;
  /** It looks at text, which may go over several commands. */
  readonly aboutText: boolean;
  readonly matches: Predicate;
}

/** Rules in the order in which they are asked, found by what they are about. */
export interface CompiledRules {
  readonly world: World;
  /** What holds when no rule matches. */
  readonly otherwise: Effect;
  readonly all: readonly CompiledRule[];
  /** The rules that can match an action of this kind about this program or operation. */
  readonly about: (kind: ActionKind, name: string | null) => readonly CompiledRule[];
}

/** What is wrong in a rule: the place in the list of rules, and what to do. */
export interface RuleProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What a rule's risk is when it does not say. */
const usual: Readonly<Record<Effect, Risk>> = { allow: 'low', ask: 'medium', block: 'high' };

function listOf<Item extends string>(value: Item | readonly Item[]): readonly Item[] {
  return typeof value === 'string' ? [value] : value;
}

/**
 * The order in which rules are asked: higher priority first; at the same priority block before ask before allow, then the higher
 * risk. It does not depend on the order in which they stand, so moving a rule in a file changes nothing.
 */
function compare(a: CompiledRule, b: CompiledRule): number {
  return (
    (b.source.priority ?? 0) - (a.source.priority ?? 0) ||
    effects.indexOf(b.effect) - effects.indexOf(a.effect) ||
    risks.indexOf(b.risk) - risks.indexOf(a.risk) ||
    (a.source.id < b.source.id ? -1 : 1)
  );
}

/** Makes rules ready. What is wrong in one is told in `problems`; such a rule is left out of `rules`. */
export function compileRules(
  sources: readonly PolicyRule[],
  world: World,
  otherwise: Effect = 'allow',
): { readonly rules: CompiledRules; readonly problems: readonly RuleProblem[] } {
  const problems: RuleProblem[] = [];
  const all = sources.flatMap((source, index): CompiledRule[] => {
    const complain = (path: readonly string[], message: string): void => {
      problems.push({ path: [index, ...path], message });
    };
    const before = problems.length;
    const matches = predicateOf(source, world, complain);
    if (problems.length > before) return [];
    const { decision, risk = usual[decision], expires } = source;
    const aboutText = source.match.text !== undefined || source.match.contains !== undefined;
    const until = expires === undefined ? Infinity : Date.parse(expires);
    return [{ source, effect: decision, risk, expires: until, aboutText, matches }];
  });
  all.sort(compare);
  return { rules: { world, otherwise, all, about: indexOf(all) }, problems };
}

/** The programs or operations that a rule can be about; null: any. */
function namesOf({ match }: PolicyRule): Glob | null {
  const names = match.command?.program ?? match.operation;
  return names === undefined ? null : smallGlob(names);
}

function kindsOf({ match }: PolicyRule): readonly ActionKind[] {
  if (match.kind !== undefined) return listOf(match.kind);
  if (match.command !== undefined) return ['bash', 'deployment'];
  return match.operation === undefined ? actionKinds : ['operation'];
}

/** Programs and operations beyond these are not remembered. */
const mostNames = 1_000;

/** Which rules a name needs is found out once. */
function indexOf(all: readonly CompiledRule[]): CompiledRules['about'] {
  const kinds = new Map(
    actionKinds.map((kind) => {
      const rules = all.filter(({ source }) => kindsOf(source).includes(kind));
      const named = rules.map((rule) => ({ rule, names: namesOf(rule.source) }));
      return [kind, { named, known: new Map<string | null, readonly CompiledRule[]>() }] as const;
    }),
  );
  return (kind, name) => {
    const bucket = kinds.get(kind);
    if (bucket === undefined) return [];
    const known = bucket.known.get(name);
    if (known !== undefined) return known;
    const fits = (names: Glob | null): boolean => names === null || (name !== null && names(name));
    const found = bucket.named.flatMap(({ rule, names }) => (fits(names) ? rule : []));
    if (bucket.known.size >= mostNames) bucket.known.clear();
    bucket.known.set(name, found);
    return found;
  };
}

type Complain = (path: readonly string[], message: string) => void;

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.?$/, '.');
}

function predicateOf(rule: PolicyRule, world: World, complain: Complain): Predicate {
  const { match, when } = rule;
  // Whoever allows one place or machine does not allow another that is named beside it.
  const allows = rule.decision === 'allow';
  const tests: Predicate[] = [];
  const { actor, role, team, tool, method, operation, host, time } = match;
  const about = (
    patterns: string | readonly string[] | undefined,
    get: (subject: Subject) => string | undefined,
  ): void => {
    if (patterns === undefined) return;
    const glob = anyGlob(patterns);
    tests.push((subject) => {
      const value = get(subject);
      return value !== undefined && glob(value);
    });
  };
  about(operation, ({ action }) => action.operation);
  about(tool, ({ action }) => action.tool);
  about(role, ({ action }) => action.role);
  about(team, ({ action }) => action.team);
  about(method, ({ action }) => action.method);
  about(actor, ({ action }) => actorName(action.actor));
  if (match.command !== undefined) tests.push(...commandPredicates(match.command, allows));
  if (host !== undefined) tests.push(hostPredicate(listOf(host), allows));
  if (match.path !== undefined) tests.push(pathPredicate(match.path, world, allows));
  if (match.contains !== undefined) {
    const glob = anyGlob(listOf(match.contains).map((words) => `*${words}*`));
    tests.push(({ text }) => glob(text.replaceAll(/\s+/g, ' ')));
  }
  try {
    if (time !== undefined) {
      const within = withinStretch(time);
      tests.push(({ action }) => within(action.at));
    }
  } catch {
    complain(['match', 'time', 'zone'], `There is no time zone "${time?.zone ?? ''}". Write it as Europe/Berlin.`);
  }
  if (match.text !== undefined) tests.push(textPredicate(match.text, world, complain));
  if (when !== undefined) tests.push(whenPredicate(rule, when, world, complain));
  const [first, ...rest] = tests;
  if (first === undefined) return () => true;
  if (rest.length === 0) return first;
  return (subject) => first(subject) && rest.every((test) => test(subject));
}

/** `!localhost` leaves a host out; with nothing but such entries, every other host is meant. */
function hostPredicate(patterns: readonly string[], allows: boolean): Predicate {
  const wanted = patterns.filter((pattern) => !pattern.startsWith('!'));
  const unwanted = anyGlob(patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1)));
  const glob = anyGlob(wanted.length === 0 ? '*' : wanted);
  return ({ action, command }) => {
    const hosts = [...(action.host === undefined ? [] : [action.host]), ...(command === null ? [] : hostsOf(command))];
    const fits = (name: string): boolean => glob(name) && !unwanted(name);
    return allows ? hosts.length > 0 && hosts.every(fits) : hosts.some(fits);
  };
}

function pathPredicate(match: NonNullable<PolicyRule['match']['path']>, world: World, allows: boolean): Predicate {
  const globs = (patterns: string | readonly string[]): PathGlob =>
    pathGlob(
      listOf(patterns).map((pattern) =>
        pattern.replace(/^~(?=\/|$)/, world.home).replace(/^\$\{MAOS_HOME\}/, world.maosHome),
      ),
    );
  const wanted = match.glob === undefined ? null : globs(match.glob);
  const except = match.except === undefined ? null : globs(match.except);
  const accesses = match.access === undefined ? null : new Set<string>(listOf(match.access));
  const { outside, inside } = match;
  // A link that leads elsewhere is not left out for its name, and a pattern not for one of the files that it may mean.
  const left = (text: PathText): boolean => except?.({ ...text, glob: false, deep: false }) === true;
  const fits = ({ access, inside: within, texts, inWorkspace }: SeenPlace): boolean => {
    if (accesses !== null && !accesses.has(access)) return false;
    if (outside !== undefined && within) return false;
    if (inside !== undefined && !within) return false;
    if (wanted !== null && !texts.some(wanted) && !(inWorkspace !== null && wanted(inWorkspace))) return false;
    if (except === null || texts.length === 0) return true;
    return !(inWorkspace !== null && left(inWorkspace)) && !texts.every(left);
  };
  if (allows) return ({ places }) => places.length > 0 && places.every(fits);
  return ({ places }) => places.some(fits);
}

function textPredicate(pattern: string, { engines }: World, complain: Complain): Predicate {
  try {
    const test = engines.regex?.(pattern);
    if (test === undefined) throw new Error('the engine of regular expressions is not loaded');
    return ({ text }) => test(text);
  } catch (error) {
    complain(['match', 'text'], `This is not a regular expression as RE2 takes it: ${reasonOf(error)}`);
    return () => false;
  }
}

function whenPredicate(rule: PolicyRule, when: string, { engines }: World, complain: Complain): Predicate {
  let condition: Condition | undefined;
  try {
    condition = engines.condition?.(when);
    if (condition === undefined) throw new Error('the engine of conditions is not loaded');
  } catch (error) {
    complain(['when'], `This is not a condition in Cedar: ${reasonOf(error)}`);
    return () => false;
  }
  const holds = condition;
  // What cannot be evaluated never makes anything looser.
  const otherwise = rule.decision !== 'allow';
  return (subject) => holds(requestOf(subject)) ?? otherwise;
}

function requestOf(subject: Subject): Request {
  const { action, command } = subject;
  const { kind, host, method, tool, operation, role, team, access, cwd, workspace } = action;
  const optional = { host, method, tool, operation, role, team, access, cwd, workspace };
  const given = Object.entries(optional).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const { places } = subject;
  return {
    actor: actorName(action.actor),
    kind,
    resource: operation ?? action.path ?? host ?? command?.program ?? subject.text.slice(0, 1_000),
    context: {
      ...Object.fromEntries(given),
      text: subject.text,
      program: command?.program ?? '',
      argv: command === null ? [] : command.argv.map(({ text }) => text),
      via: command === null ? [] : [...command.via],
      opaque: command !== null && command.opaque !== null,
      paths: places.flatMap(({ path }) => path ?? []),
      outside: places.some(({ inside }) => !inside),
    },
  };
}
