import { invalid } from '../kernel/error.ts';

/** Deeper than any input of ours, and far from what overflows a stack further in. */
const deepest = 64;

/** Parses JSON from outside. Refuses what is malformed, with line and column, and what is nested too deep. */
export function parseJson(text: string, what: string): unknown {
  refuseDepth(text, what);
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    const offset = firstFault(text);
    const before = text.slice(0, offset).split('\n');
    const line = before.length;
    const column = (before.at(-1)?.length ?? 0) + 1;
    const found =
      offset >= text.length ? 'it ends too early' : `unexpected ${JSON.stringify(text.slice(offset, offset + 10))}`;
    const reason = error instanceof SyntaxError ? found : String(error);
    throw invalid(`${what} is not JSON: ${reason} at line ${line}, column ${column}.`, {
      fix: 'Send one JSON value; strings and field names stand in double quotes, and there are no trailing commas.',
      details: { position: offset, line, column },
    });
  }
}

function refuseDepth(text: string, what: string): void {
  let depth = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const char = text.charCodeAt(index);
    if (quoted) {
      if (char === 92) index += 1;
      else if (char === 34) quoted = false;
    } else if (char === 34) quoted = true;
    else if (char === 91 || char === 123) {
      depth += 1;
      if (depth > deepest) {
        throw invalid(`${what} is nested deeper than ${deepest} levels.`, {
          fix: 'Send flatter data.',
          details: { position: index },
        });
      }
    } else if (char === 93 || char === 125) depth -= 1;
  }
}

const token =
  /[ \t\r\n]*(?:(?<open>[[{])|(?<close>[\]}])|(?<comma>,)|(?<colon>:)|(?<string>"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(?<scalar>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|true\b|false\b|null\b))/y;
const space = /[ \t\r\n]*/y;

/** What may come next inside the innermost bracket. */
type Expected = 'value' | 'value or close' | 'key' | 'key or close' | 'colon' | 'comma or close' | 'end';

/** Where malformed JSON stops being JSON. V8 knows, but tells it only in some of its messages. */
function firstFault(text: string): number {
  const stack: string[] = [];
  let expected: Expected = 'value';
  let offset = 0;
  const afterValue = (): Expected => (stack.length === 0 ? 'end' : 'comma or close');
  for (;;) {
    token.lastIndex = offset;
    const groups = token.exec(text)?.groups;
    space.lastIndex = offset;
    space.exec(text);
    const start = space.lastIndex;
    if (groups === undefined) return start;
    const { open, close, comma, colon, string, scalar } = groups;
    const wantsValue = expected === 'value' || expected === 'value or close';
    const wantsClose = expected === 'value or close' || expected === 'key or close' || expected === 'comma or close';
    if (open !== undefined && wantsValue) {
      stack.push(open);
      expected = open === '[' ? 'value or close' : 'key or close';
    } else if (close !== undefined && wantsClose && stack.at(-1) === (close === ']' ? '[' : '{')) {
      stack.pop();
      expected = afterValue();
    } else if (comma !== undefined && expected === 'comma or close') expected = stack.at(-1) === '[' ? 'value' : 'key';
    else if (colon !== undefined && expected === 'colon') expected = 'value';
    else if (string !== undefined && (expected === 'key' || expected === 'key or close')) expected = 'colon';
    else if ((string !== undefined || scalar !== undefined) && wantsValue) expected = afterValue();
    else return start;
    offset = token.lastIndex;
  }
}
