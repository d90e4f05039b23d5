import { agentOps } from '../agents/contract.ts';
import { invalid, notFound } from '../kernel/error.ts';
import { command, type CommandContext, type Handler, query } from '../kernel/handler.ts';
import type { ParsedOf } from '../kernel/operation.ts';
import { resolveId } from '../kernel/resolve.ts';
import { approvalOps } from '../policy/approvals/contract.ts';
import { projectOps } from '../projects/contract.ts';
import { askSubject, type Budget, budgetEvents, budgetOps, type BudgetTerms, payer, stopReason } from './contract.ts';
import {
  budgetOf,
  listStandings,
  pastPromise,
  payersOf,
  shown,
  type Standing,
  standingAt,
  standingsOf,
} from './ledger.ts';

const ids = { table: 'budget', column: 'id', prefix: 'budget', what: 'budget' } as const;

function known(ctx: Pick<CommandContext, 'db' | 'now'>, text: string): Standing {
  const id = resolveId(ctx.db, ids, text);
  const found = standingAt(ctx.db, id, ctx.now);
  if (found === undefined) throw notFound('budget', text, 'maos budget list shows them.');
  return found;
}

type Owner = Pick<Budget, 'kind' | 'subject' | 'name' | 'project' | 'run'>;
type Asked = ParsedOf<typeof budgetOps.set>;

/** Whose budget is set: what is named, or the fleet. */
function ownerOf(ctx: CommandContext, { project, agent }: Asked): Owner {
  if (project !== undefined) {
    const { id, name } = ctx.call(projectOps.get, { project });
    return { kind: 'project', subject: id, name, project: id, run: null };
  }
  if (agent !== undefined) {
    const found = ctx.call(agentOps.get, { agent });
    return { kind: 'agent', subject: found.id, name: found.name, project: found.project, run: null };
  }
  return { kind: 'fleet', subject: '', name: 'fleet', project: null, run: null };
}

function termsOf(given: Asked, before: BudgetTerms | undefined): BudgetTerms {
  const terms = {
    usd: given.usd === undefined ? (before?.usd ?? null) : given.usd,
    tokens: given.tokens === undefined ? (before?.tokens ?? null) : given.tokens,
    period: given.period ?? before?.period ?? 'total',
    atLimit: given.atLimit ?? before?.atLimit ?? 'stop',
    share: given.share === undefined ? (before?.share ?? null) : given.share,
  };
  if (terms.usd !== null || terms.tokens !== null) return terms;
  throw invalid('A budget needs a limit in money or in tokens.', {
    fix: 'Give usd or tokens. To be without a limit, remove the budget (maos budget remove).',
  });
}

const set = command(budgetOps.set, (ctx, input) => {
  const { budget, project, agent } = input;
  if ([budget, project, agent].filter((one) => one !== undefined).length > 1)
    throw invalid('Give one of budget, project and agent.', { fix: 'A budget has one subject; none: the fleet.' });
  const named = budget === undefined ? undefined : known(ctx, budget);
  const owner = named ?? ownerOf(ctx, input);
  const paying = payer(owner.kind, owner.subject);
  const same = named ?? budgetOf(ctx.db, paying, input.period ?? 'total');
  const before = same === undefined ? undefined : known(ctx, same.id);
  const terms = termsOf(input, before);
  const other = budgetOf(ctx.db, paying, terms.period);
  if (other !== undefined && other.id !== same?.id)
    throw invalid(`There is a ${terms.period} budget of the same: ${other.id}.`, { fix: 'Change or remove that one.' });
  const id = same?.id ?? ctx.newId('budget');
  if (before !== undefined) withdraw(ctx, before, 'The budget was changed.');
  const { kind, subject, name, run } = owner;
  ctx.emit(budgetEvents.set, id, { kind, subject, name, project: owner.project, run, ...terms });
  return shown(known(ctx, id));
});

/** Nobody has to answer any more what a changed budget asked. */
function withdraw(ctx: CommandContext, { approval, denied }: Standing, reason: string): void {
  if (approval === null || denied) return;
  if (ctx.call(approvalOps.get, { approval }).state === 'open')
    ctx.call(approvalOps.deny, { approvals: [approval], reason });
}

const remove = command(budgetOps.remove, (ctx, input) => {
  const found = known(ctx, input.budget);
  withdraw(ctx, found, 'The budget was removed.');
  ctx.emit(budgetEvents.removed, found.id, {});
  return shown(found);
});

const record = command(budgetOps.record, (ctx, { budgets }) => {
  for (const budget of budgets)
    if (budget.usd !== null || budget.tokens !== null) ctx.emit(budgetEvents.set, ctx.newId('budget'), budget);
  return {};
});

/** As much again as the budget itself. */
function more({ usd, tokens }: BudgetTerms): string {
  return [...(usd === null ? [] : [`$${usd}`]), ...(tokens === null ? [] : [`${tokens} tokens`])].join(' and ');
}

/** The entry stands for the budget as it is now: raised, or in another period, it asks anew. */
function askFor(ctx: CommandContext, found: Standing): void {
  const { id, why, atLimit, approval, denied, span, round, run, project } = found;
  if (why === null || atLimit !== 'ask' || approval !== null || denied) return;
  const entry = ctx.call(approvalOps.ask, {
    subject: `${askSubject}${id}:${span}:${round}`,
    actor: 'system:budgets',
    run,
    what: {
      kind: 'operation',
      operation: budgetOps.set.name,
      command: `${id} (${span}, ${round}): ${more(found)} more`,
    },
    rule: null,
    reason: `${why}. Approve to allow ${more(found)} more${project === null && run === null ? ' to the whole fleet' : ''}.`,
    risk: 'medium',
    // A person has to answer, and may still turn a refusal into an approval.
    standing: true,
  });
  ctx.emit(budgetEvents.asked, id, { approval: entry.id, span });
}

const ask = command(budgetOps.ask, (ctx, input) => {
  const found = known(ctx, input.budget);
  askFor(ctx, found);
  return shown(known(ctx, found.id));
});

const keep = command(budgetOps.keep, (ctx, { agent, generation }) => {
  const over = standingsOf(ctx.db, payersOf(ctx.db, agent, generation), ctx.now).filter(({ why }) => why !== null);
  for (const found of over) askFor(ctx, found);
  const [first] = over;
  if (first === undefined && !pastPromise(ctx.db, agent, generation)) return { over: false };
  const why = first?.why ?? 'it has used what it was promised';
  const { state, generation: newest } = ctx.call(agentOps.get, { agent });
  if (newest === generation && (state === 'starting' || state === 'running' || state === 'paused'))
    ctx.call(agentOps.stop, { agent, reason: `${stopReason}${why}` });
  return { over: true };
});

/** What was asked in a period that is over, or of a budget that was changed since, gives nothing. */
const answer = command(budgetOps.answer, (ctx, { approval }) => {
  const row = ctx.db.get<{ id: string }>('SELECT id FROM budget WHERE approval = ?', approval);
  const found = row === undefined ? undefined : standingAt(ctx.db, row.id, ctx.now);
  if (found === undefined || found.approval !== approval) return {};
  const { id, span, usd, tokens, denied } = found;
  const { state } = ctx.call(approvalOps.get, { approval });
  if (state === 'approved') ctx.emit(budgetEvents.allowed, id, { approval, span, usd: usd ?? 0, tokens: tokens ?? 0 });
  if ((state === 'denied' || state === 'expired') && !denied) ctx.emit(budgetEvents.refused, id, { approval, span });
  return {};
});

/** Commands and queries of budgets. */
export const budgetHandlers: readonly Handler[] = [
  set,
  remove,
  record,
  ask,
  keep,
  answer,
  query(budgetOps.get, (ctx, input) => shown(known(ctx, input.budget))),
  query(budgetOps.list, (ctx, input) => ({ budgets: listStandings(ctx.db, input, ctx.now).map(shown) })),
];
