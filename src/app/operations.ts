import { agentOps } from '../agents/contract.ts';
import { authOps } from '../auth/contract.ts';
import { oauthOps } from '../auth/oauth/contract.ts';
import { budgetOps } from '../budgets/contract.ts';
import type { Operation } from '../kernel/operation.ts';
import { policyOps } from '../policy/contract.ts';
import { approvalOps } from '../policy/approvals/contract.ts';
import { projectOps } from '../projects/contract.ts';
import { secretOps } from '../secrets/contract.ts';
import { taskOps } from '../tasks/contract.ts';
import { watchOps } from '../watch/contract.ts';
import { runOps } from '../workflows/contract.ts';
import { workspaceOps } from '../workspaces/contract.ts';

/** Every operation of this version, room by room. */
export const operations: readonly Operation[] = [
  runOps,
  taskOps,
  agentOps,
  workspaceOps,
  projectOps,
  secretOps,
  budgetOps,
  watchOps,
  authOps,
  oauthOps,
  policyOps,
  approvalOps,
].flatMap((room) => Object.values<Operation>(room));
