import { actorName } from '../../kernel/actor.ts';
import { AppError, conflict } from '../../kernel/error.ts';
import { command, type CommandContext, type Handler, query } from '../../kernel/handler.ts';
import type { ParsedOf } from '../../kernel/operation.ts';
import { approvalEvents, approvalOps } from './contract.ts';
import { isAgreed, needsFor } from './model.ts';
import {
  dueEntries,
  type Entry,
  entryAbout,
  entryAlways,
  findEntry,
  isUsed,
  listEntries,
  nextExpiry,
  openOf,
  shown,
  votesFor,
} from './views.ts';

/** How many entries one tick closes at most; the next is due at once then. */
const chunk = 500;

const ask = command(approvalOps.ask, (ctx, { quorum, answerWithinMs, ...asked }) => {
  const known = entryAbout(ctx.db, asked.subject) ?? entryAlways(ctx.db, asked.rule, asked.what);
  if (known !== undefined) return shown(known);
  const id = ctx.newId('approval');
  const expiresAt = answerWithinMs === null ? null : ctx.now + answerWithinMs;
  const needs = needsFor(asked.risk, quorum);
  // A plan may come from an agent, which would otherwise agree to what its own plan does.
  const person = needs.person || asked.standing;
  ctx.emit(approvalEvents.requested, id, { ...asked, needs: { ...needs, person }, expiresAt });
  return shown(findEntry(ctx.db, id));
});

/** Refuses an answer that comes too late: whoever asked has been told. */
function refuseAnswered({ id, state, standing }: Entry, turns: boolean): void {
  if (state === 'open' || (turns && standing && state !== 'approved')) return;
  throw conflict(`${id} was answered before (${state}).`, { fix: 'maos approval list --state open shows what waits.' });
}

function refuseVote({ actor }: CommandContext, found: Entry, said: { always: boolean; alone: boolean }): void {
  if (actor.kind === 'agent' && (found.agent === actor.id || found.actor === actorName(actor))) {
    throw new AppError('forbidden', `${actorName(actor)} asks for ${found.id} itself, so others have to agree.`, {
      fix: 'Ask another agent or a person.',
    });
  }
  if (actor.kind === 'user') return;
  if (said.always || said.alone)
    throw new AppError('forbidden', 'Only a person can say "always" or decide alone.', { fix: 'Leave it out.' });
  if (actor.kind === 'system')
    throw new AppError('forbidden', 'MAOS itself agrees to nothing.', { fix: 'Ask a person.' });
}

function agree(ctx: CommandContext, text: string, said: { always: boolean; alone: boolean }): Entry {
  const found = findEntry(ctx.db, text);
  refuseAnswered(found, true);
  refuseVote(ctx, found, said);
  const again = found.agreed.includes(actorName(ctx.actor));
  if (!again || said.always || said.alone) ctx.emit(approvalEvents.agreed, found.id, said);
  const votes = votesFor(ctx.db, found.id);
  if (isAgreed(found.needs, votes))
    ctx.emit(approvalEvents.approved, found.id, { always: votes.some(({ always }) => always) });
  return findEntry(ctx.db, found.id);
}

const approve = command(approvalOps.approve, (ctx, { approvals, always, alone }) => ({
  approvals: approvals.map((text) => shown(agree(ctx, text, { always, alone }))),
}));

const deny = command(approvalOps.deny, (ctx, { approvals, reason }) => ({
  approvals: approvals.map((text) => {
    const found = findEntry(ctx.db, text);
    refuseAnswered(found, false);
    ctx.emit(approvalEvents.denied, found.id, { reason });
    return shown(findEntry(ctx.db, found.id));
  }),
}));

const revoke = command(approvalOps.revoke, (ctx, input) => {
  const found = findEntry(ctx.db, input.approval);
  if (found.always) ctx.emit(approvalEvents.revoked, found.id, {});
  return shown(findEntry(ctx.db, found.id));
});

/** Two that were approved once cannot both go on: the second finds it used. */
const use = command(approvalOps.use, (ctx, input) => {
  const found = findEntry(ctx.db, input.approval);
  if (found.always) return shown(found);
  if (found.state !== 'approved' || isUsed(ctx.db, found.id)) {
    throw conflict(`${found.id} gives no permission (any more).`, { fix: 'Call again, and it is asked again.' });
  }
  ctx.emit(approvalEvents.used, found.id, {});
  return shown(found);
});

/** What is standing belongs to a task, which another agent may take up. */
function lapse(ctx: CommandContext, { agent, reason }: ParsedOf<typeof approvalOps.lapse>) {
  const left = openOf(ctx.db, agent).filter(({ standing }) => !standing);
  for (const { id } of left) ctx.emit(approvalEvents.expired, id, { reason });
  return { approvals: left.map(({ id }) => shown(findEntry(ctx.db, id))) };
}

const tick = command(approvalOps.tick, (ctx) => {
  const due = dueEntries(ctx.db, ctx.now, chunk);
  for (const id of due) ctx.emit(approvalEvents.expired, id, { reason: 'Nobody answered in time.' });
  return { expired: due.length, nextAt: nextExpiry(ctx.db) };
});

/** Commands and queries of the inbox. */
export const approvalHandlers: readonly Handler[] = [
  ask,
  approve,
  deny,
  revoke,
  use,
  command(approvalOps.lapse, lapse),
  tick,
  query(approvalOps.get, (ctx, input) => shown(findEntry(ctx.db, input.approval))),
  query(approvalOps.list, (ctx, filter) => ({ approvals: listEntries(ctx.db, filter).map(shown) })),
];
