import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { invalid } from '../kernel/error.ts';
import type { Reader } from '../kernel/handler.ts';
import { once } from '../kernel/once.ts';
import { type CompiledRules, compileRules } from './compile.ts';
import type { Action, Decision, Effect, Layer, PolicyRule } from './contract.ts';
import { decide, type Judgement, judge, strictest } from './decide.ts';
import { type Engines, loadEngines } from './engines.ts';
import { readPolicy, ruleProblems } from './file.ts';
import { realPath } from './real-path.ts';
import { shippedRules } from './shipped.ts';
import { storedRules } from './views.ts';

export interface PolicyBookOptions {
  /** The home folder of the user. */
  readonly home: string;
  readonly maosHome: string;
  readonly reader: Reader;
  /** The user's own checkout of the repository that a workspace belongs to: its policy is read there, where no agent writes. */
  readonly repositoryOf: (workspace: string) => string | null;
  readonly now: () => number;
}

/** A rule and where it comes from. */
interface Placed {
  readonly layer: Layer;
  readonly rule: PolicyRule;
}

/** The rules of one repository, as its file was at one time. */
interface RepositoryRules {
  readonly stamp: string;
  /** null: there is no file. */
  readonly rules: CompiledRules | null;
  /** Why the file cannot be read, or null. */
  readonly broken: string | null;
}

interface Count {
  count: number;
  last: number;
}

/** Files are looked at again after this. */
const freshMs = 1_000;

/**
 * All rules that hold on this machine. Shipped rules, those of the home folder and those that were set make one book; the rules of
 * a repository are asked beside it, and the stricter answer holds: a repository can allow nothing that the book does not.
 */
export class PolicyBook {
  readonly #options: PolicyBookOptions;
  readonly #repositories = new Map<string, RepositoryRules>();
  readonly #looked = new Map<string, number>();
  readonly #counts = new Map<string | null, Count>();
  readonly #since: number;
  #placed: readonly Placed[] = [];
  /** Made when they are first asked: a server at rest has no use for them. */
  #rules: () => CompiledRules;
  #homeStamp = '';
  #homeBroken: Error | null = null;

  private constructor(options: PolicyBookOptions) {
    this.#options = options;
    this.#since = options.now();
    this.#rules = once(() => this.#compile([], {}, 'block'));
  }

  /** Refuses a policy file of the home folder that cannot be read, with line and column. */
  static async open(options: PolicyBookOptions): Promise<PolicyBook> {
    const book = new PolicyBook(options);
    await book.reload();
    return book;
  }

  /** Reads everything again: after `policy.set`, and when the home folder's file has changed. A broken file changes nothing. */
  async reload(): Promise<void> {
    const file = this.#homeFile;
    const stamp = stampOf(file);
    const read = stamp === '' ? null : await readPolicy(policyText(file), file);
    const home = read?.policy ?? { rules: [], disable: [], default: undefined };
    const stored = storedRules(this.#options.reader);
    const own = new Map<string, Placed>();
    for (const rule of home.rules) own.set(rule.id, { layer: 'home', rule });
    for (const rule of stored) own.set(rule.id, { layer: 'api', rule });
    const disabled = new Set([...(home.disable ?? []), ...own.keys()]);
    const shipped = shippedRules
      .filter(({ id }) => !disabled.has(id))
      .map((rule): Placed => ({ layer: 'shipped', rule }));
    const placed = [...own.values(), ...shipped];
    const rules = placed.map((one) => one.rule);
    const engines = await loadEngines(rules);
    this.#placed = placed;
    this.#rules = once(() => this.#compile(rules, engines, home.default ?? 'allow'));
    this.#homeStamp = stamp;
  }

  /** Whether these rules could be set. Refuses with what is wrong in them. */
  async check(rules: readonly PolicyRule[]): Promise<void> {
    const problems = ruleProblems([...rules], await loadEngines(rules));
    const [first] = problems;
    if (first === undefined) return;
    throw invalid(`Rule "${rules[Number(first.path[0])]?.id ?? ''}": ${first.message}`, {
      issues: problems.map(({ path, message }) => ({ path: ['rules', ...path].join('.'), message })),
      fix: 'Correct the rule; docs/policy.md describes the fields.',
    });
  }

  /**
   * What the rules say, at once. A repository's file that was not read yet makes it ask, so call `prepare` first for what
   * happens in a workspace.
   */
  decide(action: Action): Decision {
    const own = decide(this.#rules(), action);
    const said = strictest(own, ...this.#beside(action));
    this.#count(said, action.at);
    return said;
  }

  /** Reads what `decide` needs for a workspace, if it has changed. */
  async prepare(workspace: string | undefined): Promise<void> {
    await this.#refreshHome();
    const repository = workspace === undefined ? null : this.#options.repositoryOf(workspace);
    if (repository !== null && this.#stale(repository)) await this.#readRepository(repository);
  }

  /** `prepare` and `decide`. */
  async judge(action: Action): Promise<Decision> {
    await this.prepare(action.workspace);
    return this.decide(action);
  }

  /** A decision with what led to it; counts nothing. */
  async explain(action: Action): Promise<Judgement> {
    await this.prepare(action.workspace);
    const own = judge(this.#rules(), action);
    return { ...own, decision: strictest(own.decision, ...this.#beside(action)) };
  }

  /** The rule with an id, as it was written: its quorum and how long a request stays open. */
  rule(id: string): PolicyRule | undefined {
    const own = this.#placed.find(({ rule }) => rule.id === id)?.rule;
    if (own !== undefined) return own;
    for (const { rules } of this.#repositories.values()) {
      const found = rules?.all.find(({ source }) => source.id === id);
      if (found !== undefined) return found.source;
    }
    return undefined;
  }

  /** The rules that hold, in the order in which they are asked; with those of a repository, when one is named. */
  async effective(repository: string | null): Promise<{ default: Effect; rules: Placed[] }> {
    await this.#refreshHome();
    if (this.#homeBroken !== null) throw this.#homeBroken;
    if (repository !== null && this.#stale(repository)) await this.#readRepository(repository);
    const beside = repository === null ? null : this.#repositories.get(repository);
    if (beside?.broken !== undefined && beside.broken !== null) throw invalid(beside.broken);
    const layers = new Map(this.#placed.map(({ rule, layer }) => [rule, layer]));
    const own = this.#rules().all.map(({ source }): Placed => ({
      layer: layers.get(source) ?? 'shipped',
      rule: source,
    }));
    const theirs = (beside?.rules?.all ?? []).map(({ source }): Placed => ({ layer: 'repository', rule: source }));
    return { default: this.#rules().otherwise, rules: [...theirs, ...own] };
  }

  stats(): {
    since: number;
    counts: readonly { rule: string | null; count: number; last: number }[];
    effects: Record<Effect, number>;
  } {
    const counts = [...this.#counts].map(([rule, { count, last }]) => ({ rule, count, last }));
    return { since: this.#since, counts: counts.toSorted((a, b) => b.count - a.count), effects: { ...this.#effects } };
  }

  readonly #effects: Record<Effect, number> = { allow: 0, ask: 0, block: 0 };

  get #homeFile(): string {
    return join(this.#options.maosHome, 'policy.yaml');
  }

  #compile(rules: readonly PolicyRule[], engines: Engines, otherwise: Effect): CompiledRules {
    const { home, maosHome } = this.#options;
    const world = { home: realPath(home), maosHome: realPath(maosHome), realpath: realPath, engines };
    return compileRules(rules, world, otherwise).rules;
  }

  #count({ rule, effect }: Decision, at: number): void {
    this.#effects[effect] += 1;
    const known = this.#counts.get(rule);
    if (known === undefined) this.#counts.set(rule, { count: 1, last: at });
    else {
      known.count += 1;
      known.last = at;
    }
  }

  /** A file that cannot be read any more leaves the rules as they were; `policy.get` and the next start tell. */
  async #refreshHome(): Promise<void> {
    const stamp = stampOf(this.#homeFile);
    if (this.#fresh(this.#homeFile) || stamp === this.#homeStamp) return;
    try {
      await this.reload();
      this.#homeBroken = null;
    } catch (error) {
      this.#homeStamp = stamp;
      this.#homeBroken = error instanceof Error ? error : new Error(String(error));
    }
  }

  #fresh(file: string): boolean {
    const now = this.#options.now();
    if (now - (this.#looked.get(file) ?? -Infinity) < freshMs) return true;
    this.#looked.set(file, now);
    return false;
  }

  #stale(repository: string): boolean {
    const known = this.#repositories.get(repository);
    if (known === undefined) return true;
    const file = policyFileOf(repository);
    return !this.#fresh(file) && stampOf(file) !== known.stamp;
  }

  async #readRepository(repository: string): Promise<void> {
    const file = policyFileOf(repository);
    const stamp = stampOf(file);
    try {
      const read = stamp === '' ? null : await readPolicy(policyText(file), file);
      const rules =
        read === null ? null : this.#compile(read.policy.rules, read.engines, read.policy.default ?? 'allow');
      this.#repositories.set(repository, { stamp, rules, broken: null });
    } catch (error) {
      const broken = error instanceof Error ? error.message : String(error);
      this.#repositories.set(repository, { stamp, rules: null, broken });
    }
  }

  /** What the repository's own rules say. */
  #beside(action: Action): Decision[] {
    const repository = action.workspace === undefined ? null : this.#options.repositoryOf(action.workspace);
    if (repository === null) return [];
    const known = this.#repositories.get(repository);
    const stop = (reason: string): Decision => ({ effect: 'ask', risk: 'high', rule: null, reason });
    if (known === undefined) {
      return existsSync(policyFileOf(repository)) ? [stop('The rules of the repository were not read yet')] : [];
    }
    if (known.broken !== null) return [stop(`The rules of the repository cannot be read: ${known.broken}`)];
    return known.rules === null ? [] : [decide(known.rules, action)];
  }
}

function policyFileOf(repository: string): string {
  return join(repository, '.maos', 'policy.yaml');
}

/** Changes whenever the file does; empty: there is none. */
function stampOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.mtimeMs} ${stat.size} ${stat.ino}`;
}

const largestFile = 1_000_000;

/** What a file of rules holds. What is no file is not read: a pipe would hold up the server for ever. */
export function policyText(file: string): string {
  const found = statSync(file);
  if (!found.isFile() || found.size > largestFile)
    throw invalid(`${file} is no file, or larger than ${largestFile} bytes.`, { fix: 'Put a file of rules there.' });
  return readFileSync(file, 'utf8');
}

/** The repository in which a folder lies, by its `.git`; null: none. */
export function repositoryAt(folder: string): string | null {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return at;
    if (dirname(at) === at) return null;
  }
}
