import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import type { Reporter, TestModule } from 'vitest/node';

/** With MAOS_TEST_NO_SKIP=1 a skipped test is a failure: on the build machine everything a test needs is there. */
const noSkip: Reporter = {
  onTestRunEnd(modules: readonly TestModule[]) {
    const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')]);
    if (skipped.length === 0) return;
    process.stderr.write(
      `MAOS_TEST_NO_SKIP=1, but skipped:\n${skipped.map((test) => `  ${test.fullName}\n`).join('')}`,
    );
    process.exitCode = 1;
  },
};

const report = process.env['MAOS_TEST_REPORT'];

// `*.slow.test.ts`: crash and whole-system tests. Their time limit is long, because the machine may be slow; a test that
// fails should say what it waited for long before that.
export default defineConfig({
  test: {
    pool: 'forks',
    // Vitest would take one on a machine with two processors, though half of the time its tests wait for programs.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    allowOnly: false,
    reporters: [
      'default',
      ...(report === undefined ? [] : [['json', { outputFile: report }] satisfies [string, object]]),
      ...(process.env['MAOS_TEST_NO_SKIP'] === '1' ? [noSkip] : []),
    ],
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['src/**/*.test.ts'],
          exclude: ['src/**/*.slow.test.ts'],
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'slow',
          include: ['src/**/*.slow.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
