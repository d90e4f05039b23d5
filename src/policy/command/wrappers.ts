/** How a program that starts another one takes its own options, so that the other one is found. */
export interface Wrapper {
  /** Its options of one letter that take a value. */
  readonly short?: string;
  /** Its long options that take a value. */
  readonly long?: readonly string[];
  /** Operands before the command; options may stand between them and after them. */
  readonly operands?: number;
  /** `NAME=value` may stand before the command. */
  readonly assigns?: true;
  /** What is left is joined and read by a shell. */
  readonly text?: true;
  /** Each word that is left is read by a shell of its own. */
  readonly texts?: true;
  /** Options whose value is read by a shell: `-c`. */
  readonly script?: readonly string[];
  /** Options whose value, with all that is left, is the command: `env -S`. */
  readonly split?: readonly string[];
  /** Options whose value is the folder in which the command runs. */
  readonly folder?: readonly string[];
  /** It gives the command arguments of its own, which nobody knows here. */
  readonly appends?: true;
  /** The command runs on another machine. */
  readonly remote?: true;
  /** What it starts is a command of this program: `yarn workspace x …`. */
  readonly of?: string;
  /** With one of these options it starts nothing. */
  readonly unless?: RegExp;
}

const all = 1_000;
const scripted = { short: 'pcw', long: ['package', 'call', 'workspace'], script: ['-c', '--call'] } as const;

/** By the name of the program. */
export const wrappers: ReadonlyMap<string, Wrapper> = new Map<string, Wrapper>([
  [
    'sudo',
    {
      short: 'ughpCrtTUDR',
      long: ['user', 'group', 'host', 'prompt', 'close-from', 'role', 'type', 'other-user', 'chdir', 'chroot'],
      folder: ['-D', '--chdir'],
      assigns: true,
    },
  ],
  ['doas', { short: 'uC' }],
  ['pkexec', { long: ['user'] }],
  ['gosu', { operands: 1 }],
  ['su-exec', { operands: 1 }],
  ['su', { short: 'gGsT', long: ['group', 'shell'], script: ['-c', '--command'], operands: all }],
  ['runuser', { short: 'ugG', long: ['user', 'group'], script: ['-c', '--command'] }],
  ['sg', { script: ['-c'], operands: 1 }],
  [
    'env',
    {
      short: 'u',
      long: ['unset'],
      folder: ['-C', '--chdir'],
      assigns: true,
      script: ['-S', '--split-string'],
      split: ['-S', '--split-string'],
    },
  ],
  ['cross-env', { assigns: true }],
  ['cross-env-shell', { assigns: true, text: true }],
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
  ['noglob', {}],
  ['nocorrect', {}],
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
  ['valgrind', {}],
  ['fakeroot', { short: 'lsibu' }],
  ['setarch', { operands: 1 }],
  ['linux64', {}],
  ['dumb-init', {}],
  ['xvfb-run', { short: 'efnps' }],
  ['dbus-run-session', {}],
  ['script', { short: 'EIOBTmo', script: ['-c', '--command'], operands: 1 }],
  [
    'xargs',
    {
      short: 'IELnPsda',
      long: ['arg-file', 'delimiter', 'max-args', 'max-procs', 'max-chars', 'process-slot-var'],
      appends: true,
    },
  ],
  ['watch', { short: 'nq', long: ['interval', 'equexit'], text: true }],
  ['entr', { script: ['-s'] }],
  ['watchexec', { short: 'wefisdE', text: true }],
  ['nodemon', { short: 'weVdxI', long: ['watch', 'ext', 'ignore', 'delay'], script: ['-x', '--exec'], operands: all }],
  ['chokidar', { script: ['-c', '--command'], operands: all }],
  ['nix-shell', { short: 'pAI', script: ['--run', '--command'], operands: all }],
  ['hyperfine', { short: 'wmMrpcnLsSu', script: ['-p', '--prepare', '-s', '--setup', '-c', '--cleanup'], texts: true }],
  ['concurrently', { short: 'ncplsm', long: ['names', 'prefix', 'kill-others-on'], texts: true }],
  ['tmux', { short: 'cLSfT', texts: true }],
  ['screen', { short: 'cehpsStTX', texts: true }],
  ['corepack', {}],
  ['ssh', { short: 'bcDEeFIiJLlmOopQRSWw', operands: 1, text: true, remote: true }],
  ['mosh', { short: 'p', long: ['ssh', 'server', 'port'], operands: 1, remote: true }],
  ['npx', scripted],
  ['bunx', {}],
  ['uvx', { long: ['from', 'with', 'python'] }],
]);

/** Programs that start another one when they are told to: `uv run …`. */
export const subcommandWrappers: ReadonlyMap<string, readonly (readonly [string, Wrapper])[]> = new Map<
  string,
  readonly (readonly [string, Wrapper])[]
>([
  [
    'git',
    [
      ['bisect run', {}],
      ['submodule foreach', { text: true }],
      ['rebase', { short: 'sXC', script: ['-x', '--exec'], operands: all }],
      ['difftool', { short: 't', script: ['-x', '--extcmd'], operands: all }],
    ],
  ],
  ['uv', [['run', { short: 'p', long: ['with', 'python', 'extra', 'group', 'env-file'], folder: ['--directory'] }]]],
  ['poetry', [['run', {}]]],
  ['pipenv', [['run', {}]]],
  ['pdm', [['run', {}]]],
  ['rye', [['run', {}]]],
  ['hatch', [['run', {}]]],
  ['conda', [['run', { short: 'np', long: ['name', 'prefix', 'cwd'] }]]],
  ['bundle', [['exec', {}]]],
  ['direnv', [['exec', { operands: 1 }]]],
  [
    'npm',
    [
      ['exec', scripted],
      ['x', scripted],
      ['explore', { operands: 1 }],
    ],
  ],
  [
    'pnpm',
    [
      ['exec', { script: ['-c'] }],
      ['dlx', scripted],
    ],
  ],
  [
    'yarn',
    [
      ['exec', {}],
      ['dlx', scripted],
      ['workspace', { operands: 1, of: 'yarn' }],
      ['workspaces foreach', { short: 'j', long: ['include', 'exclude', 'from', 'jobs'], of: 'yarn' }],
    ],
  ],
  [
    'mise',
    [
      ['exec', {}],
      ['x', {}],
    ],
  ],
  ['dotenv', [['run', {}]]],
]);

/** Options that have a program start another one, wherever they stand. Their values are read by a shell, or alike. */
export const scriptOptions: ReadonlyMap<string, readonly string[]> = new Map([
  ['tar', ['-I', '--use-compress-program', '--rsh-command', '--info-script', '--new-volume-script']],
  ['rsync', ['-e', '--rsh']],
  ['man', ['-P', '--pager']],
  ['mapfile', ['-C']],
  ['readarray', ['-C']],
  ['complete', ['-C']],
  ['compgen', ['-C']],
  ['fish', ['-C', '--init-command']],
]);

/** Options whose value is a file with code. From a pipe or out of a substitution nobody can read it. */
export const codeFiles: ReadonlyMap<string, readonly string[]> = new Map([
  ['make', ['-f', '--file', '--makefile']],
  ['gmake', ['-f', '--file', '--makefile']],
  ['awk', ['-f', '--file']],
  ['gawk', ['-f', '--file']],
  ['sed', ['-f', '--file']],
  ['bash', ['--rcfile', '--init-file']],
  ['just', ['-f', '--justfile']],
]);

/** Variables whose value is a command: whoever finds them set runs it. */
export const commandVariables =
  /^(?:\w*PAGER|\w*EDITOR|VISUAL|BROWSER|SHELL|CC|CXX|LD|GIT_SSH_COMMAND|GIT_EXTERNAL_DIFF|GIT_PROXY_COMMAND|\w*ASKPASS|RSYNC_RSH|CVS_RSH|PROMPT_COMMAND|RUSTC|RUSTC_\w*WRAPPER|CARGO_TARGET_\w+_(?:RUNNER|LINKER)|LESSOPEN|LESSCLOSE)=[|]?(?<command>[^]*)/;
/** Settings of git whose value is a command. */
export const commandSettings =
  /^(?:core\.pager|core\.editor|sequence\.editor|pager\.[\w-]+|alias\.[\w-]+)=(?<command>[^]*)/i;
/** Builtins that set the variables in their arguments. */
export const declarers: ReadonlySet<string> = new Set(['export', 'declare', 'typeset', 'local', 'readonly']);

/** Programs that are often harmful, to be looked for in the arguments of programs that nobody here knows. */
export const starters: ReadonlySet<string> = new Set(
  `rm rmdir unlink shred rimraf del-cli mv dd mkfs chmod chown sudo su doas sh bash dash zsh ksh env xargs find eval git npm pnpm yarn npx cargo
  curl wget ssh scp rsync docker podman kubectl helm terraform aws gcloud gh python python3 node perl ruby`.split(
    /\s+/,
  ),
);
/** Of their own, but they also run programs by their name. */
export const runners: ReadonlySet<string> = new Set(['yarn', 'pnpm', 'bun', 'npx', 'bunx']);

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
export const interpreters = /^(?:python[\d.]*|pypy[\d.]*|node|nodejs|deno|bun|perl|ruby|php|lua|rscript|osascript)$/;
