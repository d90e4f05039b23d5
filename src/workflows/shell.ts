import { basename } from 'node:path';
import { type Lookup, readTemplate, referenceText } from './template.ts';

/**
 * References in shell lines.
 *
 * Why no value can inject a command: a value never becomes part of the shell's text. Each reference is replaced by the
 * expansion of an environment variable (`"${MAOS_REF_1}"`), and the value travels in the environment. A POSIX shell
 * does not parse the result of an expansion again, so quotes, `;`, `$(…)` and newlines in it are only characters. Pasting
 * a quoted value would depend on knowing the quotes around it exactly; this does not: the scanner below decides only
 * whether our own double quotes are added (against word splitting), so even where it misreads a line, nothing is executed.
 *
 * What remains is text that something parses a second time: `eval`, `sh -c "…"`, arithmetic (bash runs commands in
 * array subscripts there), single quotes (handed to another program, or never expanded at all), here-documents. Those
 * are refused when the plan is read. A program that is handed the value as code (awk, python -c, ssh) is beyond us;
 * docs/plan.md says so.
 */
type Context = 'plain' | 'double' | 'refused';

// The end of a command whose next word, or the word begun, is code: `bash -c "x `, `node -e `; for eval every word is.
const beforeCode =
  /(^|[\s;&|(`])(\S*\/)?(eval\s|((ba|da|z|k)?sh|python[\d.]*)\s+(-\S+\s+)*-[a-zA-Z]*c\s+\S*$|(node|bun|perl|ruby|php)\s+(-\S+\s+)*(-[a-zA-Z]*[epr]|--eval|--print)[\s=]+\S*$)/;
const useInput = 'Give the value as one of the task\'s inputs and read "$MAOS_INPUT_<NAME>" instead';

/** Follows a shell line's quotes piece by piece; `nesting` is the stack of open quotes and substitutions. */
class ShellScanner {
  readonly #nesting: ('"' | "'" | '(' | '((')[] = [];
  #escaped = false;
  #hereDocument = false;
  #comment = false;
  /** The simple command so far, with `_` for quoted blanks: what `beforeCode` looks at. */
  #command = '';

  feed(text: string): void {
    let at = 0;
    while (at < text.length) {
      const next = at + 1 + this.#step(text, at);
      const read = text.slice(at, next);
      this.#command += /["']/.test(this.#nesting.at(-1) ?? '') ? read.replaceAll(/\s/g, '_') : read;
      if (this.#nesting.length === 0 && /[\n;]/.test(read)) this.#command = '';
      at = next;
    }
  }

  /** Passes a reference: it is a part of the word it stands in. */
  skip(): void {
    this.#command += '?';
  }

  /** Returns how many characters it read beyond the one at `at`. */
  #step(text: string, at: number): number {
    const top = this.#nesting.at(-1);
    const char = text.charAt(at);
    if (this.#comment) {
      this.#comment = char !== '\n';
    } else if (this.#escaped) {
      this.#escaped = false;
    } else if (top === "'") {
      if (char === "'") this.#nesting.pop();
    } else if (char === '\\') {
      this.#escaped = true;
    } else if (text.startsWith('$((', at)) {
      this.#nesting.push('((');
      return 2;
    } else if (text.startsWith('$(', at)) {
      this.#nesting.push('(');
      return 1;
    } else if (char === '"') {
      if (top === '"') this.#nesting.pop();
      else this.#nesting.push('"');
    } else if (top !== '"') {
      return this.#outsideQuotes(text, at, char, top);
    }
    return 0;
  }

  #outsideQuotes(text: string, at: number, char: string, top: string | undefined): number {
    if (char === "'") this.#nesting.push("'");
    else if (char === '#' && /(^|[\s;&|(])$/.test(this.#command)) this.#comment = true;
    else if (top === '((' && text.startsWith('))', at)) {
      this.#nesting.pop();
      return 1;
    } else if (char === '(') this.#nesting.push('(');
    else if (char === ')' && top === '(') this.#nesting.pop();
    else if (text.startsWith('<<<', at)) return 2;
    else if (top !== '((' && text.startsWith('<<', at)) this.#hereDocument = true;
    return 0;
  }

  /** What a reference right here would mean, and why it is refused if it is. */
  get place(): { readonly context: Context; readonly problem: string } {
    const refused = (problem: string): { context: Context; problem: string } => ({ context: 'refused', problem });
    if (this.#escaped)
      return refused(
        'A "\\" before a reference does not make it literal. Write $${{ for a literal ${{, or remove the "\\".',
      );
    if (beforeCode.test(this.#command))
      return refused(`A second program would read this value as code. ${useInput} inside that code.`);
    if (this.#hereDocument) return refused(`A reference after "<<" cannot be quoted safely. ${useInput}.`);
    if (this.#nesting.includes('(('))
      return refused(
        `A value in arithmetic can run commands in some shells. ${useInput}, after checking that it is a number.`,
      );
    if (this.#nesting.at(-1) === "'")
      return refused('A shell replaces nothing inside single quotes. Use double quotes around the reference.');
    return { context: this.#nesting.at(-1) === '"' ? 'double' : 'plain', problem: '' };
  }
}

/** For every `${{ … }}` of a shell line, in order: why it cannot be filled safely and what to do, or null. */
export function shellProblems(line: string): (string | null)[] {
  const scanner = new ShellScanner();
  return readTemplate(line).flatMap((part) => {
    if (part.kind === 'text') {
      scanner.feed(part.text);
      return [];
    }
    const { context, problem } = scanner.place;
    scanner.skip();
    return [context === 'refused' ? problem : null];
  });
}

/** Gives every different reference of a task a variable and keeps the values: `MAOS_REF_1`, `MAOS_REF_2`, … */
export class ShellValues {
  readonly env: Record<string, string> = {};
  readonly #names = new Map<string, string>();
  readonly #lookup: Lookup;

  constructor(lookup: Lookup) {
    this.#lookup = lookup;
  }

  /** A shell line with each reference as the expansion of its variable. */
  fill(line: string): string {
    const scanner = new ShellScanner();
    let filled = '';
    for (const part of readTemplate(line)) {
      if (part.kind === 'text') {
        scanner.feed(part.text);
        filled += part.text;
      } else if (part.kind === 'reference') {
        const key = referenceText(part.reference);
        const name = this.#names.get(key) ?? `MAOS_REF_${this.#names.size + 1}`;
        this.#names.set(key, name);
        this.env[name] = this.#lookup(part.reference);
        filled += scanner.place.context === 'plain' ? `"\${${name}}"` : `\${${name}}`;
        scanner.skip();
      }
    }
    return filled;
  }
}

/** Which argument of an argv is code: the script of a shell (filled like any shell line), or of another language (takes no reference). */
export function codeArgument(argv: readonly string[]): { readonly index: number; readonly shell: boolean } | null {
  for (const [at, argument] of argv.entries()) {
    const program = basename(argument);
    const shell = /^(ba|da|z|k)?sh$/.test(program);
    if (!shell && !/^(node|bun|perl|ruby|php|python[\d.]*)$/.test(program)) continue;
    const flag = argv.findIndex(
      (option, index) =>
        index > at && (shell ? /^-[a-zA-Z]*c[a-zA-Z]*$/ : /^(-[a-zA-Z]*[cepr]|--eval|--print)$/).test(option),
    );
    if (flag !== -1 && flag + 1 < argv.length) return { index: flag + 1, shell };
  }
  return null;
}

/** What is said about a reference inside code that is not a shell's. */
export const codeProblem = `This argument is code, and a value in it would be read as code. ${useInput} inside it.`;
