import { actorName } from '../../kernel/actor.ts';
import { AppError, conflict } from '../../kernel/error.ts';
import { command, type CommandContext, type Handler, query } from '../../kernel/handler.ts';
import type { ParsedOf } from '../../kernel/operation.ts';
import { approvalEvents, approvalOps } from './contract.ts';
import { isAgreed, needsFor, restMs } from './model.ts';
import {
  countOpen,
  dueEntries,
  type Entry,
  entryAbout,
  entryAlways,
  entryOfKey,
  findEntry,
  listEntries,
  nextExpiry,
  openOf,
  refusalsOf,
  shown,
  votesFor,
} from './views.ts';

/** How many entries one tick closes at most; the next is due at once then. */
const chunk = 500;

/** How much of one who asks, and of all together, may wait: an inbox that nobody can read through protects nobody. */
const mostOfOne = 50;
const mostOfAll = 5_000;

type Asked = Omit<ParsedOf<typeof approvalOps.ask>, 'quorum' | 'answerWithinMs'>;

const ask = command(approvalOps.ask, (ctx, { quorum, answerWithinMs, ...given }) => {
  const known = knownEntry(ctx, given);
  if (known !== undefined) return shown(known);
  const { again: _again, ...asked } = given;
  refuseTooMany(ctx, asked.actor);
  const id = ctx.newId('approval');
  const expiresAt = answerWithinMs === null ? null : ctx.now + answerWithinMs;
  ctx.emit(approvalEvents.requested, id, { ...asked, needs: needsFor(asked.risk, quorum), expiresAt });
  return shown(findEntry(ctx.db, id));
});

/** The entry that answers. A key finds its own again, whatever has become of that; what was refused is asked anew after a while. */
function knownEntry({ db, now }: CommandContext, { again, ...asked }: Asked): Entry | undefined {
  const own = asked.key === null ? undefined : entryOfKey(db, asked.subject, asked.key);
  if (own !== undefined) return own;
  const newest = entryAbout(db, asked.subject);
  if (newest === undefined) return entryAlways(db, asked);
  const refused = newest.state === 'denied' || newest.state === 'expired';
  const rested = refused && now >= (newest.answeredAt ?? now) + restMs(refusalsOf(db, asked.subject));
  return again && rested ? entryAlways(db, asked) : newest;
}

function refuseTooMany({ db }: CommandContext, actor: string): void {
  const fix = 'Answer some of it first: maos inbox, then maos approve or maos deny.';
  if (countOpen(db, actor) >= mostOfOne)
    throw new AppError('exhausted', `${actor} waits for ${mostOfOne} approvals already, the most at once.`, { fix });
  if (countOpen(db, null) >= mostOfAll)
    throw new AppError('exhausted', `${mostOfAll} requests wait for an approval already, the most at once.`, { fix });
}

/** Refuses an answer that comes too late: whoever asked has been told. */
function refuseAnswered({ id, state, standing }: Entry, turns: boolean): void {
  if (state === 'open' || (turns && standing && state !== 'approved')) return;
  throw conflict(`${id} was answered before (${state}).`, { fix: 'maos approval list --state open shows what waits.' });
}

function refuseVote({ actor }: CommandContext, found: Entry, said: { always: boolean; alone: boolean }): void {
  if (actor.kind === 'user') return;
  const refuse = (message: string, fix: string): never => {
    throw new AppError('forbidden', message, { fix });
  };
  if (actor.kind === 'system') refuse('MAOS itself answers no request.', 'Ask a person.');
  if (found.agent === actor.id || found.actor === actorName(actor))
    refuse(
      `${actorName(actor)} asks for ${found.id} itself, so others have to agree.`,
      'Ask another agent or a person.',
    );
  if (found.needs.agents === 0)
    refuse(`No rule asks agents about ${found.id}: a person has to answer.`, 'Ask a person.');
  if (said.always || said.alone) refuse('Only a person can say "always" or decide alone.', 'Leave it out.');
}

/** What was not shown must not be agreed to for ever. */
function refuseAlways({ id, hidden }: Entry, always: boolean): void {
  if (!always || hidden === null) return;
  throw new AppError('forbidden', `An "always" for ${id} would be about more than it shows: ${hidden}.`, {
    fix: 'Approve it this once.',
  });
}

function agree(ctx: CommandContext, text: string, said: { always: boolean; alone: boolean }): Entry {
  const found = findEntry(ctx.db, text);
  refuseAnswered(found, true);
  refuseVote(ctx, found, said);
  refuseAlways(found, said.always);
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
    refuseVote(ctx, found, { always: false, alone: false });
    ctx.emit(approvalEvents.denied, found.id, { reason });
    return shown(findEntry(ctx.db, found.id));
  }),
}));

const revoke = command(approvalOps.revoke, (ctx, input) => {
  const found = findEntry(ctx.db, input.approval);
  if (found.always) ctx.emit(approvalEvents.revoked, found.id, {});
  return shown(findEntry(ctx.db, found.id));
});

/** How long a call under the same key is the same call: a little less than its key is kept. */
const keyKeptMs = 6 * 24 * 3_600_000;

/** Two that were approved once cannot both go on: the second finds it used. The same call under its key is not a second one. */
const use = command(approvalOps.use, (ctx, { approval, key }) => {
  const found = findEntry(ctx.db, approval);
  const { usedAt } = found;
  const same = usedAt !== null && key !== null && found.key === key && ctx.now < usedAt + keyKeptMs;
  if (found.always || same) return shown(found);
  if (found.state !== 'approved' || usedAt !== null) {
    throw conflict(`${found.id} gives no permission (any more).`, { fix: 'Call again, and it is asked again.' });
  }
  ctx.emit(approvalEvents.used, found.id, { key });
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
