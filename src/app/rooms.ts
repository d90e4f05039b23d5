import type { Capabilities } from '../agents/runtime.ts';
import { agentHandlers } from '../agents/service.ts';
import { agentView } from '../agents/views.ts';
import { oauthHandlers } from '../auth/oauth/service.ts';
import { oauthView } from '../auth/oauth/views.ts';
import { authHandlers } from '../auth/service.ts';
import { authView } from '../auth/views.ts';
import { budgetHandlers } from '../budgets/service.ts';
import { budgetView } from '../budgets/views.ts';
import type { Handler, View } from '../kernel/handler.ts';
import { idempotencyView } from '../log/idempotency.ts';
import { policyHandlers } from '../policy/service.ts';
import { policyView } from '../policy/views.ts';
import { approvalHandlers } from '../policy/approvals/service.ts';
import { approvalView } from '../policy/approvals/views.ts';
import { projectHandlers } from '../projects/service.ts';
import { projectView } from '../projects/views.ts';
import { secretHandlers } from '../secrets/service.ts';
import { secretView } from '../secrets/views.ts';
import { Leases } from '../tasks/leases.ts';
import { taskHandlers } from '../tasks/service.ts';
import { taskView } from '../tasks/views.ts';
import { watchCommands } from '../watch/service.ts';
import { watchView } from '../watch/views.ts';
import { refuseRemoved } from '../workflows/rows.ts';
import { reserve } from './reserve.ts';
import { runHandlers } from '../workflows/service.ts';
import { runView } from '../workflows/views.ts';
import { workspaceHandlers } from '../workspaces/service.ts';
import { workspaceView } from '../workspaces/views.ts';

/** What the commands of all rooms need; plain data, so that it can be handed to the core thread. */
export interface RoomOptions {
  readonly capabilities: readonly (readonly [string, Capabilities])[];
  readonly transcripts: string;
}

/** The tables of all rooms, in the order in which an event reaches them. */
export const allViews: readonly View[] = [
  idempotencyView,
  authView,
  oauthView,
  policyView,
  projectView,
  secretView,
  workspaceView,
  agentView,
  budgetView,
  approvalView,
  taskView,
  runView,
  watchView,
];

/** Commands and queries of all rooms: everything that needs nothing but the log and the views. */
export function pureHandlers(options: RoomOptions): readonly Handler[] {
  return [
    ...authHandlers,
    ...oauthHandlers,
    ...policyHandlers,
    ...projectHandlers,
    ...secretHandlers,
    ...workspaceHandlers,
    ...approvalHandlers,
    ...agentHandlers({ runtimes: new Map(options.capabilities), transcripts: options.transcripts, reserve }),
    ...budgetHandlers,
    ...taskHandlers({ leases: new Leases(), refuseGone: refuseRemoved }),
    ...runHandlers,
    ...watchCommands,
  ];
}
