/**
 * Where a master key is kept: in a file for its owner alone, in the keyring of the operating system, or nowhere, when it is made
 * from a passphrase each time. A master key closes nothing but the data keys in `keys.json`.
 */
import { randomBytes, scrypt } from 'node:crypto';
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import * as z from 'zod';
import { AppError, invalid } from '../kernel/error.ts';
import type { Exec } from '../kernel/exec.ts';
import { replaceFile } from '../kernel/replace.ts';
import { newKey, type SealingKey } from '../kernel/seal.ts';

/** The ways in which a master key can be kept. */
export const masterKinds = ['file', 'passphrase', 'keyring'] as const;
export type MasterKind = (typeof masterKinds)[number];

/** How a master key is found again; nothing of the key itself. */
export const masterEntry = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('file'), id: z.string() }),
  z.strictObject({
    kind: z.literal('passphrase'),
    id: z.string(),
    salt: z.string(),
    cost: z
      .int()
      .min(2 ** 14)
      .max(2 ** 20),
    blockSize: z.int().min(8).max(32),
    parallel: z.int().min(1).max(16),
  }),
  z.strictObject({ kind: z.literal('keyring'), id: z.string() }),
]);
export type MasterEntry = z.output<typeof masterEntry>;

export interface MasterOptions {
  /** The key file. */
  readonly file: string;
  readonly exec: Exec;
  /** For the programs of the operating system's keyring. */
  readonly environment: Readonly<Record<string, string>>;
  readonly platform: NodeJS.Platform;
  /** The passphrase that this server was started with. */
  readonly passphrase: () => string | undefined;
}

/** A master key, and how it is found again. */
interface Master {
  readonly entry: MasterEntry;
  readonly key: SealingKey;
}

// 128 MB and about half a second for each guess (OWASP's recommendation for scrypt).
const scryptCost = { cost: 2 ** 17, blockSize: 8, parallel: 1 } as const;
const shortestPassphrase = 8;

/** Makes a master key and keeps it: when this returns it survives a crash. `passphrase`: another one than the server's. */
export async function makeMaster(
  options: MasterOptions,
  kind: MasterKind,
  id: string,
  passphrase?: string,
): Promise<Master> {
  switch (kind) {
    case 'file': {
      const key = newKey(id);
      const lines = existsSync(options.file) ? readLines(options.file) : [];
      writeLines(options.file, [...lines, key]);
      return { entry: { kind, id }, key };
    }
    case 'passphrase': {
      const entry = { kind, id, salt: randomBytes(16).toString('base64url'), ...scryptCost };
      return { entry, key: await derive(entry, passphrase ?? options.passphrase()) };
    }
    case 'keyring': {
      const key = newKey(id);
      await storeInKeyring(options, key);
      return { entry: { kind, id }, key };
    }
  }
}

/** Finds a master key again. Refuses, saying what is missing and where it is looked for. */
export async function findMaster(options: MasterOptions, entry: MasterEntry): Promise<SealingKey> {
  switch (entry.kind) {
    case 'file': {
      const found = readLines(options.file).find(({ id }) => id === entry.id);
      if (found !== undefined) return found;
      throw new AppError('unavailable', `${options.file} does not hold the key ${entry.id}, which keys.json needs.`, {
        fix: 'Put back the key file that belongs to this keys.json.',
      });
    }
    case 'passphrase':
      return derive(entry, options.passphrase());
    case 'keyring':
      return lookUp(options, entry.id);
  }
}

/** Forgets a master key that nothing needs any more; one that is gone already is no error. */
export async function dropMaster(options: MasterOptions, entry: MasterEntry): Promise<void> {
  if (entry.kind === 'passphrase') return;
  if (entry.kind === 'keyring') {
    await keyringProgram(options, 'clear', entry.id);
    return;
  }
  if (!existsSync(options.file)) return;
  const lines = readLines(options.file);
  const kept = lines.filter(({ id }) => id !== entry.id);
  if (kept.length < lines.length) writeLines(options.file, kept);
}

async function derive(
  entry: Extract<MasterEntry, { kind: 'passphrase' }>,
  passphrase: string | undefined,
): Promise<SealingKey> {
  if (passphrase === undefined || passphrase === '') {
    throw new AppError('unavailable', 'The keys of this MAOS_HOME are closed with a passphrase, and none was given.', {
      fix: 'Set MAOS_PASSPHRASE_FILE to a file that holds it, or MAOS_PASSPHRASE to itself, and start the server again.',
    });
  }
  if (passphrase.length < shortestPassphrase)
    throw invalid(`The passphrase has fewer than ${shortestPassphrase} characters.`, { fix: 'Choose a longer one.' });
  const { cost, blockSize, parallel, salt, id } = entry;
  const limits = { cost, blockSize, parallelization: parallel, maxmem: 256 * cost * blockSize };
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    scrypt(passphrase.normalize('NFKC'), Buffer.from(salt, 'base64url'), 32, limits, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
  return { id, bytes };
}

const line = /^(\w{1,64}) ([0-9a-f]{64})$/;

/** The keys of a key file. Refuses a file that others can read, a link, and what is no key file. */
function readLines(path: string): SealingKey[] {
  const file = openOwn(path);
  try {
    const { mode } = fstatSync(file);
    if ((mode & 0o077) !== 0) {
      throw new AppError(
        'forbidden',
        `${path} can be read by others (mode ${(mode & 0o777).toString(8)}), so what it protects is no secret.`,
        { fix: `chmod 600 '${path}', then make new keys: maos secret rotate.` },
      );
    }
    const lines = readFileSync(file, 'latin1')
      .split('\n')
      .filter((text) => text !== '');
    return lines.map((text) => {
      const [, id, hex] = line.exec(text) ?? [];
      if (id !== undefined && hex !== undefined) return { id, bytes: Buffer.from(hex, 'hex') };
      throw new AppError('unavailable', `${path} is not a key file of MAOS.`, {
        fix: 'Put back the one that was there.',
      });
    });
  } finally {
    closeSync(file);
  }
}

function openOwn(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const what =
      code === 'ENOENT' ? 'is not there' : code === 'ELOOP' ? 'is a symbolic link' : `cannot be read (${code})`;
    throw new AppError('unavailable', `The key file ${path} ${what}.`, {
      fix: 'Put back the key file that belongs to this MAOS_HOME, as a plain file of your own: without it what was sealed stays closed.',
    });
  }
}

function writeLines(path: string, keys: readonly SealingKey[]): void {
  replaceFile(path, keys.map(({ id, bytes }) => `${id} ${Buffer.from(bytes).toString('hex')}\n`).join(''));
}

async function storeInKeyring(options: MasterOptions, key: SealingKey): Promise<void> {
  const hex = Buffer.from(key.bytes).toString('hex');
  const problem = await keyringProgram(options, 'store', key.id, hex);
  const back = problem.code === 0 ? await keyringProgram(options, 'lookup', key.id) : problem;
  if (back.code === 0 && back.stdout.trim() === hex) return;
  throw new AppError('unavailable', `The keyring of this system cannot keep a key: ${reason(back)}.`, {
    fix: 'Unlock it or install it (Linux: secret-tool of libsecret; macOS: security), or keep the key in a file: "keys": "file".',
  });
}

async function lookUp(options: MasterOptions, id: string): Promise<SealingKey> {
  const result = await keyringProgram(options, 'lookup', id);
  const hex = result.stdout.trim();
  if (result.code === 0 && /^[0-9a-f]{64}$/.test(hex)) return { id, bytes: Buffer.from(hex, 'hex') };
  throw new AppError('unavailable', `The keyring of this system does not give the key ${id}: ${reason(result)}.`, {
    fix: 'Unlock the keyring of the account that started MAOS first, and start the server again.',
  });
}

function reason({ code, stderr }: { readonly code: number; readonly stderr: string }): string {
  if (code === 127) return 'its program is not installed';
  return stderr.trim() === '' ? `its program ended with ${code}` : stderr.trim().slice(0, 200);
}

/** Keys go through stdin: arguments can be seen by everyone on the machine. */
function keyringProgram(
  { exec, environment: env, platform }: MasterOptions,
  what: 'store' | 'lookup' | 'clear',
  id: string,
  hex = '',
): ReturnType<Exec> {
  const timeout = 30_000;
  if (platform !== 'darwin') {
    const names = ['service', 'maos', 'id', id];
    if (what !== 'store') return exec('secret-tool', [what, ...names], { env, timeout });
    return exec('secret-tool', ['store', '--label=MAOS master key', ...names], { env, timeout, input: hex });
  }
  const names = ['-s', 'maos', '-a', id];
  if (what === 'lookup') return exec('security', ['find-generic-password', ...names, '-w'], { env, timeout });
  if (what === 'clear') return exec('security', ['delete-generic-password', ...names], { env, timeout });
  return exec('security', ['-i'], { env, timeout, input: `add-generic-password -U ${names.join(' ')} -w ${hex}\n` });
}
