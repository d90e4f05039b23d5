#!/usr/bin/env node
// Kept to what an older Node understands: it must be able to say that it is too old.
import { existsSync, readFileSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const args = process.argv.slice(2);

if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  process.stdout.write(`${JSON.parse(readFileSync(new URL('package.json', root), 'utf8')).version}\n`);
} else if (Number.parseInt(process.versions.node, 10) >= 24) {
  module.enableCompileCache?.();
  // A checkout runs its sources as they are; the published package holds only what was built from them.
  const sources = new URL('src/app/main.ts', root);
  const main = existsSync(sources) ? sources : new URL('dist/app/main.js', root);
  await import(main.href);
} else {
  await startWithNewerNode();
}

/** The checkout brings a Node of its own: an npm package among the development dependencies. */
async function startWithNewerNode() {
  const node = fileURLToPath(new URL('node_modules/node/bin/node', root));
  if (!existsSync(node)) {
    process.stderr.write(
      `maos: needs Node 24 or later; this is ${process.version}.\n` +
        '  fix: install Node 24 (https://nodejs.org); in a checkout of MAOS, run "npm ci" and then "npx maos".\n',
    );
    process.exitCode = 1;
    return;
  }
  const { spawn } = await import('node:child_process');
  const child = spawn(node, [fileURLToPath(import.meta.url), ...args], { stdio: 'inherit' });
  // The terminal sends Ctrl-C to both; the child decides what it means.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exitCode = code ?? 1;
    else {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    }
  });
}
