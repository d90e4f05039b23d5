import { describe, expect, it } from 'vitest';
import { AppError } from '../kernel/error.ts';
import { parseArgv, type Grammar } from './argv.ts';

const grammar: Grammar = {
  positionals: ['task', 'reason'],
  flags: [
    { key: 'task', kind: 'text', required: true, describe: 'The task.' },
    { key: 'reason', kind: 'text' },
    { key: 'maxTries', kind: 'number', short: 'n' },
    { key: 'force', kind: 'boolean', short: 'f' },
    { key: 'state', kind: 'list', item: 'choice', choices: ['queued', 'done'] },
    { key: 'mode', kind: 'choice', choices: ['fast', 'slow'] },
    { key: 'labels', kind: 'list', item: 'text' },
    { key: 'claims', kind: 'list', item: 'json' },
    { key: 'payload', kind: 'json' },
    { key: 'assignee', kind: 'text', nullable: true },
  ],
};
const files = (path: string): string => (path === 'data.json' ? '{"a":[1]}' : '[]');
const parse = (...argv: string[]): unknown => parseArgv(grammar, argv, files).values;
const refusal = (...argv: string[]): AppError => {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('It was not refused.');
};

describe('a shell line', () => {
  it.each<[string[], object]>([
    [['t1'], { task: 't1' }],
    [['t1', 'too slow'], { task: 't1', reason: 'too slow' }],
    [['--task', 't1', 'why'], { task: 't1', reason: 'why' }],
    [['--task=t1'], { task: 't1' }],
    [['--reason', '-', 't1'], { task: 't1', reason: '-' }],
    [['--', '--t1'], { task: '--t1' }],
    [['t1', '--max-tries', '3'], { task: 't1', maxTries: 3 }],
    [['t1', '-n', '-1.5e3'], { task: 't1', maxTries: -1500 }],
    [['t1', '--max_tries=3'], { task: 't1', maxTries: 3 }],
    [['t1', '--force'], { task: 't1', force: true }],
    [['-f', 't1'], { task: 't1', force: true }],
    [['t1', '--no-force'], { task: 't1', force: false }],
    [['t1', '--force=false'], { task: 't1', force: false }],
    [['t1', '--no-force=true'], { task: 't1', force: false }],
    [['t1', '--state', 'queued,done'], { task: 't1', state: ['queued', 'done'] }],
    [['t1', '--state', 'queued', '--state', 'done'], { task: 't1', state: ['queued', 'done'] }],
    [['t1', '--labels', 'a,b', '--labels', 'c'], { task: 't1', labels: ['a', 'b', 'c'] }],
    [['t1', '--labels', 'echo a, b'], { task: 't1', labels: ['echo a, b'] }],
    [['t1', '--labels', '["a,b"]'], { task: 't1', labels: ['a,b'] }],
    [['t1', '--claims', '{"task":"x"}'], { task: 't1', claims: [{ task: 'x' }] }],
    [['t1', '--payload', '{"a":{"b":1}}'], { task: 't1', payload: { a: { b: 1 } } }],
    [['t1', '--payload', '@data.json'], { task: 't1', payload: { a: [1] } }],
    [['t1', '--payload', 'a=1', '--payload', 'b=x=y'], { task: 't1', payload: { a: '1', b: 'x=y' } }],
    [['t1', '--mode', 'fast'], { task: 't1', mode: 'fast' }],
    [['t1', '--assignee', 'null'], { task: 't1', assignee: null }],
    [['null'], { task: 'null' }],
  ])('%j', (argv, values) => {
    expect(parse(...argv)).toEqual(values);
  });

  it.each<[string[], RegExp, RegExp]>([
    [[], /TASK is missing/, /The task\./],
    [['a', 'b', 'c'], /"c" is one value too many/, /quotes/],
    [['a', '--forse'], /There is no option --forse/, /Did you mean --force/],
    [['a', '--qqqqqqqq'], /There is no option/, /--help/],
    [['a', '--max-tries'], /needs a value/, /--max-tries N/],
    [['a', '--max-tries', 'many'], /takes a number, not "many"/, /./],
    [['a', '--mode', 'fst'], /does not take "fst"/, /Did you mean "fast"\? It takes fast, slow/],
    [['a', '--state', 'queued,dne'], /does not take "dne"/, /Did you mean "done"/],
    [['a', '--force=perhaps'], /true or false/, /./],
    [['a', '--payload', '{a}'], /takes JSON/, /@file\.json/],
    [['a', '--mode', 'fast', '--mode', 'slow'], /given twice/, /once/],
  ])('refuses %j', (argv, message, fix) => {
    const error = refusal(...argv);
    expect(error.code).toBe('invalid');
    expect(error.message).toMatch(message);
    expect(error.fix ?? '.').toMatch(fix);
  });
});
