import { describe, expect, it } from 'vitest';
import { AppError, conflict, errorData, errorFrom, invalid, notFound } from './error.ts';

const full = new AppError('exhausted', 'The budget is used up.', {
  fix: 'Raise it.',
  issues: [{ path: 'tasks.0.id', message: 'is missing' }],
  details: { used: 3, by: ['a'] },
});

describe('an error', () => {
  it('is the same after it has crossed a thread or a wire', () => {
    for (const error of [
      full,
      invalid('No.'),
      conflict('No.', { fix: 'Wait.' }),
      notFound('task', 'x', 'maos task list'),
    ]) {
      const back = errorFrom(JSON.parse(JSON.stringify(errorData(error))));
      expect(back).toBeInstanceOf(AppError);
      expect(errorData(back)).toEqual(errorData(error));
    }
  });

  it('has no field that was not given', () => {
    expect(Object.keys(errorData(invalid('No.')))).toEqual(['code', 'message']);
  });

  it('that is a defect becomes internal, without its stack', () => {
    expect(errorData(new TypeError('x is not a function'))).toEqual({
      code: 'internal',
      message: 'x is not a function',
    });
    expect(errorData('text')).toEqual({ code: 'internal', message: 'text' });
    expect(errorData(undefined)).toEqual({ code: 'internal', message: 'undefined' });
    const back = errorFrom({ code: 'internal', message: 'x' });
    expect(back).not.toBeInstanceOf(AppError);
    expect(back.message).toBe('x');
  });

  it('of a missing thing names it', () => {
    expect(notFound('task', 'task_x', 'List them.')).toMatchObject({
      code: 'not_found',
      message: 'No task matches "task_x".',
      fix: 'List them.',
    });
  });
});
