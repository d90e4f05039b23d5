import { expect, it } from 'vitest';
import { Lanes, type Source } from './lanes.ts';

const stranger = (key: string): Source => ({ key, known: false });

/** Work that ends when it is told to, and what was begun, in order. */
function lanes(limits = { lanes: 1, most: 8, perSource: 3 }) {
  const place = new Lanes(limits);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const run = (source: Source): Promise<unknown> =>
    place.run(source, () => {
      begun.push(source.key);
      return new Promise<void>((resolve) => ends.push(resolve));
    });
  const endAll = async (): Promise<string[]> => {
    for (let end = ends.shift(); end !== undefined; end = ends.shift()) {
      end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return begun;
  };
  return { place, run, endAll };
}

it('sources take turns, and who has shown a credential comes first', async () => {
  const { run, endAll } = lanes();
  for (const key of ['a', 'a', 'a', 'a', 'b', 'c', 'b']) void run(stranger(key));
  void run({ key: 'login_1', known: true });
  expect(await endAll()).toEqual(['a', 'login_1', 'a', 'b', 'c', 'a', 'b', 'a']);
});

it('who would wait too long is refused and told when to come again; one source does not take all places', async () => {
  const { run, endAll, place } = lanes();
  for (let times = 0; times < 4; times += 1) void run(stranger('a'));
  await expect(run(stranger('a'))).rejects.toMatchObject({ code: 'exhausted', details: { retryAfterMs: 2_000 } });
  for (const key of ['b', 'c', 'd', 'e', 'f']) void run(stranger(key));
  await expect(run(stranger('g'))).rejects.toMatchObject({ code: 'exhausted' });
  // Those who have shown a credential wait in places of their own.
  place.refuseCrowd({ key: 'login_1', known: true });
  expect(await endAll()).toHaveLength(9);
  await Promise.all([run(stranger('g')), endAll()]);
});

it('what fails gives its place back', async () => {
  const { place } = lanes();
  const fail = (): Promise<never> => place.run(stranger('a'), () => Promise.reject(new Error('It failed.')));
  await expect(fail()).rejects.toThrow('It failed.');
  await expect(fail()).rejects.toThrow('It failed.');
  expect(await place.run(stranger('a'), async () => 'done')).toBe('done');
});
