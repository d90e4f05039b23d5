import { expect, it } from 'vitest';
import { narrowScopes, narrowTeams } from './narrow.ts';

const scopes: [string[], string[], string[]][] = [
  [['*'], ['task:read'], ['task:read']],
  [['task:read'], ['*'], ['task:read']],
  [['task:*'], ['task:read', 'run:read'], ['task:read']],
  [['task:read', 'run:write'], ['task:*'], ['task:read']],
  [['task:*'], ['task:*'], ['task:*']],
  [['task:read'], ['task:write'], []],
  [['*'], ['*'], ['*']],
  [[], ['*'], []],
];
it.each(scopes)('of %j, bound by %j, remain %j', (wanted, bound, left) => {
  expect(narrowScopes(wanted, bound)).toEqual(left);
});

const teams: [string[] | null, string[] | null, string[] | null][] = [
  [null, null, null],
  [null, ['a'], ['a']],
  [['a'], null, ['a']],
  [['a', 'b'], ['b', 'c'], ['b']],
  [['a'], ['b'], []],
];
it.each(teams)('of the teams %j, bound by %j, remain %j', (wanted, bound, left) => {
  expect(narrowTeams(wanted, bound)).toEqual(left);
});
