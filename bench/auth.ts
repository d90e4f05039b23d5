/**
 * What it costs to find out who a token stands for, with ten thousand credentials and as many users: a key, a login, the token of an
 * agent's session, one that nobody knows; and what a login costs, which is meant to be slow.
 * `node bench/auth.ts [tokens] [access] [password] [teams]`
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentEvents } from '../src/agents/contract.ts';
import { authEvents } from '../src/auth/contract.ts';
import { Authenticator } from '../src/auth/authenticator.ts';
import { oauthEvents } from '../src/auth/oauth/contract.ts';
import { Grants } from '../src/auth/oauth/grants.ts';
import { newSigningPair, privateKeyFrom, signToken } from '../src/auth/oauth/jwt.ts';
import { hashPassword, passwordFits } from '../src/auth/password.ts';
import { newToken } from '../src/auth/secret.ts';
import { allViews } from '../src/app/rooms.ts';
import { teamBoundary } from '../src/app/teams.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { command } from '../src/kernel/handler.ts';
import { newId } from '../src/kernel/id.ts';
import { operation } from '../src/kernel/operation.ts';
import { openReader } from '../src/log/open.ts';
import { Pipeline } from '../src/log/pipeline.ts';
import { SqliteLog } from '../src/log/sqlite.ts';
import { Views } from '../src/log/views.ts';
import { projectEvents, projectOps } from '../src/projects/contract.ts';
import * as z from 'zod';
import { quantile, report, runParts } from './figure.ts';

const many = 10_000;
const folder = mkdtempSync(join(tmpdir(), 'maos-bench-auth-'));
const file = join(folder, 'maos.db');
const log = new SqliteLog(file);
const tokens = { key: '', login: '', session: '' };
const origin = 'http://127.0.0.1:4711';
const signing = newSigningPair();
const access = { grant: '', user: '' };

function fill(): void {
  const views = new Views(allViews);
  views.prepare(log.database);
  const nothing = {
    input: () => z.any(),
    output: () => z.any(),
    summary: 'x',
    effect: 'write',
    scope: 'x',
    route: 'POST /x',
  } as const;
  const fillOp = operation({ ...nothing, name: 'bench.fill' });
  const filler = command(fillOp, (ctx) => {
    const client = ctx.newId('client');
    ctx.emit(oauthEvents.registered, client, { name: 'x', uri: null, document: null, redirectUris: [] });
    ctx.emit(oauthEvents.keyMade, 'oauth', {
      kid: 'sign_1',
      publicKey: signing.publicKey,
      sealed: '',
      othersEndAt: ctx.now,
    });
    for (let i = 0; i < many; i += 1) {
      const user = ctx.newId('user');
      const [key, login, session] = [newToken('key'), newToken('login'), newToken('session')];
      Object.assign(tokens, { key: key.token, login: login.token, session: session.token });
      const expiresAt = ctx.now + 1e9;
      ctx.emit(authEvents.userCreated, user, { name: `user-${i}`, role: 'worker', teams: ['red'], password: 'x' });
      ctx.emit(authEvents.loginCreated, ctx.newId('login'), { user, hash: login.hash, expiresAt });
      ctx.emit(authEvents.keyCreated, ctx.newId('key'), {
        name: 'x',
        owner: user,
        hash: key.hash,
        scopes: ['task:*', 'run:read'],
        teams: null,
        expiresAt,
      });
      const grant = ctx.newId('grant');
      Object.assign(access, { grant, user });
      ctx.emit(oauthEvents.granted, grant, {
        client,
        user,
        scope: ['worker'],
        resource: `${origin}/mcp`,
        redirectUri: 'http://127.0.0.1/',
        code: grant,
        codeExpiresAt: expiresAt,
        challenge: '',
        expiresAt,
      });
      ctx.emit(oauthEvents.exchanged, grant, { refresh: grant, refreshExpiresAt: expiresAt });
      ctx.emit(projectEvents.added, ctx.newId('project'), {
        name: `p${i}`,
        path: `/srv/p${i}`,
        team: i % 2 === 0 ? 'red' : 'blue',
      });
      ctx.emit(authEvents.tokenIssued, ctx.newId('agent'), {
        generation: 1,
        hash: session.hash,
        role: 'worker',
        teams: ['red'],
      });
    }
    return {};
  });
  const pipeline = new Pipeline({ log, views, handlers: [filler], now: Date.now, newId });
  const [result] = pipeline.submit([
    { operation: 'bench.fill', input: {}, actor: { kind: 'system', id: 'bench' }, call: 'call_1', trace: 'trace_1' },
  ]);
  if (result?.ok !== true) throw new Error(JSON.stringify(result));
}

/** The median of many single calls, in microseconds, and the 99th percentile. */
function micros(run: () => void, times = 20_000): { p50: number; p99: number } {
  const taken: number[] = [];
  for (let i = 0; i < times; i += 1) {
    const start = process.hrtime.bigint();
    run();
    taken.push(Number(process.hrtime.bigint() - start) / 1_000);
  }
  return { p50: quantile(taken.slice(times / 10), 0.5), p99: quantile(taken.slice(times / 10), 0.99) };
}

fill();
const reader = openReader(file);
const authenticator = new Authenticator({
  reader,
  clock: systemClock,
  idleMs: 1e9,
  alive: (agent, generation) =>
    reader.get(`SELECT 1 FROM session WHERE agent = ? AND generation = ? AND state <> 'ended'`, agent, generation) ===
    undefined,
  touch: () => undefined,
});

await runParts({
  tokens: () => {
    for (const [kind, token] of Object.entries({ ...tokens, unknown: `maos_${'a'.repeat(43)}` })) {
      const known = authenticator.callerOf(token) !== undefined;
      if (known === (kind === 'unknown')) throw new Error(`The ${kind} token is ${known ? 'known' : 'not known'}.`);
      const { p50, p99 } = micros(() => authenticator.callerOf(token));
      report({
        name: `token check, ${kind}`,
        value: p50,
        unit: 'µs',
        target: { most: 100 },
        note: `p99 ${p99.toFixed(1)} µs`,
      });
    }
  },
  access: () => {
    const iat = Math.floor(Date.now() / 1_000);
    const token = signToken('sign_1', privateKeyFrom(signing.privateKey), {
      iss: origin,
      aud: `${origin}/mcp`,
      sub: access.user,
      client_id: 'client_1',
      scope: 'worker',
      grant: access.grant,
      iat,
      exp: iat + 600,
      jti: '1',
    });
    const made = (): Grants => {
      const grants = new Grants({ reader, clock: systemClock });
      grants.serves([origin]);
      return grants;
    };
    const grants = made();
    if (grants.callerOf(token, '/mcp') === undefined) throw new Error('The access token is not known.');
    const known = micros(() => grants.callerOf(token, '/mcp'));
    const note = `p99 ${known.p99.toFixed(1)} µs`;
    report({ name: 'token check, access token of a grant', value: known.p50, unit: 'µs', target: { most: 100 }, note });
    const first = micros(() => made().callerOf(token, '/mcp'), 2_000);
    report({ name: '… the first time, with its signature', value: first.p50, unit: 'µs' });
  },
  password: async () => {
    const hash = await hashPassword('correct horse battery');
    const start = Date.now();
    for (let i = 0; i < 20; i += 1) await passwordFits('wrong', hash);
    report({ name: 'password check (Argon2id, 19 MiB)', value: (Date.now() - start) / 20, unit: 'ms' });
  },
  teams: () => {
    const boundary = teamBoundary(reader);
    const caller = authenticator.callerOf(tokens.login);
    const id = reader.get<{ id: string }>(`SELECT id FROM project WHERE team = 'red' LIMIT 1`)?.id ?? '';
    if (caller === undefined) throw new Error('The login is not known.');
    const { p50 } = micros(() => boundary.admit(caller, projectOps.get, { project: id }));
    report({ name: 'team check of an input', value: p50, unit: 'µs', target: { most: 100 } });
    const seen = micros(() => boundary.sees(caller, { stream: id, type: agentEvents.created.type }));
    report({ name: 'team check of a record', value: seen.p50, unit: 'µs', target: { most: 100 } });
  },
});
reader.close();
log.close();
rmSync(folder, { recursive: true });
