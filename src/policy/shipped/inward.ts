import type { PolicyRule } from '../contract.ts';
import {
  ask,
  block,
  credentials,
  downloads,
  harmless,
  interpreters,
  startup,
  system,
  temporary,
  words,
} from './terms.ts';

/** Never, unless a person says otherwise in a rule. */
export const never: readonly PolicyRule[] = [
  block('system.wipe', 'critical', 'It deletes what the machine or its user lives on', {
    kind: ['bash', 'file'],
    path: { glob: ['/', '~', ...system], access: 'delete', outside: 'workspace', except: temporary },
  }),
  block('system.disk', 'critical', 'It overwrites a disk', {
    command: {
      program: words('mkfs mkfs.* mke2fs mkswap wipefs fdisk sfdisk gdisk parted blkdiscard hdparm cryptsetup'),
    },
  }),
  block('system.device', 'critical', 'It writes to a device', {
    kind: ['bash', 'file'],
    path: { glob: '/dev/**', access: ['write', 'delete'], except: [...harmless, '/dev/shm/**', '/dev/pts/*'] },
  }),
  block('system.power', 'high', 'It switches the machine off', {
    command: { program: words('shutdown reboot halt poweroff') },
  }),
  block('system.power-service', 'high', 'It switches the machine off', {
    command: {
      program: words('systemctl loginctl init telinit'),
      subcommand: words('poweroff reboot halt suspend hibernate kexec rescue emergency 0 6'),
    },
  }),
  block('shell.fork-bomb', 'critical', 'It starts itself again and again', {
    command: { recursive: true, inputs: '*' },
  }),
  block('shell.hidden', 'high', 'Characters in it hide what it says', { kind: 'bash', command: { suspicious: true } }),
  block('network.run-download', 'critical', 'It runs what it downloads', {
    command: { opaque: true, inputs: downloads },
  }),
  block('process.miner', 'high', 'It mines', {
    command: { program: words('xmrig minerd cpuminer cgminer bfgminer ethminer nbminer t-rex phoenixminer lolminer') },
  }),
  block('maos.home', 'critical', 'It changes MAOS itself', {
    kind: ['bash', 'file'],
    path: {
      glob: ['${MAOS_HOME}', '${MAOS_HOME}/**'],
      access: ['write', 'delete'],
      outside: 'workspace',
      except: ['${MAOS_HOME}/outputs/**', '${MAOS_HOME}/worktrees/**'],
    },
  }),
  block('maos.secrets', 'critical', 'It reads what opens MAOS', {
    kind: ['bash', 'file'],
    path: {
      glob: words('token* key keys.json maos.db* tls tls/** snapshots snapshots/** hooks hooks/** server.log').map(
        (name) => `\${MAOS_HOME}/${name}`,
      ),
    },
  }),
];

export const files: readonly PolicyRule[] = [
  ask('file.other-workspace', 'high', 'It changes the workspace of another agent', {
    kind: ['bash', 'file'],
    path: { glob: '${MAOS_HOME}/worktrees/**', access: ['write', 'delete'], outside: 'workspace' },
  }),
  ask('file.delete-outside', 'high', 'It deletes outside the workspace', {
    kind: ['bash', 'file'],
    path: { outside: 'workspace', access: 'delete', except: temporary },
  }),
  ask('file.delete-workspace', 'high', 'It deletes the whole workspace', {
    kind: ['bash', 'file'],
    path: { glob: '${WORKSPACE}', access: 'delete' },
  }),
  ask('file.write-outside', 'medium', 'It writes outside the workspace', {
    kind: ['bash', 'file'],
    path: {
      // Of a name that is put together at run time nobody knows where it is: asking each time would teach people to say yes.
      glob: '/**',
      outside: 'workspace',
      access: 'write',
      except: [...harmless, ...temporary, '${MAOS_HOME}/outputs/**'],
    },
  }),
  ask('file.write-system', 'high', 'It changes the machine or the programs on it', {
    kind: ['bash', 'file'],
    path: { glob: [...system], access: 'write', outside: 'workspace', except: temporary },
  }),
  ask('file.write-startup', 'high', 'It changes what runs by itself at the next login or start', {
    kind: ['bash', 'file'],
    path: { glob: startup, access: ['write', 'delete'] },
  }),
  ask('file.write-keys', 'high', 'It changes keys or credentials', {
    kind: ['bash', 'file'],
    path: { glob: credentials, access: ['write', 'delete'] },
  }),
  ask('file.read-keys', 'high', 'It reads keys or credentials', {
    kind: ['bash', 'file'],
    path: { glob: credentials, access: 'read', except: ['~/.ssh/*.pub', '~/.ssh/known_hosts'] },
  }),
  ask('file.code-keys', 'high', 'Its code names keys or credentials', {
    command: {
      program: interpreters,
      args: words(
        '*.ssh/* *.aws/* *.gnupg/* *.kube/* *.netrc* *.git-credentials* *.maos/token* *.maos/key* */etc/shadow*',
      ),
      flags: ['c|e|r|eval|print|p'],
    },
  }),
  ask('file.env', 'medium', 'A file of this name holds secrets', {
    kind: ['bash', 'file'],
    path: {
      glob: ['.env', '.env.*', '.envrc'],
      except: words('**/.env.example **/.env.sample **/.env.template **/.env.dist **/.env.test **/.env.defaults'),
    },
  }),
  ask('file.git-hooks', 'high', 'It changes what git runs by itself', {
    kind: ['bash', 'file'],
    path: { glob: ['**/.git/hooks/**', '**/.git/config', '**/.git/info/**'], access: ['write', 'delete'] },
  }),
  ask('file.git-delete', 'high', 'It deletes the history of the repository', {
    kind: ['bash', 'file'],
    path: { glob: ['**/.git', '**/.git/**'], access: 'delete' },
  }),
  ask('file.open-to-all', 'medium', 'It lets every user of the machine change the file', {
    command: {
      program: 'chmod',
      args: words('777 0777 1777 666 0666 a+w a+rw a+rwx a=rwx o+w o+rw o+rwx *o+w* ugo+rwx +w?'),
    },
  }),
  ask('file.setuid', 'high', 'It gives whoever runs the file the rights of another user', {
    command: { program: 'chmod', args: words('u+s g+s ug+s +s *u+s* 4??? 2??? 6???') },
  }),
  ask('file.owner', 'medium', 'It changes who owns files', {
    command: { program: words('chown chgrp setfacl chattr') },
  }),
];

export const machine: readonly PolicyRule[] = [
  ask('system.root', 'high', 'It runs as another user', {
    command: { program: words('sudo sudoedit doas su sg newgrp pkexec run0 gosu su-exec runuser') },
  }),
  ask('system.packages', 'high', 'It changes the programs of the machine', {
    command: {
      program: words(
        'apt apt-get aptitude dpkg yum dnf rpm zypper pacman apk brew port snap flatpak choco winget scoop nix-env',
      ),
      subcommand: words(
        'install remove purge upgrade dist-upgrade full-upgrade autoremove update add del delete uninstall reinstall tap untap refresh',
      ),
    },
  }),
  ask('system.package-files', 'high', 'It changes the programs of the machine', {
    command: {
      program: words('dpkg rpm pacman yay paru'),
      flags: ['i|install|r|remove|P|purge|U|upgrade|e|erase|S|sync|R'],
    },
  }),
  ask('system.services', 'high', 'It changes what runs on the machine', {
    command: {
      program: words('systemctl service launchctl rc-service rc-update supervisorctl'),
      subcommand: words(
        'start* stop* restart* reload* enable* disable* mask* unmask* kill* set-* edit* load* unload* boot* add* del*',
      ),
    },
  }),
  ask('system.settings', 'high', 'It changes settings of the machine', {
    command: {
      program: words(`
        crontab at batch iptables ip6tables nft ufw firewall-cmd sysctl modprobe insmod rmmod mount umount swapon swapoff useradd
        usermod userdel adduser deluser groupadd groupmod groupdel passwd chpasswd visudo vipw chsh setcap hostnamectl timedatectl localectl
        update-alternatives update-rc.d grub-install efibootmgr kexec nsenter unshare chroot scutil dscl pmset csrutil spctl defaults losetup
        setenforce semanage auditctl systemd-run
      `),
    },
  }),
  ask('process.kill-many', 'medium', 'It may end processes that are not its own', {
    command: { program: words('killall pkill killall5 skill') },
  }),
  ask('process.kill-all', 'high', 'It ends every process of the user', {
    command: { program: 'kill', args: words('-1 1 -- 0') },
  }),
  ask('maos.rules', 'high', 'It changes who may do what, or stops MAOS', {
    command: {
      program: 'maos',
      subcommand: [
        'policy set',
        'approval *',
        'approve *',
        'deny *',
        'login *',
        'secret *',
        'account *',
        'project update',
        'down',
        'up',
        'admin *',
        'restore',
        'uninstall',
        'init',
        'trash purge',
        'user *',
        'key *',
      ],
    },
  }),
];

/** Settings of git whose value is run, or decides what is. */
const runs = words(`
  core.hookspath* core.sshcommand* core.fsmonitor* core.askpass* core.gitproxy* core.worktree* credential.* filter.* diff.external*
  diff.*.command* *.textconv* include.path* includeif.* gpg.program* gpg.*.program* uploadpack.* url.* merge.*.driver* mergetool.*
  difftool.* interactive.difffilter* protocol.* init.templatedir*
`);

export const git: readonly PolicyRule[] = [
  ask('git.force-push', 'high', 'It rewrites or deletes branches that others have', {
    command: {
      program: 'git',
      subcommand: 'push',
      flags: ['f|force|force-with-lease|force-if-includes|mirror|delete|d|prune'],
    },
  }),
  ask('git.force-refspec', 'high', 'It rewrites or deletes branches that others have', {
    command: { program: 'git', subcommand: 'push', args: ['+*', ':*'] },
  }),
  ask('git.push', 'medium', 'It publishes commits', {
    command: { program: 'git', subcommand: ['push', 'send-email', 'svn dcommit'] },
  }),
  ask('git.rewrite', 'high', 'It rewrites history', {
    command: { program: 'git', subcommand: words('filter-branch filter-repo replace fast-import') },
  }),
  ask('git.rewrite-tool', 'high', 'It rewrites history', {
    command: { program: words('git-filter-repo git-filter-branch bfg') },
  }),
  ask('git.shared', 'medium', 'It changes what all workspaces of the repository share', {
    command: {
      program: 'git',
      subcommand: [
        ...words('update-ref reflog gc prune pack-refs symbolic-ref worktree'),
        ...['remote add', 'remote set-url', 'remote remove', 'remote rename', 'stash drop', 'stash clear'],
      ],
      args: words(
        'delete -d --delete expire --expire* --prune* --aggressive add remove rm move prune set-url rename drop clear refs/* HEAD',
      ),
    },
  }),
  ask('git.delete-branch', 'medium', 'It deletes branches or tags', {
    command: { program: 'git', subcommand: ['branch', 'tag'], flags: ['D|d|delete|f|force|M|C'] },
  }),
  ask('git.runs', 'high', 'It has git run a program', {
    command: {
      program: 'git',
      args: [
        ...words('-c --config --config-env').flatMap((option) =>
          [...runs, 'alias.*'].map((name) => `${option}=${name}`),
        ),
        ...words(
          'ext::* --upload-pack* --receive-pack* --exec=* --exec-path=* --template* --ext-diff --open-files-in-pager=* -O?*',
        ),
      ],
    },
  }),
  ask('git.runs-setting', 'high', 'It changes what git runs by itself', {
    command: {
      program: 'git',
      subcommand: 'config',
      args: [...runs, ...words('core.pager* core.editor* alias.* sequence.editor* pager.*')],
    },
  }),
  ask('git.global-config', 'high', 'It changes the settings of git for every repository', {
    command: { program: 'git', subcommand: 'config', flags: ['global|system|file|f'] },
  }),
];
