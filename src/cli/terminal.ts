/** What is needed of `process.stdout`. */
export interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  on?(event: 'error', listener: (error: Error) => void): unknown;
}

type Environment = Readonly<Record<string, string | undefined>>;

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 } as const;
export type Style = keyof typeof codes;

/** Where the shell's answers go: what it can show, and how wide it is now. */
export interface Terminal {
  /** Writes text as it is. */
  write(text: string): void;
  /** Writes lines, each with a line end. */
  lines(lines: readonly string[]): void;
  /** A person looks at it and it can be redrawn. */
  readonly interactive: boolean;
  readonly color: boolean;
  readonly unicode: boolean;
  /** Columns now; without a terminal there is no limit. */
  width(): number;
  height(): number;
  readonly style: Paint;
}

/** Text in a style, or plain. */
export type Paint = (style: Style | undefined, text: string) => string;

export const noPaint: Paint = (_style, text) => text;

const escape = String.fromCharCode(27);

/** Paints with the escape sequences that every terminal knows. */
export const ansiPaint: Paint = (style, text) =>
  style === undefined || text === '' ? text : `${escape}[${codes[style]}m${text}${escape}[0m`;

/** The terminal behind a stream. NO_COLOR and FORCE_COLOR count; TERM=dumb takes redrawing and colour away. */
export function terminalOf(stream: Stream, env: Environment): Terminal {
  const tty = stream.isTTY === true;
  const interactive = tty && env['TERM'] !== 'dumb';
  const color = wantsColor(env, interactive);
  const paint = color ? ansiPaint : noPaint;
  return {
    write: (text) => void stream.write(text),
    lines: (lines) => void (lines.length > 0 && stream.write(`${lines.join('\n')}\n`)),
    interactive,
    color,
    unicode: /utf-?8/i.test(env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''),
    width: () => (tty ? Math.max(20, stream.columns ?? 80) : Number.POSITIVE_INFINITY),
    height: () => (tty ? Math.max(4, stream.rows ?? 24) : Number.POSITIVE_INFINITY),
    style: paint,
  };
}

function wantsColor(env: Environment, interactive: boolean): boolean {
  const { NO_COLOR: no = '', FORCE_COLOR: force = '' } = env;
  if (force !== '') return force !== '0' && force !== 'false';
  return no === '' && interactive;
}
