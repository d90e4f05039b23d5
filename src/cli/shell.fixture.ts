import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { program } from '../app/program.fixture.ts';

const root = dirname(dirname(import.meta.dirname));
/** The program as a checkout has it. */
export const bin = join(root, 'bin', 'maos.js');

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A home, a repository and a shell of its own, far from those of whoever runs the test. */
export class Place {
  readonly folder = mkdtempSync(join(tmpdir(), 'maos-shell-'));
  readonly repository = join(this.folder, 'repository');
  readonly env: Readonly<Record<string, string>> = {
    PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
    HOME: this.folder,
    MAOS_HOME: join(this.folder, 'home'),
    LANG: 'C.UTF-8',
    TERM: 'xterm-256color',
    TMUX_TMPDIR: this.folder,
    GIT_CONFIG_NOSYSTEM: '1',
    HISTFILE: '/dev/null',
  };

  constructor() {
    mkdirSync(this.repository);
    this.git('init', '-q', '-b', 'main');
    this.git('config', 'user.name', 'Test');
    this.git('config', 'user.email', 'test@example.invalid');
    this.write('readme.md', '# sample\n');
    this.git('add', '.');
    this.git('commit', '-q', '-m', 'first');
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.repository, name), text);
  }

  git(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync('git', args, {
      cwd: this.repository,
      env: this.env,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  }

  /** Runs a shell line to its end; with `node`, arguments for Node itself, it is that of the checkout. */
  maos(args: readonly string[], node: readonly string[] = []): Promise<Ended> {
    return this.program(process.execPath, [...node, node.length === 0 ? program() : bin, ...args]);
  }

  program(file: string, args: readonly string[]): Promise<Ended> {
    return new Started(this, file, args).ended;
  }

  /** Starts a shell line that goes on. */
  start(args: readonly string[]): Started {
    return new Started(this, process.execPath, [program(), ...args]);
  }

  /** Ends the server, whatever terminal was opened, and the agents that a failed test has left. */
  async remove(): Promise<void> {
    await this.maos(['down']);
    for (const file of globSync(join(this.folder, 'home/transcripts/*/*/pid'))) {
      const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
      if (!existsSync(join(dirname(file), 'exit'))) spawnSync('kill', ['-9', '--', `-${pid}`]);
    }
    spawnSync('tmux', ['-L', 'maos-test', 'kill-server'], { env: this.env });
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

/** A program that goes on. */
class Started {
  readonly ended: Promise<Ended>;
  #out = '';
  #seen = new AbortController();

  constructor(place: Place, file: string, args: readonly string[]) {
    const child = spawn(file, args, { cwd: place.repository, env: place.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let err = '';
    child.stdout.on('data', (data: Buffer) => {
      this.#out += data.toString();
      this.#seen.abort();
      this.#seen = new AbortController();
    });
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, out: this.#out, err }));
    });
  }

  /** Waits until it has printed something. */
  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#out)) await once(this.#seen.signal, 'abort');
  }
}

/** A terminal of a real size: a window of tmux with a shell in it. */
export class Window {
  readonly #place: Place;

  constructor(place: Place, columns: number, rows: number) {
    this.#place = place;
    const size = ['-x', String(columns), '-y', String(rows)];
    this.#tmux(
      '-f',
      '/dev/null',
      'new-session',
      '-d',
      '-s',
      'w',
      ...size,
      '-c',
      place.repository,
      'bash --norc --noprofile',
    );
  }

  type(text: string): void {
    this.#tmux('send-keys', '-t', 'w', '-l', text);
    this.key('Enter');
  }

  key(name: string): void {
    this.#tmux('send-keys', '-t', 'w', name);
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-t', 'w', '-x', String(columns), '-y', String(rows));
  }

  /** What stands on it now, and above it. */
  text(): string {
    return this.#tmux('capture-pane', '-p', '-S', '-', '-t', 'w');
  }

  /** Waits until something stands on it. */
  async shows(pattern: RegExp, patience = 60_000): Promise<string> {
    const end = Date.now() + patience;
    for (;;) {
      const text = this.text();
      if (pattern.test(text)) return text;
      if (Date.now() > end) throw new Error(`The window does not show ${String(pattern)}, but:\n${text}`);
      await delay(25);
    }
  }

  #tmux(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync('tmux', ['-L', 'maos-test', ...args], {
      env: this.#place.env,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`tmux ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
}
