import type { PolicyRule } from '../contract.ts';
import { ask, words } from './terms.ts';

/** Words in the code of other languages that start programs or delete files, each between wildcards. */
const within = (text: string): string[] => words(text).map((word) => `*${word}*`);
const given = ['c|e|r|eval|print|p'];

/** Code that runs without having been read: by a variable, in another language, or put together when it runs. */
export const code: readonly PolicyRule[] = [
  ask('shell.opaque', 'medium', 'Nobody can tell beforehand what it runs', { command: { opaque: true } }),
  ask('shell.recursive', 'medium', 'A function in it calls itself', { command: { recursive: true } }),
  ask('shell.unknown-verb', 'medium', 'Nobody can tell beforehand what it does', {
    command: {
      program: words('git npm pnpm yarn cargo docker podman kubectl helm terraform tofu gh aws gcloud az systemctl'),
      subcommand: '$*',
    },
  }),
  ask('shell.preload', 'high', 'A variable makes programs run something else as well', {
    command: {
      env: [
        ...words(`
          LD_PRELOAD LD_AUDIT DYLD_INSERT_LIBRARIES GCONV_PATH BASH_ENV ENV ZDOTDIR PROMPT_COMMAND PS0 PS4 PERL5OPT PERL5DB RUBYOPT
          PYTHONSTARTUP PYTHONBREAKPOINT GIT_SSH GIT_SSH_COMMAND GIT_EXTERNAL_DIFF GIT_ASKPASS GIT_PROXY_COMMAND GIT_CONFIG* GIT_EXEC_PATH
          GIT_TEMPLATE_DIR GIT_DIR GIT_WORK_TREE SSH_ASKPASS LESSOPEN LESSCLOSE CDPATH MAOS_HOME npm_config_*script_shell
          npm_config_*node_options npm_config_*userconfig npm_config_*globalconfig npm_config_*registry npm_config_git NODE_OPTIONS=*-r*
          NODE_OPTIONS=*--import* NODE_OPTIONS=*loader* *=*-javaagent* *=*-agentpath* MAKEFLAGS=*eval* GOFLAGS=*toolexec*
          RUSTFLAGS=*linker* TAR_OPTIONS LESS=*+!* WGETRC CURL_HOME
        `),
        // These options only begin with the same letters.
        ...words(
          '!NODE_OPTIONS=*--openssl-* !NODE_OPTIONS=*--no-* !NODE_OPTIONS=--report* !ENV=dev* !ENV=prod* !ENV=test* !ENV=local* !ENV=staging*',
        ),
      ],
    },
  }),
  ask('shell.path', 'medium', 'Programs of another folder run under the names of known ones', {
    command: {
      env: words(`
        PATH !PATH=$PATH:* !PATH=$PATH !PATH=node_modules/.bin:* !PATH=./node_modules/.bin:* !PATH=*/node_modules/.bin:$PATH !PATH=*/.cargo/bin:$PATH
        !PATH=*/.local/bin:$PATH !PATH=*/go/bin:$PATH
      `),
    },
  }),
  ask('shell.code', 'medium', 'The code in its arguments starts programs or deletes files', {
    command: {
      program: words('python* pypy*'),
      args: within(
        'os.system subprocess popen rmtree os.remove unlink rmdir removedirs exec( eval( os.exec os.spawn pty. __import__ ctypes',
      ),
      flags: given,
    },
  }),
  ask('shell.code-js', 'medium', 'The code in its arguments starts programs or deletes files', {
    command: {
      program: words('node nodejs deno bun'),
      args: within(
        'child_process rmSync .rm( rmdir unlink process.binding deno.remove deno.command deno.run bun.spawn bun.$',
      ),
    },
  }),
  ask('shell.code-script', 'medium', 'The code in its arguments starts programs or deletes files', {
    command: {
      program: words('perl ruby php lua rscript osascript tclsh expect'),
      args: [
        ...within(
          'system exec ` qx popen passthru proc_open unlink rmtree rm_rf rmdir spawn os.remove file.delete do|shell',
        ),
        '*open*|*',
      ],
      flags: given,
    },
  }),
  ask('shell.awk', 'medium', 'The code in its arguments starts programs', {
    command: { program: words('awk gawk mawk nawk'), args: words('*system*(* *|*getline* *|*"* *@load*') },
  }),
  ask('shell.archive', 'high', 'It runs a program for the files of an archive, or unpacks them anywhere', {
    command: {
      program: words('tar bsdtar gtar zip rsync'),
      args: words(`
        --checkpoint-action* --to-command* --rsh-command* --info-script* --new-volume-script* --rsh=* --rsync-path* -TT* --unzip-command*
        --absolute-names
      `),
    },
  }),
  ask('shell.escape', 'medium', 'A program is told to start another one', {
    command: {
      program: words(`
        vim vi nvim view ex ed emacs less more man gdb lldb sqlite3 psql mysql mariadb ftp expect
      `),
      args: words(`
        !* :!* +!* +:!* *\\!* .shell* .system* shell|* system|* *system(* platform|shell* *shell-command* *os.execute* *spawn|* --args
      `).map((pattern) => pattern.replaceAll('|', ' ')),
    },
  }),
  ask('shell.subscript', 'high', 'A shell runs what stands in such brackets', {
    command: {
      program: words('test [ [[ unset read let declare local typeset export printf wait'),
      args: words('*[*$(* *[*`*'),
    },
  }),
  ask('shell.names', 'high', 'It changes what the names of programs stand for', {
    command: { program: words('hash enable bind'), flags: ['p|f|x'] },
  }),
  ask('shell.make', 'medium', 'It gives make code of its own', {
    command: { program: words('make gmake'), args: words('--eval* SHELL=* .SHELLFLAGS=*') },
  }),
  ask('shell.foreign', 'medium', 'The shell of another system reads it', {
    command: {
      program: words('pwsh powershell cmd'),
      args: words('-c* -e* /c* /k*'),
    },
  }),
];
