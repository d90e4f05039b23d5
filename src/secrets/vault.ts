import { AppError } from '../kernel/error.ts';
import type { Reader } from '../kernel/handler.ts';
import { type Mask, sessionMask } from '../kernel/mask.ts';
import { open, seal } from '../kernel/seal.ts';
import type { Secret } from './contract.ts';
import type { Keyring } from './keyring.ts';
import { allSealedValues, secretFor, sealedValue, type SealedValue, variablesNamed } from './views.ts';

/**
 * Closes and opens values. The keyring is opened at the first need, so that whoever has no secrets needs no keys and no passphrase.
 */
export class Vault {
  readonly #open: () => Promise<Keyring>;
  readonly #reader: Reader;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  #ring: Promise<Keyring> | undefined;
  /** Opened values by their envelopes, for masks: what was opened once need not be opened for each page of a transcript. */
  readonly #opened = new Map<string, string>();

  constructor(
    openRing: () => Promise<Keyring>,
    reader: Reader,
    /** Of the server: secrets can be made of its variables. */
    environment: Readonly<Record<string, string | undefined>> = {},
  ) {
    this.#open = openRing;
    this.#environment = environment;
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

  /** The present values of secrets that a team is given, by their names. Refuses a name that is not there for it. */
  async values(names: readonly string[], team: string | null): Promise<Record<string, string>> {
    const found = names.map((name) => secretFor(this.#reader, name, team));
    const entries = found.map(async (secret) => [secret.name, await this.#value(secret)] as const);
    return Object.fromEntries(await Promise.all(entries));
  }

  async #value({ id, name, from }: Secret): Promise<string> {
    if (from !== null) {
      const value = this.#environment[from];
      if (value !== undefined) return value;
      throw new AppError('not_found', `The secret ${name} is the variable ${from}, which the server does not have.`, {
        fix: `Set it where MAOS is started: maos down, export ${from}=…, maos up.`,
      });
    }
    const sealed = sealedValue(this.#reader, id);
    if (sealed === undefined) throw new AppError('not_found', `The secret ${name} has no value.`);
    return open((await this.ring()).keys, sealed.sealed, placeOf(sealed.secret));
  }

  /** Hides MAOS's own tokens, and all values that secrets of these names have ever had: a session may have been given an earlier one. */
  async mask(names: readonly string[]): Promise<Mask> {
    const sealed = names.flatMap((name) => allSealedValues(this.#reader, name));
    const read = names
      .flatMap((name) => variablesNamed(this.#reader, name))
      .flatMap((variable) => this.#environment[variable] ?? []);
    if (sealed.length === 0) return sessionMask(read);
    const ring = await this.ring();
    return sessionMask([...read, ...sealed.map((one) => this.#openOnce(ring, one))]);
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
