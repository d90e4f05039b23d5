/** Programs of everyday work. What stands in their arguments is not the name of a program, but for those that other tables know. */
export const everydayPrograms: readonly string[] = `
  ls cat head tail less more wc sort uniq cut tr tee grep egrep fgrep rg ag find fd xargs sed awk jq yq diff cmp comm file stat du df tree
  pwd cd echo printf true false test [ [[ : env printenv which type command date sleep seq basename dirname realpath readlink mkdir touch
  cp mv ln rm rmdir chmod patch tar zip unzip gzip gunzip xz base64 md5sum sha256sum xxd od hexdump column nl fold paste join split
  git make cmake ninja meson node npm npx pnpm yarn bun deno tsc tsx vitest jest mocha eslint oxlint prettier biome vite webpack rollup
  esbuild python* pip pip3 pytest ruff black mypy flake8 isort tox uv poetry ruby bundle rake rspec go gofmt cargo rustc rustfmt clippy
  javac java mvn gradle mvnw gradlew kotlinc scala sbt dotnet swift gcc g++ clang clang-format ld ar nm strip gdb lldb php composer
  docker sqlite3 psql kubectl helm terraform curl wget time timeout nice nohup set export unset local read shift exit return break
  continue wait jobs kill ps top uname hostname id whoami sh bash dash zsh
`
  .trim()
  .split(/\s+/);

/** Others that take names and texts without running them. */
const inert: ReadonlySet<string> = new Set([
  ...everydayPrograms,
  ...`
  man info whatis apropos tldr cheat whereis hash alias unalias declare typeset readonly let unset trap ack bat batcat eza exa python python3
  gawk mawk gsed ggrep gh glab maos claude codex opencode gemini apt apt-get aptitude dpkg yum dnf rpm apk brew port snap flatpak pacman zypper
  gem podman nerdctl helmfile tofu aws gcloud az systemctl service journalctl pkill pgrep killall mysql mariadb redis-cli chown chgrp install
  rsync scp logger notify-send say open code vim vi nvim nano emacs cargo-clippy nx turbo lerna wc tput clear reset stty locale getconf lsof ss
  `
    .trim()
    .split(/\s+/),
]);

/** Whether it is known what a program does with its arguments. */
export function isKnown(program: string): boolean {
  return inert.has(program) || program.startsWith('python');
}
