import { conflict } from '../kernel/error.ts';
import { command, type CommandContext, type Handler } from '../kernel/handler.ts';
import { canonicalJson } from '../kernel/hash.ts';
import { agentEvents, agentOps, type Session } from './contract.ts';
import { checkGeneration } from './model.ts';
import { type AgentHead, resolveAgent, sessionAt } from './roster.ts';

/**
 * What the runner reports. A report is believed only from the newest generation; the same report again changes nothing,
 * so a runner whose call was cut off may repeat it.
 */
function reporter(ctx: CommandContext, text: string, generation: number): { agent: AgentHead; session: Session } {
  const agent = resolveAgent(ctx.db, text);
  checkGeneration(agent, generation);
  const session = sessionAt(ctx.db, agent.id, generation);
  if (session === undefined) throw conflict(`Agent ${agent.id} has no session ${generation}.`);
  return { agent, session };
}

function refuseEnded(session: Session): void {
  if (session.state !== 'ended') return;
  throw conflict(`Session ${session.generation} of agent ${session.agent} has ended.`, {
    fix: 'End this process; its work is not wanted any more.',
  });
}

const same = (a: unknown, b: unknown): boolean => canonicalJson(a ?? null) === canonicalJson(b ?? null);

export const reportHandlers: readonly Handler[] = [
  command(agentOps.reportStarted, (ctx, { agent: text, ...report }) => {
    const { agent, session } = reporter(ctx, text, report.generation);
    refuseEnded(session);
    if (session.state === 'running') {
      if (session.pid !== report.pid || session.startTime !== report.startTime) {
        throw conflict(
          `Session ${session.generation} of agent ${agent.id} runs as process ${session.pid}, not ${report.pid}.`,
          {
            fix: 'End the second process.',
          },
        );
      }
      // An adoption is worth a record of its own: it says that a server had died and that the agent went on.
      if (!report.adopted) return {};
    }
    ctx.emit(agentEvents.started, agent.id, report);
    return {};
  }),
  command(agentOps.reportObserved, (ctx, { agent: text, ...report }) => {
    const { agent, session } = reporter(ctx, text, report.generation);
    refuseEnded(session);
    const news =
      (report.providerSession !== null && report.providerSession !== session.providerSession) ||
      (report.action !== null && report.action !== session.lastAction) ||
      (report.usage !== null && !same(report.usage, session.usage)) ||
      (agent.state === 'running' && report.waiting !== agent.reason);
    if (report.offset < session.offset || (report.offset === session.offset && !news)) return {};
    ctx.emit(agentEvents.observed, agent.id, report);
    return {};
  }),
  command(agentOps.reportEnded, (ctx, { agent: text, ...report }) => {
    const { agent, session } = reporter(ctx, text, report.generation);
    const { outcome } = report;
    const settled = outcome.kind === 'succeeded' ? { ...outcome, structured: outcome.structured ?? null } : outcome;
    if (session.state === 'ended') {
      if (report.offset === session.offset && report.exit === session.exit && same(settled, session.outcome)) return {};
      throw conflict(`Session ${session.generation} of agent ${agent.id} has already ended, with ${session.exit}.`, {
        fix: 'Keep the first report.',
      });
    }
    ctx.emit(agentEvents.ended, agent.id, { ...report, outcome: settled });
    return {};
  }),
];
