import type { PolicyRule } from './contract.ts';
import { files, git, machine, never } from './shipped/inward.ts';
import { outside } from './shipped/outward.ts';
import { words } from './shipped/terms.ts';

/** What is allowed by name, for those whose default is to ask. */
const everydayPriority = -900;

const everyday: PolicyRule = {
  id: 'everyday',
  decision: 'allow',
  reason: 'Programs of everyday work',
  priority: everydayPriority,
  match: {
    command: {
      program: words(`
        ls cat head tail less more wc sort uniq cut tr tee grep egrep fgrep rg ag find fd xargs sed awk jq yq diff cmp comm file stat du df tree
        pwd cd echo printf true false test [ [[ : env printenv which type command date sleep seq basename dirname realpath readlink mkdir touch
        cp mv ln rm rmdir chmod patch tar zip unzip gzip gunzip xz base64 md5sum sha256sum xxd od hexdump column nl fold paste join split
        git make cmake ninja meson node npm npx pnpm yarn bun deno tsc tsx vitest jest mocha eslint oxlint prettier biome vite webpack rollup
        esbuild python* pip pip3 pytest ruff black mypy flake8 isort tox uv poetry ruby bundle rake rspec go gofmt cargo rustc rustfmt clippy
        javac java mvn gradle mvnw gradlew kotlinc scala sbt dotnet swift gcc g++ clang clang-format ld ar nm strip gdb lldb php composer
        docker sqlite3 psql kubectl helm terraform curl wget time timeout nice nohup set export unset local read shift exit return break
        continue wait jobs kill ps top uname hostname id whoami sh bash dash zsh
      `),
      opaque: false,
    },
  },
};

/** The rules that come with MAOS. */
export const shippedRules: readonly PolicyRule[] = [...never, ...files, ...machine, ...git, ...outside, everyday];
