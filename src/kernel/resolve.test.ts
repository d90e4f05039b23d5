import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Database } from '../log/database.ts';
import { AppError } from './error.ts';
import { type IdTable, matchIds, resolveId } from './resolve.ts';

const ids: IdTable = { table: 'agent', column: 'id', prefix: 'agent', what: 'agent' };
const database = new Database(':memory:', { readOnly: false });

beforeAll(() => {
  database.exec('CREATE TABLE agent (id TEXT PRIMARY KEY)');
  for (const id of ['ab1', 'ab2', 'abc', 'cd1', 'cd12']) database.run('INSERT INTO agent VALUES (?)', `agent_${id}`);
  for (let i = 0; i < 9; i += 1) database.run('INSERT INTO agent VALUES (?)', `agent_x${i}`);
});
afterAll(() => database.close());

function refusal(text: string): AppError {
  try {
    resolveId(database, ids, text);
  } catch (error) {
    if (error instanceof AppError) return error;
  }
  throw new Error(`"${text}" was not refused.`);
}

describe('resolveId', () => {
  it.each([
    ['agent_ab1', 'agent_ab1'],
    ['ab1', 'agent_ab1'],
    ['agent_abc', 'agent_abc'],
    ['ABC', 'agent_abc'],
    [' cd12 ', 'agent_cd12'],
    ['cd1', 'agent_cd1'],
  ])('%s is %s', (text, id) => {
    expect(resolveId(database, ids, text)).toBe(id);
  });

  it('lists the candidates of an ambiguous beginning', () => {
    expect(refusal('ab')).toMatchObject({
      code: 'conflict',
      message: '"ab" fits several of them (agent): agent_ab1, agent_ab2, agent_abc.',
      details: { candidates: ['agent_ab1', 'agent_ab2', 'agent_abc'] },
    });
    expect(refusal('agent_x').message).toContain('agent_x4, ….');
    expect(matchIds(database, ids, 'x')).toHaveLength(6);
  });

  it('says what to do about an unknown one', () => {
    expect(refusal('zz')).toMatchObject({
      code: 'not_found',
      message: 'No agent matches "zz".',
      fix: 'List them (maos agent list) and use an id or the beginning of one.',
    });
    expect(refusal("%' OR 1=1 --").code).toBe('not_found');
  });
});
