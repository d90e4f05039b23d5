import { actorName } from '../../kernel/actor.ts';
import { type Caller, covers } from '../../kernel/caller.ts';
import { action, type Handler } from '../../kernel/handler.ts';
import { oauthOps } from './contract.ts';
import type { SigningKeys } from './keys.ts';
import { listGrants } from './views.ts';

/** What callers see and end of their own grants, and the rotation of keys. */
export function oauthActions(keys: () => Promise<SigningKeys>): readonly Handler[] {
  return [
    action(oauthOps.listGrants, async (ctx) => ({
      grants: listGrants(ctx.db, whose(ctx.caller, 'user:read'), ctx.now),
    })),
    action(oauthOps.revokeGrant, (ctx, { grant }) =>
      ctx.call(oauthOps.close, { grant, owner: whose(ctx.caller, 'user:write'), reason: 'asked' }),
    ),
    action(oauthOps.rotate, async (ctx, { endNow }) => (await keys()).rotate(ctx.call, endNow)),
  ];
}

/** Whose grants a caller is shown: their own, or with this scope everybody's (null). */
function whose({ actor, scopes }: Caller, scope: string): string | null {
  return covers(scopes, scope) ? null : actor.kind === 'user' ? actor.id : actorName(actor);
}
