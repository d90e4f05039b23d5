import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import { type Heap, Settler } from './settle.ts';

class FakeHeap implements Heap {
  bytes = 100;
  kept = 60;
  load = 0;
  collections = 0;
  size = (): number => this.bytes;
  busy = (): number => this.load;
  collect = (): void => {
    this.collections += 1;
    this.bytes = this.kept;
  };
}

function start() {
  const [clock, heap] = [new ManualClock(), new FakeHeap()];
  return { clock, heap, settler: new Settler(clock, heap) };
}

describe('memory is given back', () => {
  it('a second after a start that has ended', () => {
    const { clock, heap } = start();
    heap.load = 0.5;
    clock.advance(3_000);
    expect(heap.collections).toBe(0);
    heap.load = 0;
    clock.advance(1_000);
    expect([heap.collections, heap.bytes]).toEqual([1, 60]);
    clock.advance(3_600_000);
    expect(heap.collections).toBe(1);
  });

  it('ten seconds after the last work, never while there is some', () => {
    const { clock, heap, settler } = start();
    clock.advance(1_000);
    heap.bytes = 200;
    for (let second = 0; second < 60; second += 1) {
      settler.touch();
      clock.advance(1_000);
    }
    expect(heap.collections).toBe(1);
    clock.advance(20_000);
    expect([heap.collections, heap.bytes]).toEqual([2, 60]);
  });

  it('not when there is little to win', () => {
    const { clock, heap, settler } = start();
    clock.advance(1_000);
    heap.bytes = 65;
    settler.touch();
    clock.advance(60_000);
    expect(heap.collections).toBe(1);
  });

  it('with nothing to do there is no timer, and none after the stop', () => {
    const { clock, heap, settler } = start();
    clock.advance(1_000);
    heap.load = 1;
    heap.bytes = 500;
    clock.advance(60_000);
    heap.load = 0;
    clock.advance(60_000);
    expect(heap.collections).toBe(1);
    settler.touch();
    settler.stop();
    clock.advance(60_000);
    expect(heap.collections).toBe(1);
  });
});
