/**
 * What looks at passwords, codes and tokens. All of it happens in the main thread, because hashing a password takes 50 ms and a
 * command must not hold up the others; what is right is then reported by an internal command, which checks once more that nothing
 * has changed. Nothing secret is in what is reported.
 */
import { actorName } from '../kernel/actor.ts';
import { type Caller, covers } from '../kernel/caller.ts';
import type { Clock } from '../kernel/clock.ts';
import { AppError, conflict } from '../kernel/error.ts';
import { action, type ActionContext, type Handler } from '../kernel/handler.ts';
import { type Keys, seal } from '../kernel/seal.ts';
import { narrowScopes, narrowTeams } from './narrow.ts';
import { authOps } from './contract.ts';
import type { Source } from './lanes.ts';
import { hashPassword } from './password.ts';
import { type Attempt, factorPlace, Prover } from './prover.ts';
import { personScopes } from './roles.ts';
import { newRecoveryCodes, newToken, recoveryHash } from './secret.ts';
import { wrong } from './service.ts';
import { factorUri, newFactor } from './totp.ts';
import { findUser, hasFactor, listKeys, listLogins, shownUser, userNamed, type UserRow } from './views.ts';

export interface AuthActionOptions {
  readonly clock: Clock;
  /** The keys that second factors are sealed with. */
  readonly keys: () => Promise<Keys>;
  readonly prover: Prover;
  readonly lifetimes?: Partial<Lifetimes>;
}

/** How long a login lasts. */
export interface Lifetimes {
  /** From its start, however much it is used. */
  readonly absoluteMs: number;
  /** Without being used. */
  readonly idleMs: number;
}
export const defaultLifetimes: Lifetimes = { absoluteMs: 30 * 24 * 3_600_000, idleMs: 12 * 3_600_000 };

/** Operations of users, logins and keys. */
export function authActions(options: AuthActionOptions): readonly Handler[] {
  return [...new Doorkeeper(options).handlers(), ...keyActions(options.clock)];
}

class Doorkeeper {
  readonly #options: AuthActionOptions;

  constructor(options: AuthActionOptions) {
    this.#options = options;
  }

  handlers(): readonly Handler[] {
    const { prover } = this.#options;
    return [
      action(authOps.createUser, async (ctx, { password, ...rest }) => {
        refuseGuessable(password, rest.name);
        return ctx.call(authOps.recordUser, { ...rest, password: await hashPassword(password, sourceOf(ctx.caller)) });
      }),
      action(authOps.resetPassword, async (ctx, { user, password, removeFactor }) => {
        const { id, name } = findUser(ctx.db, user);
        refuseGuessable(password, name);
        return ctx.call(authOps.recordPassword, {
          user: id,
          was: null,
          password: await hashPassword(password, sourceOf(ctx.caller)),
          removeFactor,
        });
      }),
      action(authOps.createLogin, (ctx, input) => this.#login(ctx, input)),
      action(authOps.changePassword, async (ctx, { current, password }) => {
        const row = person(ctx);
        await prover.prove(ctx.db, attemptOf(ctx, row.name), row, current);
        refuseGuessable(password, row.name);
        const changed = {
          user: row.id,
          was: row.password,
          password: await hashPassword(password, sourceOf(ctx.caller)),
          removeFactor: false,
        };
        await ctx.call(authOps.recordPassword, changed);
        return {};
      }),
      action(authOps.enrol, async (ctx) => {
        const row = person(ctx);
        if (hasFactor(row))
          throw conflict('There is a second factor already.', { fix: 'Take it away first (maos account unenrol).' });
        const secret = newFactor();
        const { current } = await this.#options.keys();
        const step = { kind: 'begun', secret: seal(current, secret, factorPlace(row)) } as const;
        await ctx.call(authOps.recordFactor, { user: row.id, step });
        return { secret, uri: factorUri(secret, row.name) };
      }),
      action(authOps.confirm, async (ctx, { code }) => {
        const row = person(ctx);
        if (row.factor === null || hasFactor(row))
          throw conflict('No second factor was begun.', { fix: 'Begin one first (maos account enrol).' });
        const step = await prover.guarded(attemptOf(ctx, row.name), () => prover.stepOf(row, code));
        const recovery = newRecoveryCodes();
        const confirmed = {
          kind: 'confirmed',
          secret: row.factor,
          step,
          recovery: recovery.map(recoveryHash),
        } as const;
        await ctx.call(authOps.recordFactor, { user: row.id, step: confirmed });
        return { recovery };
      }),
      action(authOps.unenrol, async (ctx, { password, code }) => {
        const row = person(ctx);
        if (!hasFactor(row)) throw conflict('There is no second factor.', { fix: 'Nothing has to be done.' });
        const factor = await prover.prove(ctx.db, attemptOf(ctx, row.name), row, password, code);
        await ctx.call(authOps.recordFactor, { user: row.id, step: { kind: 'removed', factor } });
        return {};
      }),
    ];
  }

  /** Takes as long for a name that nobody has, and answers the same. */
  async #login(ctx: ActionContext, input: { name: string; password: string; code?: string | undefined }) {
    const known = Prover.known(ctx.db, input.name);
    const attempt = attemptOf(ctx, input.name);
    const factor = await this.#options.prover.prove(ctx.db, attempt, known, input.password, input.code);
    if (known === undefined) throw wrong();
    const { token, hash } = newToken('login');
    const expiresAt = this.#options.clock.now() + { ...defaultLifetimes, ...this.#options.lifetimes }.absoluteMs;
    const report = { user: known.name, password: known.password, factor, hash, expiresAt };
    return { login: await ctx.call(authOps.recordLogin, report), token };
  }
}

/** An attempt at a name, counted against where the caller comes from as well. */
function attemptOf({ caller }: ActionContext, name: string): Attempt {
  return { name, source: sourceOf(caller) };
}

/** By what a caller is told from others: its credential, or where it comes from. */
function sourceOf({ credential, actor }: Caller): Source {
  return { key: credential ?? actorName(actor), known: credential?.startsWith('from ') !== true };
}

/** What callers see and end of their own, and what keys they make. */
function keyActions(clock: Clock): readonly Handler[] {
  return [
    action(authOps.account, async ({ caller }) => ({
      actor: actorName(caller.actor),
      scopes: [...caller.scopes],
      teams: caller.teams === null ? null : [...caller.teams],
      credential: caller.credential,
    })),
    action(authOps.listLogins, async (ctx) => ({
      logins: listLogins(ctx.db, whose(ctx.caller, 'user:read'), clock.now()),
    })),
    action(authOps.endLogin, async (ctx, { login }) => {
      const own = ctx.caller.credential?.startsWith('login_') === true ? ctx.caller.credential : undefined;
      const id = login ?? own;
      if (id === undefined)
        throw conflict('This call came with no login.', { fix: 'Name the login to end (maos login list).' });
      return ctx.call(authOps.closeLogin, { login: id, user: whose(ctx.caller, 'user:write') });
    }),
    action(authOps.listKeys, async (ctx) => ({ keys: listKeys(ctx.db, whose(ctx.caller, 'user:read')) })),
    action(authOps.revokeKey, async (ctx, { key }) =>
      ctx.call(authOps.closeKey, { key, owner: whose(ctx.caller, 'user:write') }),
    ),
    action(authOps.createKey, async (ctx, { name, role, scopes, teams, expiresInDays }) => {
      const { caller } = ctx;
      const owner = ownerOf(ctx);
      const lacking = (scopes ?? []).filter((scope) => !covers(caller.scopes, scope));
      if (lacking.length > 0) throw beyond(`not the scopes ${lacking.join(', ')}`);
      const given = scopes ?? (role === undefined ? caller.scopes : narrowScopes(personScopes(role), caller.scopes));
      const seen = teams === undefined ? caller.teams : teams;
      const allowed = narrowTeams(seen, caller.teams);
      if (allowed?.length !== seen?.length) throw beyond(`only the teams ${(caller.teams ?? []).join(', ')}`);
      const { token, hash } = newToken('key');
      const expiresAt = expiresInDays === null ? null : clock.now() + expiresInDays * 24 * 3_600_000;
      const report = {
        name,
        owner,
        hash,
        scopes: [...given],
        teams: allowed === null ? null : [...allowed],
        expiresAt,
      };
      return { key: await ctx.call(authOps.recordKey, report), token };
    }),
  ];
}

/** Whose things a caller is shown: their own, or with this scope everybody's (null). */
function whose({ actor, scopes }: Caller, scope: string): string | null {
  return covers(scopes, scope) ? null : actor.kind === 'user' ? actor.id : actorName(actor);
}

/** The user who makes a key; null: the owner of the machine. A key or an agent makes none, so that none can outlive what it came from. */
function ownerOf({ caller, db }: ActionContext): string | null {
  if (caller.credential === null && caller.actor.kind === 'user') return null;
  if (caller.credential?.startsWith('login_') === true) return findUser(db, caller.actor.id).id;
  throw new AppError('forbidden', `${actorName(caller.actor)} cannot make keys: only people who have logged in can.`, {
    fix: 'Log in (maos login create NAME), or ask a person.',
  });
}

/** The user who calls; the owner of the machine has no account. */
function person({ caller, db }: ActionContext): UserRow {
  const row = caller.credential?.startsWith('login_') === true ? userNamed(db, caller.actor.id) : undefined;
  if (row !== undefined && !shownUser(row).disabled && row.removed === 0) return row;
  throw conflict(`${actorName(caller.actor)} has no account with a password here.`, {
    fix: 'Log in first (maos login create NAME) and call with that token.',
  });
}

function refuseGuessable(password: string, name: string): void {
  if (!password.toLowerCase().includes(name) && new Set(password).size >= 5) return;
  throw new AppError('invalid', 'This password is easy to guess.', {
    fix: 'Leave out the user’s name, and use more than a few different characters.',
    issues: [{ path: 'password', message: 'Is easy to guess.' }],
  });
}

function beyond(what: string): AppError {
  return new AppError('forbidden', 'The key would be able to do more than you.', {
    fix: `Ask for less: you can give ${what}.`,
  });
}
