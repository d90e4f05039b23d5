/** What is downloaded and installed: `node bench/package.ts`. It asks the package registry for zod. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { report } from './figure.ts';
import { temporary } from './product.ts';

const folder = temporary();
const root = join(import.meta.dirname, '..');
execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'inherit'],
});
const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
const packed = join(folder, tarball);
report({ name: 'npm pack tarball', value: statSync(packed).size / 1e6, unit: 'MB', target: { most: 2 } });

const user = join(folder, 'user');
mkdirSync(user);
writeFileSync(join(user, 'package.json'), '{"private":true}');
// No scripts: nothing may need a compiler.
const args = ['install', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--silent', packed];
execFileSync('npm', args, { cwd: user, stdio: ['ignore', 'ignore', 'inherit'] });
const [kilobytes = '0'] = execFileSync('du', ['-sk', 'node_modules'], { cwd: user, encoding: 'utf8' }).split('\t');
report({ name: 'production install', value: Number(kilobytes) / 1_000, unit: 'MB', target: { most: 40 } });
execFileSync(process.execPath, [join(user, 'node_modules/maos/bin/maos.js'), 'help'], { stdio: 'ignore' });
