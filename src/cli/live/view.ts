import type { Clock } from '../../kernel/clock.ts';
import type { LogRecord } from '../../kernel/event.ts';
import { timeOfDay } from '../moment.ts';
import type { Terminal } from '../terminal.ts';
import { fit, widthOf } from '../text.ts';
import { frame } from './frame.ts';
import { happening } from './lines.ts';
import { Screen } from './screen.ts';
import type { Tree } from './tree.ts';

/** Shows a run while it goes on. */
export interface View {
  /** The run as it is after a record (or before the first one). */
  show(tree: Tree, record?: LogRecord): void;
  /** Shows the last state for good. */
  close(): void;
}

/** A tree that is redrawn on a terminal, a line an event elsewhere. */
export function viewOf(out: Terminal, clock: Clock): View {
  return out.interactive ? new TreeView(out, clock) : new LineView(out);
}

/** At most ten times a second, and once a second while nothing happens but time passing. */
const fastest = 100;
const slowest = 1_000;

class TreeView implements View {
  readonly #out: Terminal;
  readonly #clock: Clock;
  readonly #screen: Screen;
  #tree: Tree | undefined;
  #drawnAt = 0;
  #cancel: () => void = () => undefined;
  #due = Number.POSITIVE_INFINITY;

  constructor(out: Terminal, clock: Clock) {
    this.#out = out;
    this.#clock = clock;
    this.#screen = new Screen(out);
  }

  show(tree: Tree): void {
    this.#tree = tree;
    this.#plan(fastest);
  }

  close(): void {
    this.#cancel();
    this.#draw(Number.POSITIVE_INFINITY);
    this.#screen.close();
    this.#tree = undefined;
  }

  #plan(after: number): void {
    const now = this.#clock.now();
    const due = Math.max(now, this.#drawnAt + after);
    if (due >= this.#due) return;
    this.#cancel();
    this.#due = due;
    this.#cancel = this.#clock.after(due - now, () => {
      this.#due = Number.POSITIVE_INFINITY;
      this.#draw(this.#out.height());
      this.#plan(slowest);
    });
  }

  #draw(height: number): void {
    if (this.#tree === undefined) return;
    const now = this.#clock.now();
    this.#drawnAt = now;
    const { unicode, style: paint } = this.#out;
    this.#screen.draw(frame(this.#tree, { width: this.#out.width(), height, now, unicode, paint }));
  }
}

class LineView implements View {
  readonly #out: Terminal;
  #last = '';

  constructor(out: Terminal) {
    this.#out = out;
  }

  show(tree: Tree, record?: LogRecord): void {
    const happened = record === undefined ? undefined : happening(tree, record);
    if (record === undefined || happened === undefined) return;
    const names = [tree.name, ...[...tree.rows.values()].map((row) => row.id)];
    const who = fit(happened.who, Math.max(...names.map(widthOf)));
    const line = `${who}  ${happened.what}`;
    // An agent may report the same action again and again.
    if (line !== this.#last) this.#out.lines([`${timeOfDay(record.at)}  ${line}`]);
    this.#last = line;
  }

  close(): void {
    this.#last = '';
  }
}

/** Shows nothing: for programs, which get the answer at the end. */
export const noView: View = { show: () => undefined, close: () => undefined };
