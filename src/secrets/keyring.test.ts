import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { open, seal } from '../kernel/seal.ts';
import { installSecretTool, keyringIn, temporaryFolder } from './keyring.fixture.ts';
import { type Keyring, openKeyring } from './keyring.ts';

let place: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  place = temporaryFolder();
});
afterEach(() => place.remove());

const at = (name: string): string => join(place.path, name);
const opened = (change: Parameters<typeof keyringIn>[1] = {}): Promise<Keyring> =>
  openKeyring(keyringIn(place.path, change));
const failure = (change: Parameters<typeof keyringIn>[1] = {}): Promise<unknown> =>
  opened(change).then(
    () => 'it opened',
    (error: unknown) => error,
  );

describe('a keyring with a key file', () => {
  it('is made at its first use, for its owner alone, and opens again', async () => {
    const first = await opened();
    expect(statSync(at('key')).mode & 0o777).toBe(0o600);
    expect(statSync(at('keys.json')).mode & 0o777).toBe(0o600);
    const envelope = seal(first.keys.current, 'value', 'here');
    expect(open((await opened()).keys, envelope, 'here')).toBe('value');
    const bytes = Buffer.from(first.keys.current.bytes);
    for (const text of [readFileSync(at('keys.json'), 'utf8'), readFileSync(at('key'), 'utf8')]) {
      expect(text).not.toContain(bytes.toString('base64url'));
      expect(text).not.toContain(bytes.toString('hex'));
    }
  });

  it('after a rotation closes with a new key under a new master, and opens what is older', async () => {
    const ring = await opened();
    const old = seal(ring.keys.current, 'old', 'here');
    const before = { key: readFileSync(at('key'), 'utf8'), document: readFileSync(at('keys.json'), 'utf8') };
    const facts = await ring.rotate();
    expect(facts.keys).toHaveLength(2);
    const fresh = seal(ring.keys.current, 'new', 'here');
    for (const keys of [ring.keys, (await opened()).keys]) {
      expect(open(keys, old, 'here')).toBe('old');
      expect(open(keys, fresh, 'here')).toBe('new');
      expect(keys.current.id).toBe(ring.keys.current.id);
    }
    expect(readFileSync(at('key'), 'utf8').trim().split('\n')).toHaveLength(1);
    // The old key file opens nothing of the new keyring.
    writeFileSync(at('key'), before.key);
    expect(await failure()).toMatchObject({ code: 'unavailable', fix: expect.stringContaining('key file') });
    writeFileSync(at('keys.json'), before.document);
    expect(open((await opened()).keys, old, 'here')).toBe('old');
  });

  it('is refused when others can read the file, when it is a link, missing, foreign, or another one', async () => {
    await opened();
    const text = readFileSync(at('key'), 'utf8');
    chmodSync(at('key'), 0o640);
    expect(await failure()).toMatchObject({ code: 'forbidden', fix: expect.stringContaining('chmod 600') });
    rmSync(at('key'));
    expect(await failure()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('is not there') });
    writeFileSync(at('real'), text, { mode: 0o600 });
    symlinkSync(at('real'), at('key'));
    expect(await failure()).toMatchObject({ message: expect.stringContaining('symbolic link') });
    rmSync(at('key'));
    writeFileSync(at('key'), 'password\n', { mode: 0o600 });
    expect(await failure()).toMatchObject({ message: expect.stringContaining('not a key file') });
    writeFileSync(at('key'), text.replace(/[0-9a-f]{64}/, 'ab'.repeat(32)));
    expect(await failure()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('not the one') });
    writeFileSync(at('key'), text);
    writeFileSync(at('keys.json'), '{"version": 2}');
    expect(await failure()).toMatchObject({ message: expect.stringContaining('not a keyring') });
  });

  it('whose data keys were exchanged in keys.json is refused', async () => {
    const ring = await opened();
    await ring.rotate();
    const document: { keys: { id: string; wrapped: string }[] } = JSON.parse(readFileSync(at('keys.json'), 'utf8'));
    const [one, two] = document.keys;
    if (one === undefined || two === undefined) throw new Error('There are two keys.');
    [one.wrapped, two.wrapped] = [two.wrapped, one.wrapped];
    writeFileSync(at('keys.json'), JSON.stringify(document));
    expect(await failure()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('was changed') });
  });
});

describe('a process that is killed', () => {
  const fixture = fileURLToPath(new URL('./keyring.fixture.ts', import.meta.url));
  const run = (step: number): { signal: string | null; status: number | null } =>
    spawnSync(process.execPath, [fixture, place.path, String(step)], { stdio: ['ignore', 'ignore', 'inherit'] });

  it('at any step of the making leaves nothing that is in the way', async () => {
    for (let step = 0; ; step += 1) {
      for (const name of readdirSync(place.path)) rmSync(at(name), { recursive: true });
      const { signal } = run(step);
      if (signal === null) {
        expect(step).toBe(2);
        return;
      }
      expect(signal).toBe('SIGKILL');
      const ring = await opened();
      expect(open((await opened()).keys, seal(ring.keys.current, 'value', 'here'), 'here')).toBe('value');
    }
  });

  it('at any step of a rotation leaves the old keyring or the new one, and the next rotation forgets what was left', async () => {
    const ring = await opened();
    const old = seal(ring.keys.current, 'old', 'here');
    // Each kill leaves one more master to forget; 1000: it is not killed.
    for (const step of [0, 1, 2, 3, 4, 5, 1000]) {
      const { signal } = run(step);
      expect(signal).toBe(step < 1000 ? 'SIGKILL' : null);
      const now = await opened();
      expect(open(now.keys, old, 'here')).toBe('old');
      expect(open((await opened()).keys, seal(now.keys.current, 'new', 'here'), 'here')).toBe('new');
    }
    const document: { master: { id: string }; retired: unknown[] } = JSON.parse(readFileSync(at('keys.json'), 'utf8'));
    expect(document.retired).toEqual([]);
    expect(readFileSync(at('key'), 'utf8')).toContain(document.master.id);
  });
});

describe('a keyring with a passphrase', () => {
  const passphrase = (): string => 'correct horse battery';

  it('keeps no key anywhere, and opens with the same passphrase alone', async () => {
    const ring = await opened({ kind: 'passphrase', passphrase });
    expect(existsSync(at('key'))).toBe(false);
    expect(readFileSync(at('keys.json'), 'utf8')).toMatch(/"cost": 131072/);
    const envelope = seal(ring.keys.current, 'value', 'here');
    expect(open((await opened({ passphrase })).keys, envelope, 'here')).toBe('value');
    expect(await failure()).toMatchObject({
      code: 'unavailable',
      fix: expect.stringContaining('MAOS_PASSPHRASE_FILE'),
    });
    expect(await failure({ passphrase: () => 'incorrect horse' })).toMatchObject({
      message: expect.stringContaining('The passphrase is not the one'),
    });
  });

  it('comes from a key file by a rotation, which forgets the file’s key; and may change', async () => {
    const ring = await opened();
    const envelope = seal(ring.keys.current, 'value', 'here');
    expect((await ring.rotate({ passphrase: passphrase() })).kind).toBe('passphrase');
    expect(readFileSync(at('key'), 'utf8')).toBe('');
    await ring.rotate({ passphrase: 'another passphrase' });
    expect(open((await opened({ passphrase: () => 'another passphrase' })).keys, envelope, 'here')).toBe('value');
    expect(await failure({ passphrase })).toMatchObject({ code: 'unavailable' });
    await expect(ring.rotate({ passphrase: 'short' })).rejects.toMatchObject({ code: 'invalid' });
    expect(open((await opened({ passphrase: () => 'another passphrase' })).keys, envelope, 'here')).toBe('value');
  });
});

describe('a keyring of the operating system', () => {
  it('keeps the master key there, and forgets old ones', async () => {
    installSecretTool(place.path);
    const ring = await opened({ kind: 'keyring' });
    const envelope = seal(ring.keys.current, 'value', 'here');
    const [first] = readdirSync(at('desktop'));
    expect(existsSync(at('key'))).toBe(false);
    await ring.rotate();
    expect(readdirSync(at('desktop'))).toHaveLength(1);
    expect(readdirSync(at('desktop'))).not.toEqual([first]);
    expect(open((await opened()).keys, envelope, 'here')).toBe('value');
    rmSync(at('desktop'), { recursive: true });
    expect(await failure()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('does not give') });
  });

  it('is never required: without its program it is refused with what else there is', async () => {
    const environment = { PATH: at('nowhere') };
    expect(await failure({ kind: 'keyring', environment })).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('not installed'),
      fix: expect.stringContaining('"keys": "file"'),
    });
    expect(existsSync(at('keys.json'))).toBe(false);
  });
});
