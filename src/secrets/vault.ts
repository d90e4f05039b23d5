import { AppError } from '../kernel/error.ts';
import type { Reader } from '../kernel/handler.ts';
import { type Mask, sessionMask } from '../kernel/mask.ts';
import { open, seal } from '../kernel/seal.ts';
import type { Keyring } from './keyring.ts';
import { allSealedValues, needSecret, sealedValue, type SealedValue } from './views.ts';

/**
 * Closes and opens values. The keyring is opened at the first need, so that whoever has no secrets needs no keys and no passphrase.
 */
export class Vault {
  readonly #open: () => Promise<Keyring>;
  readonly #reader: Reader;
  #ring: Promise<Keyring> | undefined;
  /** Opened values by their envelopes, for masks: what was opened once need not be opened for each page of a transcript. */
  readonly #opened = new Map<string, string>();

  constructor(openRing: () => Promise<Keyring>, reader: Reader) {
    this.#open = openRing;
    this.#reader = reader;
  }

  /** The keyring. One that could not be opened is tried again at the next call. */
  async ring(): Promise<Keyring> {
    this.#ring ??= this.#open();
    try {
      return await this.#ring;
    } catch (error) {
      this.#ring = undefined;
      throw error;
    }
  }

  async seal(secret: string, value: string): Promise<string> {
    return seal((await this.ring()).keys.current, value, placeOf(secret));
  }

  /** The present values of secrets, by their names. Refuses a name that is not there. */
  async values(names: readonly string[]): Promise<Record<string, string>> {
    const { keys } = await this.ring();
    const entries = names.map((name) => {
      const sealed = sealedValue(this.#reader, needSecret(this.#reader, name).id);
      if (sealed === undefined) throw new AppError('not_found', `The secret ${name} has no value.`);
      return [name, open(keys, sealed.sealed, placeOf(sealed.secret))] as const;
    });
    return Object.fromEntries(entries);
  }

  /** Hides MAOS's own tokens, and all values that secrets of these names have ever had: a session may have been given an earlier one. */
  async mask(names: readonly string[]): Promise<Mask> {
    const sealed = names.flatMap((name) => allSealedValues(this.#reader, name));
    if (sealed.length === 0) return sessionMask([]);
    const ring = await this.ring();
    return sessionMask(sealed.map((one) => this.#openOnce(ring, one)));
  }

  #openOnce({ keys }: Keyring, { secret, sealed }: SealedValue): string {
    let value = this.#opened.get(sealed);
    if (value === undefined) {
      value = open(keys, sealed, placeOf(secret));
      this.#opened.set(sealed, value);
    }
    return value;
  }
}

const placeOf = (secret: string): string => `${secret}/value`;
