import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openTestCore } from './core.fixture.ts';
import { Simulation, step } from './history.fixture.ts';
import { Leases } from './leases.ts';
import { taskHandlers } from './service.ts';
import { taskView } from './views.ts';

describe('random histories', () => {
  it('are what a simple model says, and a rebuild from the log gives the same rows', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 60, maxLength: 120 }), (steps) => {
        const core = openTestCore([taskView], taskHandlers({ leases: new Leases() }));
        try {
          const simulation = new Simulation(core);
          for (const one of steps) simulation.run(one);
          const before = core.dump();
          core.rebuild();
          expect(core.dump()).toEqual(before);
        } finally {
          core.close();
        }
      }),
      { numRuns: 80 },
    );
  });
});
