import type { Terminal } from '../terminal.ts';
import { widthOf } from '../text.ts';

const escape = String.fromCharCode(27);
const sequence = new RegExp(`${escape}\\[[0-9;?]*[a-zA-Z]`, 'g');

/**
 * Redraws some lines at the end of a terminal. Only lines that changed are written, and all of a frame goes out in one
 * write, so nothing flickers; the lines stay when it is closed.
 */
export class Screen {
  readonly #terminal: Terminal;
  #shown: readonly string[] = [];
  #width: number;
  #open = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#width = terminal.width();
  }

  draw(lines: readonly string[]): void {
    const width = this.#terminal.width();
    const start = this.#open ? '' : `${escape}[?25l${escape}[?7l`;
    this.#open = true;
    const text = width === this.#width ? this.#changes(lines) : this.#afresh(lines, width);
    this.#shown = lines;
    this.#width = width;
    if (text !== '' || start !== '') this.#terminal.write(`${escape}[?2026h${start}${text}${escape}[?2026l`);
  }

  /** Gives the cursor back, below the last line. */
  close(): void {
    if (this.#open) this.#terminal.write(`${escape}[?25h${escape}[?7h`);
    this.#open = false;
    this.#shown = [];
  }

  #changes(lines: readonly string[]): string {
    if (lines.length === this.#shown.length && lines.every((line, index) => line === this.#shown[index])) return '';
    const up = this.#shown.length === 0 ? '' : `${escape}[${this.#shown.length}F`;
    const body = lines.map((line, index) => (line === this.#shown[index] ? '\n' : `${escape}[2K${line}\n`)).join('');
    // What is left of a longer frame goes.
    return `${up}${body}${lines.length < this.#shown.length ? `${escape}[J` : ''}`;
  }

  /** After a change of width the terminal may have broken our lines into several. */
  #afresh(lines: readonly string[], width: number): string {
    const rows = this.#shown.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(widthOf(line.replace(sequence, '')) / width)),
      0,
    );
    const up = rows === 0 ? '\r' : `${escape}[${rows}F`;
    return `${up}${escape}[J${lines.map((line) => `${line}\n`).join('')}`;
  }
}
