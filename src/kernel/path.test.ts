import { expect, it } from 'vitest';
import { absolutePath } from './path.ts';

it.each(['/', '/srv/work', '/srv/work/', '/srv/a b/ü', '/srv/..hidden/x.', `/${'x'.repeat(4_000)}`])(
  'takes %j',
  (path) => {
    expect(absolutePath.parse(path)).toBe(path);
  },
);

it.each([
  ['', /too small|expected/i],
  ['work', /from the root/],
  ['./work', /from the root/],
  ['~/work', /from the root/],
  ['/srv/../etc', /shortest form/],
  ['/srv/./work', /shortest form/],
  ['/srv//work', /shortest form/],
  ['/srv/work/..', /shortest form/],
  ['/srv/wo\0rk', /no path can hold/],
  ['/srv/\ud800', /no path can hold/],
  [`/${'x'.repeat(5_000)}`, /too big|4096/i],
])('refuses %j and says why', (path, told) => {
  expect(
    absolutePath
      .safeParse(path)
      .error?.issues.map((issue) => issue.message)
      .join('\n'),
  ).toMatch(told);
});
