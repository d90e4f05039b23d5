import { expect, test } from 'vitest';
import { KeyedMutex } from './mutex.ts';

test('tasks of one key run one after the other, other keys run meanwhile', async () => {
  const mutex = new KeyedMutex();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = mutex.run('a', async () => {
    order.push('a1 starts');
    await gate.promise;
    order.push('a1 ends');
  });
  const second = mutex.run('a', async () => {
    order.push('a2');
  });
  await mutex.run('b', async () => {
    order.push('b');
  });
  gate.resolve();
  await Promise.all([first, second]);
  expect(order).toEqual(['a1 starts', 'b', 'a1 ends', 'a2']);
});

test('a task that fails does not stop the next, and nothing is kept', async () => {
  const mutex = new KeyedMutex();
  const failing = mutex.run('a', async () => {
    throw new Error('broken');
  });
  const next = mutex.run('a', async () => 'fine');
  await expect(failing).rejects.toThrow('broken');
  await expect(next).resolves.toBe('fine');
  await new Promise(setImmediate);
  expect(mutex.size).toBe(0);
});
