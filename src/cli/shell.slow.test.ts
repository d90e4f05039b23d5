import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { program } from '../app/program.fixture.ts';
import { bin, Place, Window } from './shell.fixture.ts';

const hasTmux = spawnSync('tmux', ['-V']).status === 0;
if (!hasTmux) process.stderr.write('tmux is missing: the tests of the live view are skipped.\n');

const plan = (name: string, last: string): string => `name: ${name}
tasks:
  - id: one
    command: "echo working on one; echo one > one.txt"
  - id: two
    needs: [one]
    command: "echo two > two.txt"
    checks: ["grep -q two two.txt"]
  - id: three
    needs: [two]
    command: ${JSON.stringify(last)}
`;

describe('bin/maos.js', () => {
  let place: Place;
  beforeAll(() => {
    place = new Place();
  });
  afterAll(() => place.remove());
  const { version }: { version: string } = JSON.parse(readFileSync(join(bin, '../../package.json'), 'utf8'));

  it('tells its version by itself', async () => {
    expect(await place.maos(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
    expect(existsSync(join(place.folder, 'home'))).toBe(false);
  });

  describe('on a Node that is too old', () => {
    let old: string;
    beforeAll(() => {
      old = join(place.folder, 'old.cjs');
      writeFileSync(
        old,
        `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.1.0' } });`,
      );
    });

    it('goes on with the one that the checkout brings', async () => {
      const said = await place.maos(['bogus'], ['--require', old]);
      expect(said).toMatchObject({ code: 2, out: '' });
      expect(said.err).toContain('There is no command "bogus"');
    });

    it('says what to do where there is none', async () => {
      const installed = join(place.folder, 'installed');
      mkdirSync(join(installed, 'bin'), { recursive: true });
      cpSync(bin, join(installed, 'bin/maos.js'));
      writeFileSync(join(installed, 'package.json'), '{"type": "module", "version": "9.9.9"}');
      const said = await place.program(process.execPath, ['--require', old, join(installed, 'bin/maos.js'), 'ps']);
      expect(said).toMatchObject({ code: 1, out: '' });
      expect(said.err).toMatch(/needs Node 24 or later[^]*fix: install Node 24/);
    });
  });
});

describe('the shell', () => {
  let place: Place;
  beforeAll(() => {
    place = new Place();
    place.write('plan.yaml', plan('demo', 'cat one.txt two.txt > three.txt'));
    place.write(
      'slow.yaml',
      plan(
        'slow',
        `echo begun; while [ ! -e ${join(place.folder, 'go')} ]; do sleep 0.05; done; cat one.txt > three.txt`,
      ),
    );
  });
  afterAll(() => place.remove());
  const json = async (...args: string[]): Promise<unknown> => JSON.parse((await place.maos([...args, '--json'])).out);

  it('carries a plan out in its own process and lands it', async () => {
    const ran = await place.maos(['run', 'plan.yaml']);
    expect(ran.err).toBe('');
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/\d\d:\d\d:\d\d {2}two +1 check passed\n[^]*demo-1 +succeeded\n/);
    expect(await json('run', 'get', 'demo-1')).toMatchObject({ state: 'succeeded', counts: { done: 3 } });
    expect((await place.maos(['diff', 'demo-1', '--stat'])).out).toMatch(/three\.txt +\+2 +-0/);
    expect((await place.maos(['logs', 'demo-1/one'])).out).toBe('working on one\n');
    expect((await place.maos(['logs', 'demo-1'])).out).toMatch(/^one +\| working on one$/m);

    expect((await place.maos(['merge', 'demo-1'])).out).toMatch(/main is now at [0-9a-f]{10}/);
    expect(readFileSync(join(place.repository, 'three.txt'), 'utf8')).toBe('one\ntwo\n');
    const tip = place.git('rev-parse', 'main');
    expect((await place.maos(['undo', 'demo-1'])).code).toBe(0);
    expect(place.git('rev-parse', 'main')).not.toBe(tip);
  });

  it('removes what loses work only with the token that it tells', async () => {
    const refused = await place.maos(['rm', 'demo-1']);
    expect(refused.code).toBe(5);
    const line = /maos (rm demo-1 --token \S+)/.exec(refused.err)?.[1] ?? '';
    expect((await place.maos(['rm', 'demo-1', '--token', 'discard-000000000000'])).code).toBe(5);
    expect(await place.maos(line.split(' '))).toMatchObject({ code: 0, err: '' });
    expect(place.git('branch', '--list', 'maos/*')).toBe('');
    expect(place.git('for-each-ref', '--format=%(refname)', 'refs/maos/rescue')).not.toBe('');
  });

  it('keeps a removed workspace in the trash until it is wanted again', async () => {
    const made = await json('workspace', 'create', '--project', '.', '--key', 'mine', '--base', 'main');
    const { id, path } = z.object({ id: z.string(), path: z.string() }).parse(made);
    writeFileSync(join(path, 'draft.txt'), 'not committed');
    const refused = await place.maos(['rm', id]);
    expect(refused.err).toContain('uncommitted: draft.txt');
    const line = /maos (rm \S+ --token \S+)/.exec(refused.err)?.[1] ?? '';
    writeFileSync(join(path, 'draft.txt'), 'changed meanwhile');
    expect((await place.maos(line.split(' '))).code).toBe(5);
    writeFileSync(join(path, 'draft.txt'), 'not committed');
    expect((await place.maos(line.split(' '))).code).toBe(0);
    expect(existsSync(path)).toBe(false);
    expect((await place.maos(['trash'])).out).toContain(id);
    expect((await place.maos(['trash', 'restore', id])).code).toBe(0);
    expect(readFileSync(join(path, 'draft.txt'), 'utf8')).toBe('not committed');
    expect((await place.maos(['trash'])).out).toBe('The trash is empty.\n');
  });

  it('starts a server, leaves a run to it, follows it, and stops it', async () => {
    expect(await place.maos(['run', '-d', 'slow.yaml'])).toMatchObject({ code: 6, out: '' });
    const up = await json('up');
    expect(up).toMatchObject({ url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/), pid: expect.any(Number) });
    expect(await json('up')).toEqual(up);
    expect((await place.maos(['run', '-d', 'slow.yaml'])).out).toContain('slow-1 goes on in the server');

    const logs = place.maos(['logs', '-f', 'slow-1']);
    const watched = place.maos(['watch', 'slow-1']);
    writeFileSync(join(place.folder, 'go'), '');
    expect((await watched).code).toBe(0);
    expect((await logs).out).toMatch(/^three +\| begun$/m);
    expect((await place.maos(['status'])).out).toMatch(/slow-1 +succeeded[^\n]*3\/3/);
    expect((await place.maos(['ps', '-a'])).out).toMatch(/slow-1\/three +command/);
    expect((await place.maos(['restore', 'x.db'])).err).toContain('maos down');
    expect((await place.maos(['down'])).out).toContain('has stopped');
    expect((await place.maos(['down'])).out).toBe('No server runs.\n');
  });

  it('ends without a word when nobody reads it', async () => {
    const said = await place.program('bash', [
      '-c',
      // The reader has gone before the program has even started: a line that fits into the pipe would hide it.
      `set -o pipefail; { sleep 0.2; "${process.execPath}" "${program()}" events --after 0; } | true`,
    ]);
    expect(said).toMatchObject({ code: 141, err: '' });
  });

  it('tells those who follow a run that its server was killed, and a resume goes on', async () => {
    await place.maos(['up']);
    const go = join(place.folder, 'go');
    rmSync(go);
    const run = place.start(['run', 'slow.yaml']);
    const events = place.start(['events', '-f']);
    await Promise.all([run.says(/three +working/), events.says(/task\.created/)]);
    const { pid } = z.object({ pid: z.int() }).parse(await json('status'));
    process.kill(pid, 'SIGKILL');
    const gone = { code: 6, err: expect.stringMatching(/The server has gone/) };
    expect(await run.ended).toMatchObject(gone);
    expect(await events.ended).toMatchObject(gone);
    writeFileSync(go, '');
    expect(await place.maos(['resume', 'slow-2'])).toMatchObject({ code: 0, err: '' });
  });

  it('tells of a server that cannot start', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const said = await place.maos(['up', '--port', String(typeof address === 'object' ? address?.port : 0)]);
    taken.close();
    expect(said.code).toBe(6);
    expect(said.err).toMatch(/ended at once[^]*server\.log/);
  });
});

describe.skipIf(!hasTmux)('a terminal', () => {
  let place: Place;
  beforeAll(() => {
    place = new Place();
  });
  afterAll(() => place.remove());
  const maos = `${process.execPath} ${program()}`;

  it('shows a run as a tree that is redrawn in place, survives Ctrl-C and a new size', async () => {
    const go = join(place.folder, 'go');
    place.write('plan.yaml', plan('live', `while [ ! -e ${go} ]; do sleep 0.05; done; cat one.txt > three.txt`));
    const window = new Window(place, 80, 24);
    window.type(`PS1='> '; clear; ${maos} run plan.yaml; echo code=$?`);
    const live = await window.shows(/● three +command +working/);
    expect(live).toMatch(/^live-1 {2}running {2}2\/3 done · 1 working/m);
    expect(live).toMatch(/^✓ one +command +done +\+1 -0 +\d:\d\d$/m);
    // Drawn many times, it stands there once.
    expect(live.match(/✓ one/g)).toHaveLength(1);

    window.key('C-c');
    const stopped = await window.shows(/code=130/);
    expect(stopped).toContain('"maos resume live-1"');

    window.resize(50, 20);
    window.type(`clear; ${maos} resume live-1; echo code=$?`);
    const narrow = await window.shows(/● three +working/);
    expect(Math.max(...narrow.split('\n').map((line) => line.length))).toBeLessThanOrEqual(50);
    window.resize(100, 20);
    await window.shows(/● three +command +working/);
    writeFileSync(go, '');
    const ended = await window.shows(/code=0/);
    expect(ended).toMatch(/live-1 {2}succeeded {2}3\/3 done/);
    expect(ended).toContain('Report: ');
    // The agent was adopted, not started again.
    const sessions = await place.maos(['agent', 'sessions', 'live-1/three', '--json']);
    expect(JSON.parse(sessions.out)).toMatchObject({ sessions: [{ generation: 1, state: 'ended' }] });
  });
});
