import { action, type Handler } from '../kernel/handler.ts';
import type { NewId } from '../kernel/id.ts';
import { secretOps } from './contract.ts';
import type { KeyringFacts } from './keyring.ts';
import type { Vault } from './vault.ts';
import { secretNamed } from './views.ts';

/** Operations of secrets that need the keys. They run beside the core, so that a value never reaches the log's thread. */
export function secretActions({ vault, newId }: { readonly vault: Vault; readonly newId: NewId }): readonly Handler[] {
  return [
    action(secretOps.set, async (ctx, { name, value, team = null }) => {
      const id = secretNamed(ctx.db, name, team)?.id ?? newId('secret');
      return ctx.call(secretOps.record, { id, name, sealed: await vault.seal(id, value), team });
    }),
    action(secretOps.reveal, async (ctx, { names, session, team }) => {
      const values = await vault.values(names, team);
      // Recorded before anybody is given them.
      await ctx.call(secretOps.use, { names, session, team });
      return { values };
    }),
    action(secretOps.rotate, async (_ctx, { keep }) =>
      plain(await (await vault.ring()).rotate(keep === undefined ? {} : { kind: keep })),
    ),
    action(secretOps.protect, async (_ctx, { passphrase }) => plain(await (await vault.ring()).rotate({ passphrase }))),
    action(secretOps.keys, async () => plain((await vault.ring()).facts())),
  ];
}

function plain({ kind, keys }: KeyringFacts): { kind: KeyringFacts['kind']; keys: { id: string; at: number }[] } {
  return { kind, keys: [...keys] };
}
