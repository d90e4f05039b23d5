import type { KeyObject } from 'node:crypto';
import type { Clock } from '../../kernel/clock.ts';
import { AppError } from '../../kernel/error.ts';
import type { Call, Reader } from '../../kernel/handler.ts';
import type { NewId } from '../../kernel/id.ts';
import { type Keys, open, seal } from '../../kernel/seal.ts';
import { oauthOps, type SigningKey } from './contract.ts';
import { type Claims, newSigningPair, privateKeyFrom, type PublicJwk, publicJwk, signToken } from './jwt.ts';
import { accessMs } from './lifetimes.ts';
import { liveKeys, signingKey } from './views.ts';

/** A key signs for so long; then the next token is signed with a new one. */
const keyMs = 90 * 24 * 3_600_000;

export interface SigningOptions {
  readonly reader: Reader;
  readonly clock: Clock;
  readonly newId: NewId;
  /** What seals the private halves. */
  readonly keys: () => Promise<Keys>;
  /** Calls as MAOS itself. */
  readonly call: Call;
}

/** The keys that sign access tokens: made at the first need, replaced when they are old or when somebody asks. */
export class SigningKeys {
  readonly #options: SigningOptions;
  #open: { readonly kid: string; readonly key: KeyObject } | undefined;

  constructor(options: SigningOptions) {
    this.#options = options;
  }

  /** For `/oauth/jwks`: also the keys that sign no more, while tokens of theirs count. */
  jwks(): { readonly keys: readonly PublicJwk[] } {
    const { reader, clock } = this.#options;
    return { keys: liveKeys(reader, clock.now()).map((row) => publicJwk(row.kid, row.public)) };
  }

  /** Makes sure that there is a key, before anything is used up for what it shall sign. */
  async prepare(): Promise<void> {
    await this.#current();
  }

  async sign(claims: Claims): Promise<string> {
    const { kid, key } = await this.#current();
    return signToken(kid, key, claims);
  }

  /** A new key. Tokens of the others count until they have expired, or not at all any more. */
  async rotate(call: Call, endNow = false): Promise<{ keys: SigningKey[] }> {
    const { reader, clock, newId, keys } = this.#options;
    const was = signingKey(reader)?.kid ?? null;
    const kid = newId('sign');
    const { publicKey, privateKey } = newSigningPair();
    const sealed = seal((await keys()).current, privateKey, placeOf(kid));
    const othersEndAt = clock.now() + (endNow ? 0 : accessMs);
    return call(oauthOps.recordKey, { kid, publicKey, sealed, othersEndAt, was });
  }

  async #current(): Promise<{ readonly kid: string; readonly key: KeyObject }> {
    const { reader, clock, keys, call } = this.#options;
    let row = signingKey(reader);
    if (row === undefined || clock.now() - row.made_at > keyMs) {
      try {
        await this.rotate(call);
      } catch (error) {
        // Another request was first; its key is as good.
        if (!(error instanceof AppError) || error.code !== 'conflict') throw error;
      }
      row = signingKey(reader);
    }
    if (row === undefined) throw new Error('A signing key was made and is not there.');
    if (this.#open?.kid !== row.kid)
      this.#open = { kid: row.kid, key: privateKeyFrom(open(await keys(), row.sealed, placeOf(row.kid))) };
    return this.#open;
  }
}

function placeOf(kid: string): string {
  return `oauth/${kid}`;
}
