import type { Runtime } from '../agents/runtime.ts';
import { claudeRuntime } from './claude/claude.ts';
import { commandRuntime } from './command/command.ts';
import { fakeRuntime } from './fake/fake.ts';

/** Every runtime of this version, by the name that plans and agents use. */
export const runtimes: ReadonlyMap<string, Runtime> = new Map(
  [commandRuntime, fakeRuntime, claudeRuntime].map((runtime) => [runtime.name, runtime]),
);
