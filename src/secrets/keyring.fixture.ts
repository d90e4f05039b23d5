/**
 * A keyring in a folder of its own. As a program, `FOLDER STEP` opens it (making it), and rotates it when it was there; it kills
 * itself before the step of that number.
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { exec } from '../kernel/exec.ts';
import { newId } from '../kernel/id.ts';
import { type KeyringOptions, openKeyring } from './keyring.ts';

/** The options of a keyring in `folder`, as a server on Linux has them. */
export function keyringIn(folder: string, change: Partial<KeyringOptions> = {}): KeyringOptions {
  return {
    document: join(folder, 'keys.json'),
    file: join(folder, 'key'),
    lock: join(folder, 'keys.lock'),
    kind: 'file',
    exec,
    environment: { PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH'] ?? ''}` },
    platform: 'linux',
    passphrase: () => undefined,
    now: () => Date.now(),
    newId,
    ...change,
  };
}

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'maos-secrets-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A program that keeps what it is given, as secret-tool does: the keyring of a desktop is not there when tests run. */
export function installSecretTool(folder: string): void {
  mkdirSync(join(folder, 'bin'));
  const script = `#!/bin/sh
store="${folder}/desktop"; mkdir -p "$store"
for id; do :; done
case "$1" in
  store) cat > "$store/$id" ;;
  lookup) cat "$store/$id" 2>/dev/null ;;
  clear) rm -f "$store/$id" ;;
esac
`;
  writeFileSync(join(folder, 'bin', 'secret-tool'), script);
  chmodSync(join(folder, 'bin', 'secret-tool'), 0o755);
}

async function main(folder: string, deadly: number): Promise<void> {
  let steps = 0;
  const onStep = (): void => {
    if (steps === deadly) process.kill(process.pid, 'SIGKILL');
    steps += 1;
  };
  const there = existsSync(join(folder, 'keys.json'));
  const keyring = await openKeyring(keyringIn(folder, { onStep }));
  if (there) await keyring.rotate();
}

const [, program, folder, step] = process.argv;
if (program === import.meta.filename && folder !== undefined) await main(folder, Number(step));
