import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { TaskClock } from './clock.ts';
import { taskOps as ops } from './contract.ts';
import { openTestCore, type TestCore } from './core.fixture.ts';
import { Leases } from './leases.ts';
import { taskHandlers } from './service.ts';
import { taskView } from './views.ts';

let core: TestCore;
beforeEach(() => (core = openTestCore([taskView], taskHandlers({ leases: new Leases() }))));
afterEach(() => core.close());

it('takes nothing from its own process, however late the machine lets it look, and all that others have left', async () => {
  const [own, left] = ['own', 'left'].map((worker) => {
    const { id } = core.call(ops.create, { title: worker });
    const { fence } = core.call(ops.claim, { worker, task: id }).task ?? { fence: 0 };
    return { task: id, fence };
  });
  if (own === undefined || left === undefined) throw new Error('There are two.');
  const onFailure = vi.fn<(error: unknown) => void>();
  const clock = new TaskClock({
    call: async (operation, input) => core.call(operation, input),
    clock: core.clock,
    renew: async () => void core.call(ops.heartbeat, { claims: [own] }),
    onFailure,
  });
  // Nobody had time for a heartbeat.
  core.clock.advance(40_000);
  clock.start();
  core.clock.advance(0);
  await vi.waitFor(() => expect(core.call(ops.get, { task: left.task }).state).toBe('queued'));
  expect(core.call(ops.get, { task: own.task }).state).toBe('claimed');
  expect(onFailure).not.toHaveBeenCalled();
  clock.stop();
});
