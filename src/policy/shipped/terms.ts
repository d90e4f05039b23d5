import type { PolicyRule } from '../contract.ts';

/** Below what a person sets without a word about priority, so that every rule here can be overruled. */
const priority = -100;

type Match = PolicyRule['match'];

export const block = (id: string, risk: PolicyRule['risk'], reason: string, match: Match): PolicyRule => ({
  ...{ id, match, decision: 'block', reason, priority },
  ...(risk === undefined ? {} : { risk }),
});
export const ask = (id: string, risk: PolicyRule['risk'], reason: string, match: Match): PolicyRule => ({
  ...{ id, match, decision: 'ask', reason, priority },
  ...(risk === undefined ? {} : { risk }),
});

export const words = (text: string): string[] => text.trim().split(/\s+/);

export const downloads = words('curl wget fetch aria2c http https xh nc ncat netcat socat lynx w3m ftp');
export const interpreters = words('python* pypy* node deno bun perl ruby php lua');
export const harmless = words(
  '/dev/null /dev/stdout /dev/stderr /dev/tty /dev/fd/* /dev/zero /dev/random /dev/urandom',
);
export const temporary = words('/tmp/** /var/tmp/** /private/tmp/** /var/folders/**');
export const system = words(
  '/etc/** /usr/** /bin/** /sbin/** /lib/** /lib64/** /boot/** /opt/** /var/lib/** /var/log/** /sys/** /proc/** /root /home /home/* /Users /Users/* /System/** /Library/** /Applications/** /srv/**',
);
export const credentials = words(`
  ~/.ssh/** ~/.aws/** ~/.azure/** ~/.config/gcloud/** ~/.kube/** ~/.docker/config.json ~/.netrc ~/.git-credentials ~/.config/gh/**
  ~/.config/glab-cli/** ~/.npmrc ~/.pypirc ~/.gem/credentials ~/.cargo/credentials* ~/.gnupg/** ~/.password-store/** ~/.pgpass ~/.my.cnf
  ~/.claude/.credentials.json ~/.codex/auth.json ~/.gemini/oauth_creds.json ~/.local/share/opencode/auth.json ~/.vault-token
  ~/.terraform.d/credentials* ~/.config/op/** ~/Library/Keychains/** ~/.config/google-chrome/** ~/.mozilla/** /etc/shadow /etc/sudoers
  /etc/sudoers.d/** /etc/ssl/private/** /run/secrets/** /var/run/secrets/** /proc/*/environ ~/.bash_history ~/.zsh_history ~/.python_history ~/.psql_history
  ~/.mysql_history ~/.node_repl_history **/id_rsa **/id_ed25519 **/id_ecdsa **/id_dsa **/.netrc **/.git-credentials **/.pgpass
`);
export const startup = words(`
  ~/.bashrc ~/.bash_profile ~/.bash_login ~/.bash_logout ~/.profile ~/.zshrc ~/.zshenv ~/.zprofile ~/.zlogin ~/.config/fish/** ~/.inputrc
  ~/.gitconfig ~/.config/git/** ~/.config/autostart/** ~/.config/systemd/** ~/Library/LaunchAgents/** ~/.local/bin/** ~/bin/** ~/.vimrc
  ~/.config/nvim/** ~/.tmux.conf ~/.claude/** ~/.claude.json ~/.codex/** ~/.gemini/** ~/.config/opencode/** ~/.vscode/** ~/.xinitrc
`);
