/**
 * The data keys of a home folder. Each is kept in `keys.json`, closed with the master key.
 *
 * K1. A data key is never thrown away: whatever was sealed under it stays readable.
 * K2. Whatever `keys.json` says at any moment, the master key that it names is kept: a new one is kept before it is named, and an
 *     old one is forgotten only after it is named no more. A kill between two steps leaves the old keyring or the new one.
 * K3. One process at a time makes or changes a keyring.
 */
import { existsSync, readFileSync } from 'node:fs';
import * as z from 'zod';
import { AppError } from '../kernel/error.ts';
import type { NewId } from '../kernel/id.ts';
import { replaceFile } from '../kernel/replace.ts';
import { type Keys, keysOf, newKey, open, seal, type SealingKey } from '../kernel/seal.ts';
import { holdLock } from '../log/lock.ts';
import { dropMaster, findMaster, makeMaster, masterEntry, type MasterKind, type MasterOptions } from './master.ts';

const documentSchema = z.strictObject({
  version: z.literal(1),
  master: masterEntry,
  /** Masters that are named no more and may not have been forgotten yet. */
  retired: z.array(masterEntry),
  keys: z.array(z.strictObject({ id: z.string(), at: z.int(), wrapped: z.string() })).min(1),
});
type KeyringDocument = z.output<typeof documentSchema>;

export interface KeyringOptions extends MasterOptions {
  /** `keys.json` */
  readonly document: string;
  readonly lock: string;
  /** How a keyring that is made now keeps its master key. */
  readonly kind: MasterKind;
  readonly now: () => number;
  readonly newId: NewId;
  /** Told before each step that changes the disk; tests end the process there. */
  readonly onStep?: (step: string) => void;
}

/** What is told of a keyring; no key. */
export interface KeyringFacts {
  readonly kind: MasterKind;
  readonly keys: readonly { readonly id: string; readonly at: number }[];
}

/** An open keyring. */
export interface Keyring {
  /** As they are now: rotation adds to them. */
  readonly keys: Keys;
  facts(): KeyringFacts;
  /** Makes a new master key and a new data key; all data keys are closed with the new master. */
  rotate(to?: { readonly kind?: MasterKind; readonly passphrase?: string }): Promise<KeyringFacts>;
}

/** Opens the keyring, making it at its first use. Refuses a wrong master key, and a file that is none of ours. */
export async function openKeyring(options: KeyringOptions): Promise<Keyring> {
  if (!existsSync(options.document)) await locked(options, () => create(options));
  const document = readDocument(options.document);
  const master = await findMaster(options, document.master);
  return new OpenKeyring(options, document, master, unwrap(options, document, master));
}

class OpenKeyring implements Keyring {
  readonly #options: KeyringOptions;
  #document: KeyringDocument;
  #master: SealingKey;
  #list: readonly SealingKey[];

  constructor(options: KeyringOptions, document: KeyringDocument, master: SealingKey, keys: readonly SealingKey[]) {
    this.#options = options;
    this.#document = document;
    this.#master = master;
    this.#list = keys;
  }

  get keys(): Keys {
    return keysOf(this.#list);
  }

  facts(): KeyringFacts {
    const { master, keys } = this.#document;
    return { kind: master.kind, keys: keys.map(({ id, at }) => ({ id, at })) };
  }

  async rotate(to: { readonly kind?: MasterKind; readonly passphrase?: string } = {}): Promise<KeyringFacts> {
    const options = this.#options;
    const { newId, now, document: path, onStep } = options;
    return locked(options, async () => {
      // As it is on the disk, not as it was when this server opened it.
      const old = readDocument(path);
      const before = old.master.id === this.#master.id ? this.#master : await findMaster(options, old.master);
      const list = [...unwrap(options, old, before), newKey(newId('key'))];
      onStep?.('keep the new master key');
      const kind = to.kind ?? (to.passphrase === undefined ? old.master.kind : 'passphrase');
      const { entry, key } = await makeMaster(options, kind, newId('master'), to.passphrase);
      const times = new Map(old.keys.map(({ id, at }) => [id, at]));
      const keys = list.map((one) => ({ id: one.id, at: times.get(one.id) ?? now(), wrapped: wrap(key, one) }));
      const document = { version: 1 as const, master: entry, retired: [...old.retired, old.master], keys };
      onStep?.('name the new master key');
      write(path, document);
      this.#document = document;
      this.#master = key;
      this.#list = list;
      for (const master of document.retired) {
        onStep?.(`forget ${master.kind}`);
        await dropMaster(options, master);
      }
      onStep?.('note that they are forgotten');
      this.#document = { ...document, retired: [] };
      write(path, this.#document);
      return this.facts();
    });
  }
}

async function create(options: KeyringOptions): Promise<void> {
  const { document: path, newId, now, kind, onStep } = options;
  if (existsSync(path)) return;
  onStep?.('keep the master key');
  const { entry, key } = await makeMaster(options, kind, newId('master'));
  const data = newKey(newId('key'));
  onStep?.('write keys.json');
  write(path, {
    version: 1,
    master: entry,
    retired: [],
    keys: [{ id: data.id, at: now(), wrapped: wrap(key, data) }],
  });
}

async function locked<Result>({ lock }: KeyringOptions, body: () => Promise<Result>): Promise<Result> {
  const held = holdLock(lock);
  try {
    return await body();
  } finally {
    held.release();
  }
}

const placeOf = (id: string): string => `keys.json/${id}`;

function wrap(master: SealingKey, key: SealingKey): string {
  return seal(master, Buffer.from(key.bytes).toString('base64url'), placeOf(key.id));
}

function unwrap(options: KeyringOptions, document: KeyringDocument, master: SealingKey): SealingKey[] {
  const masters = keysOf([master]);
  try {
    return document.keys.map(({ id, wrapped }) => ({
      id,
      bytes: Buffer.from(open(masters, wrapped, placeOf(id)), 'base64url'),
    }));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const what =
      document.master.kind === 'passphrase' ? 'The passphrase is not the one' : 'The master key is not the one';
    throw new AppError('unavailable', `${what} that ${options.document} was closed with, or that file was changed.`, {
      fix:
        document.master.kind === 'passphrase'
          ? 'Give the right passphrase (MAOS_PASSPHRASE_FILE or MAOS_PASSPHRASE).'
          : 'Put back keys.json and the key file of the same moment.',
    });
  }
}

function readDocument(path: string): KeyringDocument {
  const parsed = documentSchema.safeParse(jsonOf(readFileSync(path, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new AppError('unavailable', `${path} is not a keyring of this MAOS.`, {
    fix: 'Put back the one that was there: without it what was sealed stays closed. If a newer MAOS wrote it, update.',
  });
}

function jsonOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

function write(path: string, document: KeyringDocument): void {
  replaceFile(path, `${JSON.stringify(document, undefined, 2)}\n`);
}
