import { conflict, notFound } from '../kernel/error.ts';
import { command, type Handler, query } from '../kernel/handler.ts';
import { type Secret, secretEvents, secretOps } from './contract.ts';
import { listSecrets, needSecret, secretNamed, sessionKey } from './views.ts';

/** Commands and queries of secrets. None of them sees a value that is not sealed. */
export const secretHandlers: readonly Handler[] = [
  command(secretOps.record, (ctx, { id, name, sealed }) => {
    const found = secretNamed(ctx.db, name);
    if (found !== undefined && found.id !== id)
      throw conflict(`Somebody else has just set ${name}.`, { fix: 'Set it again, if yours is the right value.' });
    ctx.emit(secretEvents.set, id, { name, sealed });
    return shown(needSecret(ctx.db, name));
  }),
  command(secretOps.remove, (ctx, { name }) => {
    const found = needSecret(ctx.db, name);
    ctx.emit(secretEvents.removed, found.id, {});
    return shown(found);
  }),
  command(secretOps.use, (ctx, { names, session }) => {
    const found = names.map((name) => needSecret(ctx.db, name));
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

function shown({ id: _id, ...secret }: Secret & { readonly id: string }): Secret {
  return secret;
}
