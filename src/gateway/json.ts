/**
 * JSON from outside. One thread answers everybody, so what a text makes of it is bounded before it is parsed: V8 takes up to a
 * microsecond for each field with a name of its own, and whatever looks at the value after it takes more.
 */
import { type AppError, invalid } from '../kernel/error.ts';

/** Deeper than any input of ours, and far from what overflows a stack further in. */
const deepest = 64;
/** More than the largest batch needs; so many are parsed in less than 20 ms. */
const mostFields = 25_000;
const mostValues = 100_000;

/** Parses JSON from outside. Refuses what is malformed, with line and column, and what is nested too deep or holds too much. */
export function parseJson(text: string, what: string): unknown {
  survey(text, what);
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    const offset = firstFault(text);
    const { line, column } = placeOf(text, offset);
    const found =
      offset >= text.length ? 'it ends too early' : `unexpected ${JSON.stringify(text.slice(offset, offset + 10))}`;
    const reason = error instanceof SyntaxError ? found : String(error);
    throw invalid(`${what} is not JSON: ${reason} at line ${line}, column ${column}.`, {
      fix: 'Send one JSON value; strings and field names stand in double quotes, and there are no trailing commas.',
      details: { position: offset, line, column },
    });
  }
}

function placeOf(text: string, offset: number): { line: number; column: number } {
  let line = 1;
  let start = 0;
  for (let index = 0; index < offset; index += 1) {
    if (text.charCodeAt(index) !== newline) continue;
    line += 1;
    start = index + 1;
  }
  return { line, column: offset - start + 1 };
}

const newline = 10;
const quote = 34;
const comma = 44;
const colon = 58;
const openList = 91;
const backslash = 92;
const closeList = 93;
const openObject = 123;
const closeObject = 125;

/** Looks once over the text, well-formed or not, and refuses what would take long. */
function survey(text: string, what: string): void {
  let depth = 0;
  let fields = 0;
  let values = 0;
  for (let index = 0; index < text.length; index += 1) {
    const char = text.charCodeAt(index);
    if (char === quote) index = afterString(text, index) - 1;
    else if (char === openList || char === openObject) {
      values += 1;
      depth += 1;
      if (depth > deepest) {
        throw tooMuch(`${what} is nested deeper than ${deepest} levels.`, 'Send flatter data.', index);
      }
    } else if (char === closeList || char === closeObject) depth -= 1;
    else if (char === comma) values += 1;
    else if (char === colon) fields += 1;
    if (fields > mostFields || values > mostValues) {
      const most = fields > mostFields ? `${mostFields} fields` : `${mostValues} values`;
      throw tooMuch(`${what} holds more than ${most}.`, 'Send it in several calls.', index);
    }
  }
}

function tooMuch(message: string, fix: string, position: number): AppError {
  return invalid(message, { fix, details: { position } });
}

/** Where the string that begins at `start` is over, whatever stands in it. */
function afterString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index += 1) {
    const char = text.charCodeAt(index);
    if (char === quote) return index + 1;
    if (char === backslash) index += 1;
  }
  return text.length + 1;
}

const escape = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|true\b|false\b|null\b/y;

/** Where the string, number or word that begins at `start` is over; -1 when it is none. */
function afterScalar(text: string, start: number): number {
  if (text.charCodeAt(start) !== quote) {
    scalar.lastIndex = start;
    return scalar.test(text) ? scalar.lastIndex : -1;
  }
  for (let index = start + 1; index < text.length; index += 1) {
    const char = text.charCodeAt(index);
    if (char === quote) return index + 1;
    if (char < 32) return -1;
    if (char !== backslash) continue;
    escape.lastIndex = index;
    if (!escape.test(text)) return -1;
    index = escape.lastIndex - 1;
  }
  return -1;
}

/** What may come next inside the innermost bracket. */
type Expected = 'value' | 'value or close' | 'key' | 'key or close' | 'colon' | 'comma or close' | 'end';

/** Where malformed JSON stops being JSON. V8 knows, but tells it only in some of its messages. */
function firstFault(text: string): number {
  const lists: boolean[] = [];
  let expected: Expected = 'value';
  const afterValue = (): Expected => (lists.length === 0 ? 'end' : 'comma or close');
  for (let index = 0; ; index += 1) {
    const char = text.charCodeAt(index);
    if (char === 32 || char === 9 || char === 10 || char === 13) continue;
    const wantsValue = expected === 'value' || expected === 'value or close';
    const wantsKey: boolean = expected === 'key' || expected === 'key or close';
    const wantsClose = expected === 'value or close' || expected === 'key or close' || expected === 'comma or close';
    const inList = lists.at(-1) === true;
    if ((char === openList || char === openObject) && wantsValue) {
      lists.push(char === openList);
      expected = char === openList ? 'value or close' : 'key or close';
    } else if (wantsClose && lists.length > 0 && char === (inList ? closeList : closeObject)) {
      lists.pop();
      expected = afterValue();
    } else if (char === comma && expected === 'comma or close') expected = inList ? 'value' : 'key';
    else if (char === colon && expected === 'colon') expected = 'value';
    else if (wantsValue || (wantsKey && char === quote)) {
      const after = afterScalar(text, index);
      if (after === -1) return index;
      index = after - 1;
      expected = wantsKey ? 'colon' : afterValue();
    } else return index;
  }
}
