import { readFileSync, statSync } from 'node:fs';
import { AppError } from '../kernel/error.ts';
import { exec } from '../kernel/exec.ts';
import { newId } from '../kernel/id.ts';
import { type Keyring, openKeyring } from '../secrets/keyring.ts';
import type { Config } from './config.ts';
import { now } from './engine.ts';
import { type Environment, placesIn } from './places.ts';

/** Opens the keyring of a home folder. The passphrase, when it has one, comes from a file or the environment. */
export function keyringOf(config: Config, environment: Environment): Promise<Keyring> {
  const places = placesIn(config.home);
  const env = Object.entries(environment).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value] as const],
  );
  return openKeyring({
    document: places.keys,
    file: places.masterKey,
    lock: `${places.keys}.lock`,
    kind: config.keys,
    exec,
    environment: Object.fromEntries(env),
    platform: process.platform,
    passphrase: () => passphraseFrom(environment),
    now,
    newId,
  });
}

/** What other programs may be given of the environment: not what opens the keys. */
export function withoutPassphrase(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('MAOS_PASSPHRASE')));
}

function passphraseFrom(environment: Environment): string | undefined {
  const file = environment['MAOS_PASSPHRASE_FILE'];
  if (file === undefined || file === '') return environment['MAOS_PASSPHRASE'];
  try {
    const { mode } = statSync(file);
    if ((mode & 0o077) === 0) return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    throw new AppError(
      'forbidden',
      `The passphrase in ${file} can be read by others (mode ${(mode & 0o777).toString(8)}).`,
      {
        fix: `chmod 600 '${file}'`,
      },
    );
  } catch (error) {
    if (error instanceof AppError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('unavailable', `The file that MAOS_PASSPHRASE_FILE names cannot be read: ${reason}.`, {
      fix: 'Name a file that holds the passphrase, or set MAOS_PASSPHRASE.',
    });
  }
}
