/** How a program that starts another one takes its own options, so that the other one is found. */
export interface Wrapper {
  /** Its options of one letter that take a value. */
  readonly short?: string;
  /** Its long options that take a value. */
  readonly long?: readonly string[];
  /** Operands before the command. */
  readonly operands?: number;
  /** `NAME=value` may stand before the command. */
  readonly assigns?: true;
  /** What is left is joined and read by a shell. */
  readonly text?: true;
  /** An option whose value is read by a shell: `-c`. */
  readonly script?: readonly string[];
  /** It gives the command arguments of its own, which nobody knows here. */
  readonly appends?: true;
  /** The command runs on another machine. */
  readonly remote?: true;
  /** With one of these options it starts nothing. */
  readonly unless?: RegExp;
}

/** By the name of the program. */
export const wrappers: ReadonlyMap<string, Wrapper> = new Map<string, Wrapper>([
  [
    'sudo',
    {
      short: 'ughpCrtTUDR',
      long: ['user', 'group', 'host', 'prompt', 'close-from', 'role', 'type', 'other-user', 'chdir', 'chroot'],
      assigns: true,
    },
  ],
  ['doas', { short: 'uC' }],
  ['pkexec', { long: ['user'] }],
  ['gosu', { operands: 1 }],
  ['su-exec', { operands: 1 }],
  ['su', { short: 'gGsT', long: ['group', 'shell'], script: ['-c', '--command'], operands: 99 }],
  ['runuser', { short: 'ugG', long: ['user', 'group'], script: ['-c', '--command'] }],
  ['env', { short: 'uC', long: ['unset', 'chdir'], assigns: true, script: ['-S', '--split-string'] }],
  ['nohup', {}],
  ['setsid', {}],
  ['time', { short: 'fo', long: ['format', 'output'] }],
  ['nice', { short: 'n', long: ['adjustment'] }],
  ['ionice', { short: 'cn', long: ['class', 'classdata'] }],
  ['chrt', { short: 'TPD', operands: 1 }],
  ['taskset', { operands: 1 }],
  ['timeout', { short: 'ks', long: ['kill-after', 'signal'], operands: 1 }],
  ['gtimeout', { short: 'ks', long: ['kill-after', 'signal'], operands: 1 }],
  ['stdbuf', { short: 'ioe', long: ['input', 'output', 'error'] }],
  ['unbuffer', {}],
  ['exec', { short: 'a' }],
  ['command', { unless: /^-[a-zA-Z]*[vV]/ }],
  ['builtin', {}],
  ['busybox', { unless: /^--(?:list|install|help)/ }],
  ['toybox', {}],
  ['strace', { short: 'aebEIoOpPsSuUX', long: ['trace', 'output', 'attach'] }],
  ['ltrace', { short: 'aeFlnopsuwx' }],
  ['chroot', { long: ['userspec', 'groups'], operands: 1 }],
  ['unshare', { short: 'SGRw', long: ['setuid', 'setgid', 'root', 'wd'] }],
  ['nsenter', { short: 'tSG', long: ['target', 'setuid', 'setgid'] }],
  ['flock', { short: 'wE', long: ['timeout', 'conflict-exit-code'], operands: 1, script: ['-c', '--command'] }],
  ['setpriv', { long: ['reuid', 'regid', 'groups', 'inh-caps', 'bounding-set'] }],
  ['systemd-run', { short: 'pMHuE', long: ['unit', 'property', 'machine', 'host', 'setenv', 'uid', 'gid'] }],
  ['caffeinate', { short: 'tw' }],
  ['firejail', {}],
  ['proxychains', { short: 'f' }],
  ['proxychains4', { short: 'f' }],
  ['torsocks', {}],
  ['rlwrap', {}],
  ['tini', {}],
  ['dumb-init', {}],
  ['xvfb-run', { short: 'efnps' }],
  ['dbus-run-session', {}],
  ['script', { short: 'EIOBTmo', script: ['-c', '--command'], operands: 99 }],
  [
    'xargs',
    {
      short: 'IELnPsda',
      long: ['arg-file', 'delimiter', 'max-args', 'max-procs', 'max-chars', 'process-slot-var'],
      appends: true,
    },
  ],
  ['watch', { short: 'nq', long: ['interval', 'equexit'], text: true }],
  ['entr', {}],
  ['ssh', { short: 'bcDEeFIiJLlmOopQRSWw', operands: 1, text: true, remote: true }],
  ['mosh', { short: 'p', long: ['ssh', 'server', 'port'], operands: 1, remote: true }],
  ['npx', { short: 'pc', long: ['package', 'call'], script: ['-c', '--call'] }],
  ['bunx', {}],
  ['uvx', { long: ['from', 'with', 'python'] }],
]);

/** Programs that start another one with their first word: `uv run …`. */
export const subcommandWrappers: ReadonlyMap<string, readonly string[]> = new Map([
  ['uv', ['run']],
  ['poetry', ['run']],
  ['pipenv', ['run']],
  ['pdm', ['run']],
  ['rye', ['run']],
  ['hatch', ['run']],
  ['bundle', ['exec']],
  ['npm', ['exec', 'x']],
  ['pnpm', ['exec', 'dlx']],
  ['yarn', ['exec', 'dlx']],
  ['mise', ['exec', 'x']],
  ['dotenv', ['run']],
]);

/** Programs that read a shell's text. */
export const shells: ReadonlySet<string> = new Set([
  'sh',
  'bash',
  'dash',
  'zsh',
  'ksh',
  'mksh',
  'ash',
  'fish',
  'rbash',
  'csh',
  'tcsh',
]);

/** Programs that read another language, from a file or from what comes through a pipe. */
export const interpreters = /^(?:python[\d.]*|pypy[\d.]*|node|nodejs|deno|bun|perl|ruby|php|lua|Rscript|osascript)$/;
