import { describe, expect, it } from 'vitest';
import { nearest } from './nearest.ts';

const commands = ['status', 'stop', 'start', 'task.create', 'task.claim', 'up'];

describe('the nearest word', () => {
  it.each([
    ['statsu', 'status'],
    ['STATUS', 'status'],
    ['task.craete', 'task.create'],
    ['tsak.claim', 'task.claim'],
    ['stp', 'stop'],
    ['u', 'up'],
    ['status', 'status'],
  ])('to %s is %s', (word, meant) => {
    expect(nearest(word, commands)).toBe(meant);
  });

  it.each(['frobnicate', 'xyz', '', 'st'])('to %j is none', (word) => {
    expect(
      nearest(
        word,
        commands.filter((command) => command !== 'up'),
      ),
    ).toBeUndefined();
  });

  it('to one as long as a request is none, and is not sought letter by letter', () => {
    const many = Array.from({ length: 1_000 }, (_, index) => `a command that is called ${index}`);
    expect(nearest('x'.repeat(1_000_000), many)).toBeUndefined();
  });

  it('is none without candidates', () => {
    expect(nearest('status', [])).toBeUndefined();
  });
});
