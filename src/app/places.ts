import { homedir } from 'node:os';
import { join } from 'node:path';

/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where everything is kept when nobody says otherwise: `$MAOS_HOME`, else `~/.maos`. */
export function homeFolder(env: Environment): string {
  return env['MAOS_HOME'] === undefined || env['MAOS_HOME'] === '' ? join(homedir(), '.maos') : env['MAOS_HOME'];
}

/** The files and folders of a home folder. */
export function placesIn(home: string) {
  return {
    database: join(home, 'maos.db'),
    token: join(home, 'token'),
    keys: join(home, 'keys.json'),
    masterKey: join(home, 'key'),
    tls: join(home, 'tls'),
    server: join(home, 'server.json'),
    transcripts: join(home, 'transcripts'),
    worktrees: join(home, 'worktrees'),
    trash: join(home, 'trash'),
    outputs: join(home, 'outputs'),
    runs: join(home, 'runs'),
    checks: join(home, 'checks'),
    snapshots: join(home, 'snapshots'),
    log: join(home, 'server.log'),
  } as const;
}
