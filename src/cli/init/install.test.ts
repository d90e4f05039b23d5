import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { say, type Said } from '../cli.fixture.ts';

let root: string;
let repository: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'maos-init-'));
  repository = join(root, 'repository');
  mkdirSync(join(repository, '.git'), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

const maos = (...argv: string[]): Promise<Said> => say(argv, { cwd: repository, server: { home: join(root, 'home') } });
const put = (file: string, text: string): void => {
  mkdirSync(dirname(join(repository, file)), { recursive: true });
  writeFileSync(join(repository, file), text);
};
const read = (file: string): string => readFileSync(join(repository, file), 'utf8');

/** Every file of the repository with its mode and text. */
async function all(): Promise<Record<string, string>> {
  const entries = await readdir(repository, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    entries.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, `${lstatSync(path).mode} ${entry.isFile() ? readFileSync(path, 'utf8') : ''}`];
    }),
  );
}

describe('maos init', () => {
  it('writes what agent programs need, and maos uninstall takes back exactly that', async () => {
    put('.mcp.json', '{ "mcpServers": { "other": { "command": "x" } } }');
    put('.claude/settings.json', '{\n    "model": "opus",\n    "hooks": {}\n}\n');
    put('.codex/config.toml', 'model = "gpt"');
    chmodSync(join(repository, '.mcp.json'), 0o600);
    const before = await all();
    const done = await maos('init');
    expect(done.code).toBe(0);
    expect(done.out).toBe(
      'changed    .mcp.json\nchanged    .claude/settings.json\nmade       .claude/skills/maos/SKILL.md\n' +
        'changed    .codex/config.toml\nmade       .codex/hooks.json\n',
    );
    expect(JSON.parse(read('.mcp.json'))).toEqual({
      mcpServers: { other: { command: 'x' }, maos: { command: 'maos', args: ['mcp'] } },
    });
    expect(statSync(join(repository, '.mcp.json')).mode & 0o777).toBe(0o600);
    expect(JSON.parse(read('.claude/settings.json')).hooks.PreToolUse[0].hooks[0].command).toContain(
      '$(maos hook pre-tool-use) || exit 2;',
    );
    expect(read('.claude/skills/maos/SKILL.md')).toMatch(/^---\nname: maos\ndescription: .+\n---\n/);
    expect(read('.codex/config.toml')).toContain('model = "gpt"\n\n# MAOS');
    const written = await all();
    expect((await maos('init')).out).not.toMatch(/changed|made/);
    expect(await all()).toEqual(written);
    expect((await maos('uninstall')).code).toBe(0);
    expect(await all()).toEqual(before);
    expect((await maos('uninstall')).out).toContain('has written nothing');
  });

  it('shows with --dry-run what it would do, as a patch that git takes, and does nothing', async () => {
    put('.mcp.json', '{\n  "mcpServers": {\n    "other": {}\n  }\n}');
    put('.claude/settings.json', '{}');
    const before = await all();
    const dry = await maos('init', '--dry-run');
    expect(await all()).toEqual(before);
    expect(existsSync(join(root, 'home'))).toBe(false);
    const applied = spawnSync('git', ['apply', '-'], {
      cwd: repository,
      input: dry.out,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
    });
    expect(applied).toMatchObject({ status: 0, stderr: '' });
    const patched = await all();
    rmSync(repository, { recursive: true });
    mkdirSync(join(repository, '.git'), { recursive: true });
    put('.mcp.json', '{\n  "mcpServers": {\n    "other": {}\n  }\n}');
    put('.claude/settings.json', '{}');
    await maos('init');
    expect(await all()).toEqual(patched);
    const back = await maos('uninstall', '--dry-run');
    expect(await all()).toEqual(patched);
    expect(back.out).toContain('+++ /dev/null');
  });

  it('leaves what the user changed, and says so', async () => {
    await maos('init');
    put('.mcp.json', '{"mcpServers":{"maos":{"command":"/opt/maos"},"mine":{}}}');
    put('.claude/skills/maos/SKILL.md', 'my own');
    put('.codex/hooks.json', read('.codex/hooks.json').replace('{', '{ "mine": 1,'));
    const back = await maos('uninstall');
    expect(back.code).toBe(1);
    expect(back.err).toContain('.mcp.json is left as it is: "mcpServers.maos" was changed since.');
    expect(back.err).toContain('.claude/skills/maos/SKILL.md is left as it is: it was changed since.');
    expect(read('.mcp.json')).toBe('{"mcpServers":{"maos":{"command":"/opt/maos"},"mine":{}}}');
    expect(JSON.parse(read('.codex/hooks.json'))).toEqual({ mine: 1 });
    expect(existsSync(join(repository, '.claude/settings.json'))).toBe(false);
  });

  it('follows no link and touches nothing that it cannot read', async () => {
    put('.mcp.json', '{ // comment\n}');
    mkdirSync(join(root, 'elsewhere'));
    writeFileSync(join(root, 'elsewhere/settings.json'), '{}');
    symlinkSync(join(root, 'elsewhere'), join(repository, '.claude'));
    mkdirSync(join(repository, '.codex'));
    writeFileSync(join(root, 'elsewhere/config.toml'), '');
    symlinkSync(join(root, 'elsewhere/config.toml'), join(repository, '.codex/config.toml'));
    writeFileSync(join(repository, '.codex/hooks.json'), Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]));
    const before = await all();
    const done = await maos('init');
    expect(done.code).toBe(1);
    expect(done.err).toMatch(
      /\.mcp\.json is left as it is: it is not JSON[^]*\.claude is a link[^]*it is a link[^]*not UTF-8/,
    );
    expect(await all()).toEqual(before);
    expect(readFileSync(join(root, 'elsewhere/settings.json'), 'utf8')).toBe('{}');
  });

  it('takes the hooks back when they are not wanted any more', async () => {
    await maos('init');
    expect((await maos('init', '--no-hooks')).out).toMatch(
      /removed +\.claude\/settings\.json\nremoved +\.codex\/hooks\.json\n$/,
    );
    expect(existsSync(join(repository, '.claude/settings.json'))).toBe(false);
    expect(existsSync(join(repository, '.codex/config.toml'))).toBe(true);
    await maos('uninstall');
    expect(Object.keys(await all())).toEqual([join(repository, '.git')]);
  });

  it('is refused outside of a repository', async () => {
    const refused = await say(['init'], { cwd: root, server: { home: join(root, 'home') } });
    expect(refused.code).toBe(2);
    expect(refused.err).toContain('is in no git repository');
  });

  it('finishes what a crash left half done', async () => {
    put('.mcp.json', '{}');
    const before = await all();
    await maos('init');
    const after = await all();
    // The ledger is written first: as if the crash came right after it, or after the first file.
    rmSync(join(repository, '.claude'), { recursive: true });
    rmSync(join(repository, '.codex'), { recursive: true });
    put('.mcp.json', '{}');
    await maos('init');
    expect(await all()).toEqual(after);
    await maos('uninstall');
    expect(await all()).toEqual(before);
  });
});
