import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../kernel/error.ts';
import { readConfig } from './config.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'maos-config-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const store = (text: string): void => writeFileSync(join(home, 'config.json'), text);

function refusal(read: () => unknown): AppError {
  try {
    return new AppError('conflict', `It was read: ${JSON.stringify(read())}`);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

const usual = { keys: 'file', encryption: 'none', host: '127.0.0.1', innerClients: false, tls: null };

describe('readConfig', () => {
  it('has a value for everything', () => {
    expect(readConfig({ MAOS_HOME: home })).toEqual({ home, port: 0, limit: 50, ...usual });
  });

  it('takes the flag before the environment, and that before the file', () => {
    store('{"port": 4711, "limit": 3}');
    expect(readConfig({ MAOS_HOME: home })).toEqual({ home, port: 4711, limit: 3, ...usual });
    const env = { MAOS_HOME: home, MAOS_PORT: '4712', MAOS_LIMIT: '8' };
    expect(readConfig(env)).toEqual({ home, port: 4712, limit: 8, ...usual });
    expect(readConfig(env, { port: 4713 })).toEqual({ home, port: 4713, limit: 8, ...usual });
    expect(readConfig({ MAOS_HOME: home, MAOS_PORT: '', MAOS_LIMIT: '' })).toEqual({
      home,
      port: 4711,
      limit: 3,
      ...usual,
    });
  });

  it('takes how often callers may call, in calls a minute', () => {
    store('{"rates": {"agent": 100}}');
    expect(readConfig({ MAOS_HOME: home }).rates).toEqual({ agent: { quota: 100, windowMs: 60_000 } });
  });

  const wrong: readonly (readonly [string, Record<string, string>, { port?: number }, string, string])[] = [
    ['a limit of nothing', { MAOS_LIMIT: '0' }, {}, '{}', 'MAOS_LIMIT is "0", not a whole number from 1 to 10000.'],
    ['a word for a number', { MAOS_PORT: 'http' }, {}, '{}', 'MAOS_PORT is "http"'],
    ['a port that is none', {}, { port: 99_999 }, '{}', '--port is 99999, not a whole number from 0 to 65535.'],
    ['a field that it does not know', {}, {}, '{"ports": 3}', 'Unrecognized key: "ports"'],
    ['a wrong value', {}, {}, '{"limit": "many"}', 'limit'],
    ['a way to keep keys that is none', { MAOS_KEYS: 'cloud' }, {}, '{}', 'MAOS_KEYS is "cloud"'],
    ['a host that others reach, without TLS', { MAOS_HOST: '0.0.0.0' }, {}, '{}', 'server.host is 0.0.0.0'],
    ['a file of TLS without its path', {}, {}, '{"server": {"tls": {"cert": "a.pem", "key": "/k.pem"}}}', 'server.tls'],
    ['a rate of nothing', {}, {}, '{"rates": {"agent": 0}}', 'rates.agent'],
    ['what is not JSON', {}, {}, 'port: 3', 'is not JSON'],
  ];
  it.each(wrong)('refuses %s and says where', (_what, env, flags, file, told) => {
    store(file);
    const { code, message, fix, issues = [] } = refusal(() => readConfig({ MAOS_HOME: home, ...env }, flags));
    expect(code).toBe('invalid');
    expect([message, ...issues.map((issue) => `${issue.path} ${issue.message}`)].join('\n')).toContain(told);
    expect(fix).toBeDefined();
  });

  it('lets others reach it with TLS alone', () => {
    store('{"server": {"host": "10.0.0.7", "tls": "auto"}, "keys": "passphrase", "encryption": "state"}');
    const read = readConfig({ MAOS_HOME: home });
    expect(read).toMatchObject({ host: '10.0.0.7', tls: 'auto', keys: 'passphrase', encryption: 'state' });
    expect(() => readConfig({ MAOS_HOME: home, MAOS_TLS: 'off' })).toThrow('there is no TLS');
    for (const host of ['localhost', '127.0.0.2', '::1'])
      expect(readConfig({ MAOS_HOME: home, MAOS_HOST: host, MAOS_TLS: 'off' }).host).toBe(host);
  });
});
