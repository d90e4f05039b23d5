import { AppError, conflict } from '../kernel/error.ts';
import { command, type CommandContext, type Handler, query } from '../kernel/handler.ts';
import { authEvents, authOps, type User } from './contract.ts';
import {
  findKey,
  findLogin,
  findUser,
  hasFactor,
  hasRecovery,
  listUsers,
  shownUser,
  userNamed,
  type UserRow,
} from './views.ts';

/** Names that stand for somebody else in the log. */
const reserved = new Set(['local', 'anonymous', 'system', 'maos']);

/** Commands and queries of users, logins and keys: what is left to decide once passwords and codes were looked at. */
export const authHandlers: readonly Handler[] = [
  query(authOps.listUsers, (ctx) => ({ users: listUsers(ctx.db) })),
  query(authOps.getUser, (ctx, { user }) => shownUser(findUser(ctx.db, user))),
  command(authOps.recordUser, (ctx, { name, role, teams, password }) => {
    if (reserved.has(name) || userNamed(ctx.db, name) !== undefined)
      throw conflict(`The name "${name}" is taken, or was once.`, { fix: 'Choose another name.' });
    const id = ctx.newId('user');
    ctx.emit(authEvents.userCreated, id, { name, role, teams, password });
    return now(ctx, id);
  }),
  command(authOps.updateUser, (ctx, { user, role, teams, disabled }) => {
    const row = findUser(ctx.db, user);
    const before = shownUser(row);
    const after = {
      role: role ?? before.role,
      teams: teams === undefined ? before.teams : teams,
      disabled: disabled ?? before.disabled,
    };
    if (isSelf(ctx, row) && (after.disabled || after.role !== before.role)) throw ownAccess();
    if (after.role === before.role && after.disabled === before.disabled && sameTeams(after.teams, before.teams))
      return before;
    ctx.emit(authEvents.userUpdated, row.id, after);
    return now(ctx, row.id);
  }),
  command(authOps.removeUser, (ctx, { user }) => {
    const row = findUser(ctx.db, user);
    if (isSelf(ctx, row)) throw ownAccess();
    ctx.emit(authEvents.userRemoved, row.id, {});
    return shownUser(row);
  }),
  command(authOps.recordPassword, (ctx, { user, was, password, removeFactor }) => {
    const row = findUser(ctx.db, user);
    if (was !== null && row.password !== was)
      throw conflict('The password was changed meanwhile.', { fix: 'Try again with the new one.' });
    ctx.emit(authEvents.passwordSet, row.id, { password });
    if (removeFactor && row.factor !== null) ctx.emit(authEvents.factorRemoved, row.id, {});
    return now(ctx, row.id);
  }),
  command(authOps.recordFactor, (ctx, { user, step }) => {
    const row = findUser(ctx.db, user);
    switch (step.kind) {
      case 'begun':
        if (hasFactor(row)) throw hasOne();
        ctx.emit(authEvents.factorBegun, row.id, { secret: step.secret });
        break;
      case 'confirmed':
        if (hasFactor(row)) throw hasOne();
        if (row.factor !== step.secret) throw conflict('Another second factor was begun.', { fix: 'Begin again.' });
        ctx.emit(authEvents.factorConfirmed, row.id, { step: step.step, recovery: step.recovery });
        break;
      case 'removed':
        spendFactor(ctx, row, step.factor);
        ctx.emit(authEvents.factorRemoved, row.id, {});
        break;
    }
    return now(ctx, row.id);
  }),
  command(authOps.recordLogin, (ctx, { user, password, factor, hash, expiresAt }) => {
    const row = userNamed(ctx.db, user);
    // Between the look at the password and this commit all of it may have changed.
    if (row === undefined || row.disabled === 1 || row.removed === 1 || row.password !== password) throw wrong();
    spendFactor(ctx, row, factor);
    const id = ctx.newId('login');
    ctx.emit(authEvents.loginCreated, id, { user: row.id, hash, expiresAt });
    return findLogin(ctx.db, id, null);
  }),
  command(authOps.touchLogin, (ctx, { login }) => {
    ctx.emit(authEvents.loginSeen, login, {});
    return {};
  }),
  command(authOps.closeLogin, (ctx, { login, user }) => {
    const found = findLogin(ctx.db, login, user);
    ctx.emit(authEvents.loginEnded, found.id, {});
    return found;
  }),
  command(authOps.closeKey, (ctx, { key, owner }) => {
    const found = findKey(ctx.db, key, owner);
    ctx.emit(authEvents.keyRevoked, found.id, {});
    return found;
  }),
  command(authOps.recordKey, (ctx, data) => {
    const id = ctx.newId('key');
    ctx.emit(authEvents.keyCreated, id, data);
    return findKey(ctx.db, id, null);
  }),
  command(authOps.issueToken, (ctx, { agent, ...data }) => {
    ctx.emit(authEvents.tokenIssued, agent, data);
    return {};
  }),
];

/** The one answer to everything that is wrong about a login. */
export function wrong(): AppError {
  return new AppError('unauthenticated', 'The name, the password or the code is wrong, or the user is disabled.', {
    fix: 'Try again, with a fresh code if you have a second factor; an administrator can give you a new password (maos user reset).',
  });
}

/** Uses up the code or the recovery code of a second factor; a user without one needs neither. */
export function spendFactor(
  ctx: CommandContext,
  row: UserRow,
  { step, recovery }: { readonly step: number | null; readonly recovery: string | null },
): void {
  if (!hasFactor(row)) return;
  if (step !== null && step > (row.factor_step ?? 0)) return ctx.emit(authEvents.codeUsed, row.id, { step });
  if (recovery === null || !hasRecovery(ctx.db, row.id, recovery)) throw wrong();
  ctx.emit(authEvents.recoveryUsed, row.id, { hash: recovery });
}

function now(ctx: CommandContext, id: string): User {
  return shownUser(findUser(ctx.db, id));
}

function isSelf({ actor }: CommandContext, row: UserRow): boolean {
  return actor.kind === 'user' && actor.id === row.name;
}

function sameTeams(a: readonly string[] | null, b: readonly string[] | null): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function ownAccess(): AppError {
  return conflict('That would take your own access away.', { fix: 'Have another administrator do it.' });
}

function hasOne(): AppError {
  return conflict('There is a second factor already.', { fix: 'Take it away first (maos account unenrol).' });
}
