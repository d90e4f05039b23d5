// node tools/measure.js FUNCTION measures calls a second. Two measurements at once would disturb each other, so each needs a lock
// that all worktrees of the repository share; whoever finds it taken gives up with exit status 75, "try again later".
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as kitchen from '../src/index.js';
import { handOn } from './source.js';

const [name] = process.argv.slice(2);
const cases = {
  parseQuantity: () => kitchen.parseQuantity('1 1/2 cup'),
  shoppingList: () => kitchen.shoppingList([{ milk: '1 cup' }, { milk: '120 ml', eggs: '2' }]),
};
const shared = execFileSync('git', ['rev-parse', '--path-format=absolute', '--git-common-dir'], { encoding: 'utf8' });
const lock = join(shared.trim(), 'measure.lock');

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function take() {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
}

function holder() {
  try {
    return Number(readFileSync(lock, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return 0;
    throw error;
  }
}

if (!take()) {
  const pid = holder();
  // A lock whose owner was killed goes away here; the next attempt can take it.
  if (pid > 0 && !isAlive(pid)) rmSync(lock, { force: true });
  console.error('Another measurement is going on; two at once would disturb each other.');
  process.exit(75);
}
try {
  const durationMs = 700;
  const end = performance.now() + durationMs;
  let calls = 0;
  for (; performance.now() < end; calls += 100) for (let i = 0; i < 100; i += 1) cases[name]();
  const rate = Math.round(calls / (durationMs / 1000));
  console.log(`${name}: ${rate} calls a second`);
  handOn({ rate });
} finally {
  rmSync(lock);
}
