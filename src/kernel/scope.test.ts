import { describe, expect, it } from 'vitest';
import { Scope } from './scope.ts';

/** Notes what was closed, in order. */
function notes(): { closed: string[]; closes: (name: string) => () => void } {
  const closed: string[] = [];
  return { closed, closes: (name) => () => void closed.push(name) };
}

describe('closing a scope', () => {
  it('runs cleanups one after the other, the last one first, once', async () => {
    const { closed, closes } = notes();
    const scope = new Scope();
    scope.defer(closes('first'));
    scope.defer(async () => {
      closed.push('second begins');
      await Promise.resolve();
      closed.push('second ends');
    });
    scope.defer(closes('third'));
    await Promise.all([scope.close(), scope.close()]);
    await scope.close();
    expect(closed).toEqual(['third', 'second begins', 'second ends', 'first']);
  });

  it('aborts its signal and those of its children before any cleanup', async () => {
    const scope = new Scope();
    const grandchild = scope.child().child();
    let aborted: boolean[] = [];
    scope.defer(() => {
      aborted = [scope.closed, scope.signal.aborted, grandchild.signal.aborted];
    });
    await scope.close();
    expect(aborted).toEqual([true, true, true]);
  });

  it('closes its children in their turn', async () => {
    const { closed, closes } = notes();
    const scope = new Scope();
    scope.defer(closes('before'));
    const child = scope.child();
    child.defer(closes('child'));
    scope.defer(closes('after'));
    await scope.close();
    expect(closed).toEqual(['after', 'child', 'before']);
  });

  it('runs every cleanup even if some throw, and tells all that was thrown', async () => {
    const { closed, closes } = notes();
    const scope = new Scope();
    scope.defer(closes('last'));
    scope.defer(() => {
      throw new Error('one');
    });
    scope.defer(() => Promise.reject(new Error('two')));
    await expect(scope.close()).rejects.toMatchObject({ errors: [new Error('two'), new Error('one')] });
    expect(closed).toEqual(['last']);
  });

  it('waits for what is registered while it closes', async () => {
    const { closed, closes } = notes();
    const scope = new Scope();
    scope.defer(() => {
      scope.defer(closes('late'));
      scope.child().defer(closes('late child'));
      closed.push('first');
    });
    await scope.close();
    expect(closed).toEqual(['first', 'late child', 'late']);
  });

  it('runs at once what is registered on a closed scope', async () => {
    const { closed, closes } = notes();
    const scope = new Scope();
    await scope.close();
    scope.defer(closes('too late'));
    const child = scope.child();
    expect(child.closed).toBe(true);
    expect(closed).toEqual(['too late']);
  });

  it('leaves the parent open when a child closes, and closes that child no second time', async () => {
    const { closed, closes } = notes();
    const scope = new Scope();
    const child = scope.child();
    child.defer(closes('child'));
    await child.close();
    expect(scope.closed).toBe(false);
    await scope.close();
    expect(closed).toEqual(['child']);
  });
});
