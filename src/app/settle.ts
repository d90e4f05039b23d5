import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Cancel, Clock } from '../kernel/clock.ts';

/** After a start, and after work. */
const restMs = { start: 1_000, work: 10_000 } as const;
/** The share of its time that a thread may have worked and still be called idle. */
const idle = 0.05;
/** How much a heap must have grown since it was last collected. */
const growth = 1.15;

/** What a thread's memory is to this class; in tests something else. */
export interface Heap {
  /** Bytes that are in use, garbage included. */
  size(): number;
  collect(): void;
  /** The share of its time that the thread has worked since this was last asked. */
  busy(): number;
}

/**
 * Gives back the memory that starting or a busy time took, once its thread has been idle for a while: half of the heap is
 * then room that young objects have left, and the engine would keep it. Without work there is no timer. A collection holds the
 * thread for 20 to 50 ms, so it waits for a real rest and for something to be won.
 */
export class Settler {
  readonly #clock: Clock;
  readonly #heap: Heap;
  #waiting: Cancel | undefined;
  #worked = false;
  #settled = 0;

  constructor(clock: Clock, heap: Heap = threadHeap()) {
    this.#clock = clock;
    this.#heap = heap;
    this.#wait(restMs.start);
  }

  /** There was work. */
  touch(): void {
    this.#worked = true;
    if (this.#waiting === undefined) this.#wait(restMs.work);
  }

  stop(): void {
    this.#waiting?.();
  }

  #wait(ms: number): void {
    this.#worked = false;
    this.#heap.busy();
    this.#waiting = this.#clock.after(ms, () => this.#look(ms));
  }

  #look(ms: number): void {
    if (this.#worked || this.#heap.busy() > idle) return this.#wait(ms);
    this.#waiting = undefined;
    if (this.#heap.size() < this.#settled * growth) return;
    this.#heap.collect();
    this.#settled = this.#heap.size();
  }
}

/** That of the thread that calls. */
function threadHeap(): Heap {
  let last = performance.eventLoopUtilization();
  return {
    size: () => getHeapStatistics().total_heap_size,
    collect: () => {
      setFlagsFromString('--expose-gc');
      const collect: unknown = runInNewContext('gc');
      if (typeof collect !== 'function') return;
      // The first frees what is dead; the second also the compiled code that only starting needed.
      for (let round = 0; round < 2; round += 1) collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    },
    busy: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
  };
}
