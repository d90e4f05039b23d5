/**
 * The program that tests start as processes of its own. It is the bundle, as users have it: a server that is started from the
 * sources takes a second of CPU, one from the bundle a third of that, and the tests start hundreds.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../kernel/hash.ts';

const root = join(import.meta.dirname, '../..');
/** What is kept is found by the sources that it was made of, and where the libraries that stay outside are found. */
const kept = join(root, 'node_modules/.cache/maos-program');
const others = ['package.json', 'package-lock.json', 'rolldown.config.ts', 'bin/maos.js'];
const dayMs = 24 * 3_600_000;

let found: string | undefined;

/** Where the program is: as MAOS_TEST_PROGRAM says, else built from the sources of this checkout, once for each state of them. */
export function program(): string {
  return process.env['MAOS_TEST_PROGRAM'] ?? (found ??= built());
}

function built(): string {
  const folder = join(
    kept,
    sha256(
      sources()
        .map((path) => readFileSync(join(root, path), 'utf8'))
        .join('\0'),
    ),
  );
  if (existsSync(folder)) utimesSync(folder, new Date(), new Date());
  else build(folder);
  return join(folder, 'bin/maos.js');
}

function sources(): string[] {
  const all = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
  const code = all.filter((path) => path.endsWith('.ts') && !/\.(?:test|fixture)\.ts$/.test(path));
  return [...others, ...code.toSorted().map((path) => join('src', path))];
}

/** Several test processes may build at once; whoever is first has made it. */
function build(folder: string): void {
  mkdirSync(kept, { recursive: true });
  for (const name of readdirSync(kept)) {
    const old = join(kept, name);
    const { mtimeMs = Infinity } = statSync(old, { throwIfNoEntry: false }) ?? {};
    if (mtimeMs < Date.now() - dayMs) rmSync(old, { recursive: true, force: true });
  }
  const made = `${folder}.${process.pid}`;
  for (const path of ['package.json', 'bin/maos.js']) cpSync(join(root, path), join(made, path));
  const rolldown = join(root, 'node_modules/.bin/rolldown');
  execFileSync(rolldown, ['--config', 'rolldown.config.ts', '--dir', join(made, 'dist/app')], {
    cwd: root,
    stdio: 'pipe',
    env: { ...process.env, PATH: `${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}` },
  });
  try {
    renameSync(made, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
    rmSync(made, { recursive: true, force: true });
  }
}
