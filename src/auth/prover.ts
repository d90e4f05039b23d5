/**
 * Looks at passwords and codes, and slows down who guesses: the one place that does, whichever door a person comes through.
 */
import type { Clock } from '../kernel/clock.ts';
import { AppError } from '../kernel/error.ts';
import type { Reader } from '../kernel/handler.ts';
import { type Keys, open } from '../kernel/seal.ts';
import { Attempts } from './attempts.ts';
import { Familiar } from './familiar.ts';
import type { Source } from './lanes.ts';
import { passwordFits, refuseCrowd } from './password.ts';
import { recoveryHash } from './secret.ts';
import { wrong } from './service.ts';
import { stepOf } from './totp.ts';
import { hasFactor, hasRecovery, userNamed, type UserRow } from './views.ts';

/**
 * A name is tried slowly soon; an address, behind which many people may be, later.
 *
 * Wrong attempts at a name from everywhere count together, so that many addresses guess no faster than one. That alone would let
 * strangers keep a user out for as long as they go on; so from an address where the user has logged in before, only the attempts from
 * there count. Elsewhere the user waits with the others, at most five minutes for a turn.
 */
const limits = {
  name: { free: 5, firstMs: 1_000, longestMs: 5 * 60_000, forgetMs: 10 * 60_000 },
  address: { free: 50, firstMs: 1_000, longestMs: 60_000, forgetMs: 60_000 },
} as const;

/** Which of the two a code was, as the log may know it. */
export interface Factor {
  readonly step: number | null;
  readonly recovery: string | null;
}

export interface ProverOptions {
  readonly clock: Clock;
  /** The keys that second factors are sealed with. */
  readonly keys: () => Promise<Keys>;
}

/** Who is counted: attempts at a name, and attempts from an address or by a credential. */
export interface Attempt {
  readonly name: string;
  readonly source: Source;
}

/** See the head of this file. */
export class Prover {
  readonly #options: ProverOptions;
  readonly #names: Attempts;
  readonly #addresses: Attempts;
  readonly #familiar = new Familiar();

  constructor(options: ProverOptions) {
    this.#options = options;
    this.#names = new Attempts(options.clock, limits.name);
    this.#addresses = new Attempts(options.clock, limits.address);
  }

  /** Who may log in by this name; undefined: nobody, and that is found out as slowly as a wrong password. */
  static known(db: Reader, name: string): UserRow | undefined {
    const row = userNamed(db, name);
    return row === undefined || row.disabled === 1 || row.removed === 1 ? undefined : row;
  }

  /** Refuses a wrong password, and a wrong or missing code of who has a second factor. */
  prove(db: Reader, attempt: Attempt, row: UserRow | undefined, password: string, code?: string): Promise<Factor> {
    refuseCrowd(attempt.source);
    return this.guarded(attempt, async () => {
      const user = await withPassword(row, password, attempt.source);
      if (!hasFactor(user)) return { step: null, recovery: null };
      // Said only to who knows the password.
      if (code === undefined) throw secondFactor();
      return this.#factorOf(db, user, code);
    });
  }

  /** The first of two steps. Where a code has to follow, the attempt is open until that was right: a right password alone wins nothing. */
  async password(attempt: Attempt, row: UserRow | undefined, password: string): Promise<UserRow> {
    refuseCrowd(attempt.source);
    this.#begin(attempt);
    const user = await withPassword(row, password, attempt.source);
    if (!hasFactor(user)) this.#succeeded(attempt);
    return user;
  }

  /** The second of two steps. */
  code(db: Reader, attempt: Attempt, row: UserRow, code: string): Promise<Factor> {
    return this.guarded(attempt, () => this.#factorOf(db, row, code));
  }

  /** One attempt, counted against its name and its address until it is known to be right. */
  async guarded<Result>(attempt: Attempt, body: () => Promise<Result>): Promise<Result> {
    this.#begin(attempt);
    const result = await body();
    this.#succeeded(attempt);
    return result;
  }

  /** The step of time of a code that an app shows now. */
  async stepOf(row: UserRow, code: string): Promise<number> {
    const secret = open(await this.#options.keys(), row.factor ?? '', factorPlace(row));
    const step = stepOf(secret, code, this.#options.clock.now());
    if (step === undefined) throw wrong();
    return step;
  }

  #begin(attempt: Attempt): void {
    this.#addresses.begin(attempt.source.key);
    this.#names.begin(this.#tried(attempt));
  }

  #succeeded(attempt: Attempt): void {
    const { name, source } = attempt;
    this.#names.succeeded(this.#tried(attempt));
    // Whoever has one account would otherwise guess at all others for as long as they like.
    this.#addresses.forgive(source.key);
    if (!source.known) this.#familiar.remember(name, source.key);
  }

  /** By what attempts at a name are counted. */
  #tried({ name, source: { key, known } }: Attempt): string {
    return known || this.#familiar.knows(name, key) ? `${name} ${key}` : name;
  }

  async #factorOf(db: Reader, row: UserRow, code: string): Promise<Factor> {
    if (/^\d{6}$/.test(code)) {
      const step = await this.stepOf(row, code);
      if (step <= (row.factor_step ?? 0)) throw wrong();
      return { step, recovery: null };
    }
    const recovery = recoveryHash(code);
    if (!hasRecovery(db, row.id, recovery)) throw wrong();
    return { step: null, recovery };
  }
}

/** What the envelope of a second factor is bound to. */
export function factorPlace({ id }: UserRow): string {
  return `user/${id}/factor`;
}

/** Takes as long for a name that nobody has, and answers the same. */
async function withPassword(row: UserRow | undefined, password: string, source: Source): Promise<UserRow> {
  if (!(await passwordFits(password, row?.password, source)) || row === undefined) throw wrong();
  return row;
}

function secondFactor(): AppError {
  return new AppError('unauthenticated', 'A code is needed as well.', {
    fix: 'Give the six digits of the authenticator app, or a recovery code, as "code".',
    details: { needs: 'code' },
  });
}
