import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { program } from '../app/program.fixture.ts';

const value = 'first line of a key\nsecond line of it';
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'maos-secret-shell-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

function maos(
  args: readonly string[],
  input?: string,
  more: Record<string, string> = {},
): { code: number | null; text: string } {
  const env = { PATH: process.env['PATH'] ?? '', HOME: home, MAOS_HOME: join(home, 'home'), ...more };
  const { status, stdout, stderr } = spawnSync(process.execPath, [program(), ...args], {
    env,
    input,
    encoding: 'utf8',
  });
  return { code: status, text: stdout + stderr };
}

it('takes a value of several lines from its standard input and shows everything but that', () => {
  expect(maos(['secret', 'set', 'KEY', '--password-stdin'], `${value}\n`)).toMatchObject({ code: 0 });
  const listed = maos(['secret', 'list', '--json']);
  expect(JSON.parse(listed.text)).toMatchObject({ secrets: [{ name: 'KEY', setBy: 'user:local', values: 1 }] });
  expect(listed.text).not.toContain('line of');
});

it('has no place for a value among the words of a command', () => {
  for (const words of [
    ['secret', 'set', 'KEY', value],
    ['secret', 'set', 'KEY', '--value', value],
  ])
    expect(maos(words, '')).toMatchObject({ code: 2 });
  expect(maos(['secret', 'set', 'KEY'], '')).toMatchObject({
    code: 2,
    text: expect.stringContaining('--password-stdin'),
  });
});

it('closes the keys with a passphrase, which each later start needs', () => {
  const passphrase = { MAOS_PASSPHRASE: 'correct horse battery' };
  expect(maos(['secret', 'protect', '--password-stdin'], passphrase.MAOS_PASSPHRASE)).toMatchObject({ code: 0 });
  const set = (more: Record<string, string>): { code: number | null; text: string } =>
    maos(['secret', 'set', 'OTHER', '--password-stdin'], 'another value', more);
  expect(set({})).toMatchObject({ code: 6, text: expect.stringContaining('MAOS_PASSPHRASE_FILE') });
  expect(set(passphrase)).toMatchObject({ code: 0 });
});
