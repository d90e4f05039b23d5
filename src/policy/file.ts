import type * as yamlModule from 'yaml';
import type * as z from 'zod';
import { type AppError, invalid, type Issue } from '../kernel/error.ts';
import { nearest } from '../kernel/nearest.ts';
import { compileRules, type RuleProblem } from './compile.ts';
import { type PolicyFile, policyFile } from './contract.ts';
import { type Engines, loadEngines } from './engines.ts';

/** A policy file that was read, and how to refuse it for what is found later. */
export interface ReadPolicy {
  readonly policy: PolicyFile;
  readonly engines: Engines;
}

type Path = readonly (string | number)[];

interface PlacedIssue extends Issue {
  readonly line: number;
  readonly column: number;
}

type Yaml = typeof yamlModule;

/** The text of a policy file, that knows where each field stands. */
class PolicySource {
  readonly #yaml: Yaml;
  readonly #file: string;
  readonly #lines: InstanceType<Yaml['LineCounter']>;
  readonly #document: ReturnType<Yaml['parseDocument']>;

  constructor(yaml: Yaml, text: string, file: string) {
    this.#yaml = yaml;
    this.#file = file;
    this.#lines = new yaml.LineCounter();
    if (text.length > 1_000_000)
      throw this.#refuse([{ path: '', message: 'It is larger than 1 MB.', line: 1, column: 1 }]);
    this.#document = this.#guard(() => yaml.parseDocument(text, { lineCounter: this.#lines, prettyErrors: false }));
  }

  read(): unknown {
    const issues = [...this.#document.errors, ...this.#document.warnings].map(({ message, pos }) => ({
      path: '',
      message: `This is not valid YAML: ${message.replace(/\.?$/, '.')} Check the indentation and the quotes here.`,
      ...this.#place(pos[0]),
    }));
    if (issues.length > 0) throw this.#refuse(issues);
    return this.#guard((): unknown => this.#document.toJS({ maxAliasCount: 100 }));
  }

  /** One error for all problems, in the order of the file. */
  refusal(problems: readonly RuleProblem[]): AppError {
    const issues = problems.map(({ path, message }) => ({
      path: path.join('.'),
      message,
      ...this.#place(this.#offset(path)),
    }));
    return this.#refuse(issues.toSorted((a, b) => a.line - b.line || a.column - b.column));
  }

  #refuse(issues: readonly PlacedIssue[]): AppError {
    const [first, ...more] = issues;
    const rest = more.length === 0 ? '' : ` (and ${more.length} more ${more.length === 1 ? 'problem' : 'problems'})`;
    const where = first === undefined ? this.#file : `${this.#file}:${first.line}:${first.column}`;
    return invalid(`${where}: ${first?.message ?? 'This is no policy.'}${rest}`, {
      issues,
      fix: 'Correct the policy file; docs/policy.md describes it, and maos policy test FILE tries it.',
    });
  }

  /** The YAML library recurses and limits aliases by throwing. */
  #guard<Result>(run: () => Result): Result {
    try {
      return run();
    } catch (error) {
      const message = `This YAML cannot be read: ${error instanceof RangeError ? 'it is nested too deeply' : String(error)}.`;
      throw this.#refuse([{ path: '', message, line: 1, column: 1 }]);
    }
  }

  #place(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(Math.max(0, offset));
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** Walks to the field as far as it exists. */
  #offset(path: Path): number {
    const { isAlias, isMap, isNode, isScalar, isSeq } = this.#yaml;
    let node: unknown = this.#document.contents;
    let start = 0;
    const begin = (found: unknown): number => (isNode(found) ? offsetOf(found) : undefined) ?? start;
    start = begin(node);
    for (const step of path) {
      if (isAlias(node)) node = node.resolve(this.#document);
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
        if (pair === undefined) break;
        start = begin(pair.key);
        node = pair.value;
        start = begin(node);
      } else if (isSeq(node)) {
        node = node.items[Number(step)];
        start = begin(node);
      } else break;
    }
    return start;
  }
}

function offsetOf(node: yamlModule.Node): number | undefined {
  return node.range?.[0];
}

/** What the schema found, in words, with the names of the fields that there are. */
function shapeProblems(issues: readonly z.core.$ZodIssue[], parent: Path = []): RuleProblem[] {
  return issues.flatMap((issue): RuleProblem[] => {
    const path = [...parent, ...issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))];
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownField(path, key));
    if (issue.code === 'invalid_union') {
      const inner = issue.errors.find((branch) => branch.every((one) => one.path.length > 0));
      if (inner !== undefined && inner.length > 0) return shapeProblems(inner, path);
    }
    return [{ path, message: issue.message.replace(/\.?$/, '.') }];
  });
}

const fields = [
  ...'default disable rules tests id match when decision risk reason quorum answerWithin expires priority'.split(' '),
  ...'kind command text contains path host method tool operation actor role team time program subcommand flags'.split(
    ' ',
  ),
  ...'args env inputs via opaque suspicious recursive glob except outside inside access days hours zone expect'.split(
    ' ',
  ),
];

function unknownField(path: Path, key: string): RuleProblem {
  const guess = nearest(key, fields);
  const hint = guess === undefined ? 'Remove it.' : `Did you mean "${guess}"?`;
  return { path: [...path, key], message: `There is no field "${key}" here. ${hint}` };
}

function doubles({ rules }: PolicyFile): RuleProblem[] {
  const seen = new Set<string>();
  return rules.flatMap(({ id }, index) => {
    if (!seen.has(id)) {
      seen.add(id);
      return [];
    }
    return [
      { path: ['rules', index, 'id'], message: `A rule with the id "${id}" stands here already. Give it another one.` },
    ];
  });
}

/** Reads a policy file. Refuses with `invalid`, whose issues each have line and column. Loads what its rules need. */
export async function readPolicy(text: string, file: string): Promise<ReadPolicy> {
  const yaml = await import('yaml');
  const source = new PolicySource(yaml, text, file);
  const parsed = policyFile().safeParse(source.read() ?? {});
  if (!parsed.success) throw source.refusal(shapeProblems(parsed.error.issues));
  const policy = parsed.data;
  const engines = await loadEngines(policy.rules);
  const problems = [
    ...doubles(policy),
    ...ruleProblems(policy.rules, engines).map(({ path, message }) => ({ path: ['rules', ...path], message })),
  ];
  if (problems.length > 0) throw source.refusal(problems);
  return { policy, engines };
}

/** What is wrong in rules beyond their shape: expressions, conditions, time zones. */
export function ruleProblems(rules: PolicyFile['rules'], engines: Engines): readonly RuleProblem[] {
  const nowhere = { home: '/', maosHome: '/', realpath: (path: string) => path, engines };
  return compileRules(rules, nowhere).problems;
}
