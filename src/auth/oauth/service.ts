import { AppError, conflict } from '../../kernel/error.ts';
import { command, type CommandContext, type Handler, query } from '../../kernel/handler.ts';
import { canonicalJson } from '../../kernel/hash.ts';
import { spendFactor, wrong } from '../service.ts';
import { type UserRow } from '../views.ts';
import { oauthEvents, oauthOps, type Outcome } from './contract.ts';
import {
  clientBy,
  countClients,
  findClient,
  findGrant,
  grantByCode,
  type GrantRow,
  grantsOf,
  idleClient,
  listClients,
  refreshBy,
  shownKeys,
  signingKey,
} from './views.ts';

/** Anybody can register a client, so there is an end to it. */
const mostClients = 1_000;
/** A client to which nobody has given access for so long makes room for others. */
const idleMs = 60 * 60_000;

/** Commands and queries of clients, grants and signing keys. */
export const oauthHandlers: readonly Handler[] = [
  query(oauthOps.listClients, (ctx) => ({ clients: listClients(ctx.db, ctx.now) })),
  command(oauthOps.register, (ctx, given) => {
    const known = given.document === null ? undefined : clientBy(ctx.db, given.document, ctx.now);
    if (known !== undefined) {
      const { name, uri, document, redirectUris } = known;
      if (canonicalJson({ name, uri, document, redirectUris }) === canonicalJson(given)) return known;
    } else if (countClients(ctx.db) >= mostClients) makeRoom(ctx);
    const id = known?.id ?? ctx.newId('client');
    ctx.emit(oauthEvents.registered, id, given);
    return findClient(ctx.db, id, ctx.now);
  }),
  command(oauthOps.removeClient, (ctx, { client }) => {
    const found = findClient(ctx.db, client, ctx.now);
    for (const grant of grantsOf(ctx.db, found.id)) ctx.emit(oauthEvents.revoked, grant, { reason: 'client removed' });
    ctx.emit(oauthEvents.removed, found.id, {});
    return found;
  }),
  command(oauthOps.prove, (ctx, { user, password, factor }) => {
    spendFactor(ctx, sameUser(ctx, user, password), factor);
    return {};
  }),
  command(oauthOps.record, (ctx, { password, ...data }) => {
    sameUser(ctx, data.user, password);
    findClient(ctx.db, data.client, ctx.now);
    const id = ctx.newId('grant');
    ctx.emit(oauthEvents.granted, id, data);
    return { grant: id };
  }),
  command(oauthOps.exchange, (ctx, given) => exchange(ctx, given)),
  command(oauthOps.refresh, (ctx, { was, client, resource, refresh, refreshExpiresAt }) => {
    const row = refreshBy(ctx.db, was);
    if (row === undefined || row.client !== client) return refused('The refresh token is not one of this client.');
    if (row.spent_at !== null) {
      // Two hold this token, and one of them has stolen it. Which one cannot be told.
      ctx.emit(oauthEvents.revoked, row.id, { reason: 'refresh token replayed' });
      return refused('The refresh token was used before, so the access that it belongs to was ended.');
    }
    if (Math.min(row.refresh_expires_at, row.expires_at) <= ctx.now) return refused('The refresh token has expired.');
    if (resource !== null && resource !== row.resource) return otherResource;
    ctx.emit(oauthEvents.refreshed, row.id, { was, refresh, refreshExpiresAt });
    return issueOf(row);
  }),
  command(oauthOps.close, (ctx, { grant, owner, reason }) => {
    const found = findGrant(ctx.db, grant, owner);
    ctx.emit(oauthEvents.revoked, found.id, { reason });
    return found;
  }),
  command(oauthOps.recordKey, (ctx, { was, ...data }) => {
    if ((signingKey(ctx.db)?.kid ?? null) !== was)
      throw conflict('Another signing key was made meanwhile.', { fix: 'Look at the keys and try again if need be.' });
    ctx.emit(oauthEvents.keyMade, 'oauth', data);
    return { keys: shownKeys(ctx.db, ctx.now) };
  }),
];

function exchange(
  ctx: CommandContext,
  given: {
    readonly code: string;
    readonly client: string;
    readonly redirectUri: string | null;
    readonly resource: string | null;
    readonly challenge: string;
    readonly refresh: string;
    readonly refreshExpiresAt: number;
  },
): Outcome {
  const row = grantByCode(ctx.db, given.code);
  if (row === undefined) return refused('The code is not one that was given out.');
  if (row.used_at !== null) {
    if (row.ended_at === null) ctx.emit(oauthEvents.revoked, row.id, { reason: 'code replayed' });
    return refused('The code was used before, so the access that it gave was ended.');
  }
  if (row.ended_at !== null || row.code_expires_at <= ctx.now) return refused('The code has expired.');
  if (row.client !== given.client) return refused('The code was given to another client.');
  if (given.redirectUri !== null && row.redirect_uri !== given.redirectUri)
    return refused('The redirect_uri is not the one to which the code was sent.');
  if (row.challenge !== given.challenge) return refused('The code_verifier does not fit the code_challenge.');
  if (given.resource !== null && given.resource !== row.resource) return otherResource;
  const { refresh, refreshExpiresAt } = given;
  ctx.emit(oauthEvents.exchanged, row.id, { refresh, refreshExpiresAt });
  return issueOf(row);
}

const otherResource: Outcome = {
  refused: 'The access was given for another resource.',
  code: 'invalid_target',
};

function refused(why: string): Outcome {
  return { refused: why, code: 'invalid_grant' };
}

function issueOf({ id, user, scope, resource }: GrantRow): Outcome {
  return { grant: id, user, scope: JSON.parse(scope), resource };
}

/** The user whose password was looked at; between that look and this commit all of it may have changed. */
function sameUser(ctx: CommandContext, id: string, password: string): UserRow {
  const row = ctx.db.get<UserRow>('SELECT * FROM user WHERE id = ?', id);
  if (row === undefined || row.disabled === 1 || row.removed === 1 || row.password !== password) throw wrong();
  return row;
}

function makeRoom(ctx: CommandContext): void {
  const idle = idleClient(ctx.db, ctx.now - idleMs);
  if (idle === undefined) {
    throw new AppError('exhausted', `${mostClients} clients are registered, and all of them are new or in use.`, {
      fix: 'An administrator can remove some (maos client list).',
    });
  }
  ctx.emit(oauthEvents.removed, idle, {});
}
