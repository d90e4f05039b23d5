import { conflict, notFound } from '../kernel/error.ts';
import { command, type Handler, query } from '../kernel/handler.ts';
import { secretEvents, secretOps } from './contract.ts';
import { listSecrets, needSecret, secretFor, secretNamed, sessionKey } from './views.ts';

/** Commands and queries of secrets. None of them sees a value that is not sealed. */
export const secretHandlers: readonly Handler[] = [
  command(secretOps.record, (ctx, { id, name, sealed, team }) => {
    const found = secretNamed(ctx.db, name, team);
    if (found !== undefined && found.id !== id)
      throw conflict(`Somebody else has just set ${name}.`, { fix: 'Set it again, if yours is the right value.' });
    ctx.emit(secretEvents.set, id, { name, sealed, team });
    return needSecret(ctx.db, id);
  }),
  command(secretOps.link, (ctx, { name, variable, team = null }) => {
    const id = secretNamed(ctx.db, name, team)?.id ?? ctx.newId('secret');
    ctx.emit(secretEvents.linked, id, { name, variable, team });
    return needSecret(ctx.db, id);
  }),
  command(secretOps.share, (ctx, input) => {
    const { id, team } = needSecret(ctx.db, input.name);
    ctx.emit(secretEvents.shared, id, { with: [...new Set(input.with)].filter((one) => one !== team).toSorted() });
    return needSecret(ctx.db, id);
  }),
  command(secretOps.remove, (ctx, { name }) => {
    const found = needSecret(ctx.db, name);
    ctx.emit(secretEvents.removed, found.id, {});
    return found;
  }),
  command(secretOps.use, (ctx, { names, session, team }) => {
    const found = names.map((name) => secretFor(ctx.db, name, team));
    for (const { id } of found) ctx.emit(secretEvents.used, id, { session });
    return {};
  }),
  command(secretOps.recordSigner, (ctx, { agent, generation, publicKey }) => {
    ctx.emit(secretEvents.keyed, agent, { generation, publicKey });
    return {};
  }),
  query(secretOps.list, (ctx) => ({ secrets: listSecrets(ctx.db) })),
  query(secretOps.signer, (ctx, { agent, generation }) => {
    const found = sessionKey(ctx.db, agent, generation);
    if (found === undefined)
      throw notFound('key', `${agent}/${generation}`, 'A session has one from its start on (maos agent get).');
    return { signer: `${agent}/${generation}`, ...found };
  }),
];
