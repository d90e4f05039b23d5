import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import { invalid, type AppError, type Issue } from '../kernel/error.ts';

/** A problem of a plan before its place is known: which field, what is wrong, and what to do. */
export interface Problem {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Points at the field's name instead of its value. */
  readonly onKey?: true;
  /** Points at this text inside the value. */
  readonly raw?: string;
  /** Which of several: 0 is the first. */
  readonly occurrence?: number;
}

/** An issue with its place in the plan file; lines and columns count from 1. */
export interface PlanIssue extends Issue {
  readonly line: number;
  readonly column: number;
}

/** What to do about YAML that cannot be read, by the parser's code. */
const yamlFixes: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'This field stands here twice. Keep one.',
  TAB_AS_INDENT: 'A tab stands where the indentation is. Use spaces.',
  BLOCK_AS_IMPLICIT_KEY:
    'A ": " inside a plain text starts a new field. Put the text in quotes, or begin a block with "|".',
  BAD_SCALAR_START: 'A text cannot begin with this character. Put the text in quotes.',
  MISSING_CHAR: 'A quote or a bracket is not closed before this place. Close it.',
  TAG_RESOLVE_FAILED: 'A plan has no tags. Put a text that begins with "!" in quotes.',
  MULTIPLE_DOCS: 'A plan is one YAML document. Remove the "---" and what follows.',
};

const maxBytes = 1_000_000;
/** What makes the YAML library work, and it works in the one thread that answers everybody: so much takes it a second at most. */
const marks = /[\n,\\[{]/g;
const mostMarks = 50_000;
/** So many problems are told with their places. */
const mostIssues = 200;

/** The text of a plan file, read as YAML, that knows where each field stands. */
export class PlanSource {
  readonly #file: string;
  readonly #text: string;
  readonly #lines = new LineCounter();
  readonly #document: ReturnType<typeof parseDocument>;

  constructor(text: string, file: string) {
    this.#file = file;
    this.#text = text;
    if (text.length > maxBytes)
      throw invalid(`${file} is larger than 1 MB.`, {
        fix: 'Keep long texts in the repository and name their paths in the prompts.',
      });
    if ((text.match(marks)?.length ?? 0) > mostMarks) {
      const message = `A plan has at most ${mostMarks} lines, commas and brackets. Keep long texts in the repository and name their paths, or make several plans of it.`;
      throw this.#refusalOf([{ path: '', message, line: 1, column: 1 }]);
    }
    // Names that stand twice are looked for below: the library compares each with all others.
    const options = { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: false };
    this.#document = this.#guard(() => parseDocument(text, options));
  }

  /** The plan as plain data; refuses text that is not YAML. */
  read(): unknown {
    const issues = [...this.#document.errors, ...this.#document.warnings].map(({ code, message, pos }): PlanIssue => {
      return {
        path: '',
        message:
          yamlFixes[code] ??
          `This is not valid YAML: ${message.replace(/\.?$/, '.')} Check the indentation and the quotes here.`,
        ...this.#place(pos[0]),
      };
    });
    // JavaScript gives this key a meaning of its own, so it would be dropped without a word.
    this.#guard(() =>
      visit(this.#document, {
        Map: (_place, { items }) => {
          const names = new Set<unknown>();
          for (const { key } of items) {
            if (!isScalar(key)) continue;
            if (names.has(key.value))
              issues.push({ path: '', message: yamlFixes['DUPLICATE_KEY'] ?? '', ...this.#place(startOf(key) ?? 0) });
            names.add(key.value);
          }
        },
        Scalar: (place, { value, range }) => {
          if (place !== 'key' || value !== '__proto__') return;
          const message = '"__proto__" cannot be a name in a plan. Choose another one.';
          issues.push({ path: '', message, ...this.#place(range?.[0] ?? 0) });
        },
      }),
    );
    if (issues.length > 0) throw this.#refusalOf(issues);
    return this.#guard((): unknown => this.#document.toJS({ maxAliasCount: 1000 }));
  }

  /** One error for all problems, in the order of the file. */
  refusal(problems: readonly Problem[]): AppError {
    const issues = problems.slice(0, mostIssues).map((problem) => ({
      path: problem.path.join('.'),
      message: problem.message,
      ...this.#place(this.#offset(problem)),
    }));
    const sorted = issues.toSorted((a, b) => a.line - b.line || a.column - b.column);
    return this.#refusalOf(sorted, problems.length);
  }

  #refusalOf(all: readonly PlanIssue[], count = all.length): AppError {
    const issues = all.slice(0, mostIssues);
    const [first] = issues;
    const more = count - 1;
    const rest = more <= 0 ? '' : ` (and ${more} more ${more === 1 ? 'problem' : 'problems'})`;
    const where = first === undefined ? this.#file : `${this.#file}:${first.line}:${first.column}`;
    return invalid(`${where}: ${first?.message ?? 'This plan is not valid.'}${rest}`, {
      issues,
      fix: 'Correct the plan file and run it again.',
    });
  }

  /** The YAML library recurses and limits aliases by throwing; both are a problem of the file. */
  #guard<Result>(run: () => Result): Result {
    try {
      return run();
    } catch (error) {
      const message =
        error instanceof ReferenceError
          ? 'An alias (*name) has no anchor (&name) before it, or aliases stand for too much. Write the text out.'
          : `This YAML cannot be read: ${error instanceof RangeError ? 'it is nested too deeply' : String(error)}. Simplify it.`;
      throw this.#refusalOf([{ path: '', message, line: 1, column: 1 }]);
    }
  }

  #place(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(Math.max(0, offset));
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** Walks to the field as far as it exists. */
  #offset({ path, onKey, raw, occurrence = 0 }: Problem): number {
    let node: unknown = this.#document.contents;
    let start = startOf(node) ?? 0;
    let end = start;
    for (const [depth, step] of path.entries()) {
      if (isAlias(node)) node = node.resolve(this.#document);
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
        if (pair === undefined) break;
        const key = startOf(pair.key) ?? start;
        node = pair.value;
        start = onKey === true && depth === path.length - 1 ? key : (startOf(node) ?? key);
      } else if (isSeq(node)) {
        const item = node.items[Number(step)];
        if (item === undefined) break;
        node = item;
        start = startOf(node) ?? start;
      } else break;
      end = isNode(node) ? (node.range?.[1] ?? start) : start;
    }
    if (raw === undefined) return start;
    const within = this.#text.slice(0, end);
    let inside = within.indexOf(raw, start);
    for (let count = 0; count < occurrence && inside !== -1; count += 1)
      inside = within.indexOf(raw, inside + raw.length);
    return inside === -1 ? start : inside;
  }
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
