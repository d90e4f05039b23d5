import { notFound } from '../kernel/error.ts';
import { command, type Handler } from '../kernel/handler.ts';
import { policyEvents, policyOps } from './contract.ts';
import { hasRule } from './views.ts';

/** Commands of rules. */
export const policyHandlers: readonly Handler[] = [
  command(policyOps.record, (ctx, { rules, remove }) => {
    const unknown = remove.find((id) => !hasRule(ctx.db, id));
    if (unknown !== undefined) {
      throw notFound('rule set by policy.set', unknown, 'maos policy get --layer api lists them.');
    }
    if (rules.length > 0 || remove.length > 0)
      ctx.emit(policyEvents.changed, 'policy', { set: rules, removed: remove });
    return { set: rules.map(({ id }) => id), removed: remove };
  }),
];
