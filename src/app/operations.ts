import { agentOps } from '../agents/contract.ts';
import type { Operation } from '../kernel/operation.ts';
import { projectOps } from '../projects/contract.ts';
import { taskOps } from '../tasks/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { runOps } from '../workflows/contract.ts';
import { workspaceOps } from '../workspaces/contract.ts';

/** Every operation of this version, room by room. */
export const operations: readonly Operation[] = [runOps, taskOps, agentOps, workspaceOps, projectOps, watchOps].flatMap(
  (room) => Object.values<Operation>(room),
);
