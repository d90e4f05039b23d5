import type { PolicyRule } from '../contract.ts';
import { ask, words } from './terms.ts';

/** What leaves the machine, or brings something in. */
export const outside: readonly PolicyRule[] = [
  ask('publish.package', 'high', 'It publishes a package', {
    command: {
      program: words(
        'npm pnpm yarn bun lerna nx cargo poetry uv flit hatch pdm gem vsce ovsx deno jsr mix stack cabal luarocks',
      ),
      subcommand: [
        ...words(
          'publish unpublish deprecate dist-tag owner access token yank push release upload login adduser logout',
        ),
        ...['npm publish', 'hex.publish', 'pub*', 'unpub*', 'hook *', 'team *', 'org *', 'profile *'],
      ],
    },
  }),
  ask('publish.upload', 'high', 'It publishes a package', {
    command: {
      program: words('twine goreleaser semantic-release release-it np changeset pod'),
      args: words('upload release publish trunk * push'),
    },
  }),
  ask('publish.python', 'high', 'It publishes a package', { command: { program: 'python*', args: 'twine' } }),
  ask('publish.artifact', 'high', 'It publishes an artifact', {
    command: {
      program: words('docker podman buildah skopeo crane helm oras mvn mvnw gradle gradlew sbt dotnet nuget conan'),
      subcommand: [
        'push',
        'copy',
        'deploy',
        'publish',
        'publish*',
        'nuget push',
        'upload',
        'login',
        'image push',
        'compose push',
      ],
    },
  }),
  ask('publish.image', 'high', 'It publishes an artifact', {
    command: { program: words('docker podman buildah nerdctl'), args: words('--push --push=true *push=true*') },
  }),
  ask('publish.build', 'high', 'It publishes an artifact', {
    command: {
      program: words('mvn mvnw gradle gradlew sbt nx lerna'),
      args: words('deploy *:deploy publish* *:publish* release:perform upload*'),
    },
  }),
  ask('publish.forge', 'high', 'It changes something on the forge', {
    command: {
      program: words('gh glab hub tea'),
      subcommand: [
        ...[
          '* create',
          '* delete',
          '* merge',
          '* edit',
          '* close',
          '* reopen',
          '* comment',
          '* review',
          '* set',
          '* add',
          '* remove',
        ],
        ...[
          '* upload',
          '* run',
          '* rerun',
          '* cancel',
          '* enable',
          '* disable',
          '* archive',
          '* rename',
          '* transfer',
          '* fork',
          '* sync',
        ],
        ...['auth *', 'api *', 'ssh-key *', 'gpg-key *', 'config *', 'extension *', 'alias *'],
      ],
    },
  }),
  ask('install.package', 'medium', 'It installs packages, whose scripts run', {
    command: {
      program: words('npm pnpm yarn bun'),
      subcommand: [
        'ins* *',
        'isnt* *',
        'i *',
        'add *',
        'in *',
        'update',
        'up',
        'upgrade',
        'dlx *',
        'create *',
        'init *',
        'link *',
      ],
      flags: ['!ignore-scripts'],
    },
  }),
  ask('install.run', 'medium', 'It runs a package that may have to be downloaded first', {
    command: { program: words('npx bunx uvx pipx'), flags: ['y|yes|package|from'] },
  }),
  ask('install.exec', 'medium', 'It runs a package that may have to be downloaded first', {
    command: { program: 'npm', subcommand: ['exec', 'x'], flags: ['y|yes|package'] },
  }),
  ask('install.tool', 'medium', 'It installs packages, whose scripts run', {
    command: {
      program: words(
        'pip pip3 pipx gem cargo go uv poetry pdm conda mamba composer cpan cpanm luarocks opam dotnet mise asdf rustup nvm',
      ),
      subcommand: [
        'install *',
        'add *',
        'require *',
        'pip install *',
        'tool install *',
        'global add *',
        'component add *',
        'toolchain *',
      ],
    },
  }),
  ask('install.settings', 'medium', 'It changes where packages come from, or what they may do', {
    command: {
      program: words('npm pnpm yarn pip pip3 poetry'),
      subcommand: ['config set', 'config delete', 'config edit', 'config unset', 'set *', 'c set'],
    },
  }),
  ask('install.python', 'medium', 'It installs packages, whose scripts run', {
    command: { program: 'python*', args: ['pip', 'ensurepip', 'easy_install'], flags: ['m'] },
  }),
  ask('deploy.kind', 'high', 'It deploys', { kind: 'deployment' }),
  ask('deploy.infrastructure', 'critical', 'It changes infrastructure', {
    command: {
      program: words('terraform tofu terragrunt pulumi cdk cdktf sam serverless sls copilot eb'),
      subcommand: words(
        'apply destroy up down import state taint untaint deploy remove rm refresh force-unlock run-all terminate preview-* workspace',
      ),
    },
  }),
  ask('deploy.cluster', 'high', 'It changes a cluster', {
    command: {
      program: words('kubectl oc k3s kustomize kapp argocd flux istioctl'),
      subcommand: words(`
        apply create delete replace patch edit scale autoscale rollout set label annotate taint drain cordon uncordon run expose exec cp attach
        debug port-forward proxy certificate auth adm deploy app sync
      `),
    },
  }),
  ask('deploy.helm', 'high', 'It changes a cluster', {
    command: {
      program: words('helm helmfile'),
      subcommand: words('install upgrade uninstall delete rollback apply sync destroy'),
    },
  }),
  ask('deploy.host', 'high', 'It deploys', {
    command: {
      program: words(
        'vercel netlify fly flyctl heroku firebase wrangler railway render surge now cap capistrano kamal dokku nomad',
      ),
    },
  }),
  ask('deploy.machines', 'high', 'It changes other machines', {
    command: {
      program: words('ansible ansible-playbook salt salt-call chef-client knife puppet fab pyinfra vagrant packer'),
    },
  }),
  ask('cloud.cli', 'high', 'It acts in a cloud account', {
    command: {
      program: words(
        'aws gcloud gsutil bq az doctl oci ibmcloud hcloud linode-cli aliyun scw exo s3cmd rclone mc b2 wasmer eksctl',
      ),
    },
  }),
  ask('secret.tool', 'high', 'It shows or changes secrets', {
    command: {
      program: words(
        'security pass gopass op bw vault sops age gpg gpg2 ssh-add ssh-keygen secret-tool keyring kwalletcli lpass chamber doppler',
      ),
    },
  }),
  ask('docker.host', 'high', 'The container gets hold of the machine', {
    command: {
      program: words('docker podman nerdctl'),
      args: words(`
        --privileged --privileged=true --pid=host --net=host --network=host --ipc=host --userns=host --uts=host --cap-add* --device* /:/*
        --volume=/:* -v/:* *docker.sock* *:/host* /etc* /root* /home* /var* type=bind,src=/* *bind*source=/* --security-opt* --mount=type=bind*
      `),
    },
  }),
  ask('docker.remote', 'high', 'It acts on the containers of another machine', {
    command: { program: words('docker podman nerdctl docker-compose'), flags: ['H|host|context'] },
  }),
  ask('docker.remote-variable', 'high', 'It acts on the containers of another machine', {
    command: { env: words('DOCKER_HOST DOCKER_CONTEXT') },
  }),
  ask('docker.delete', 'medium', 'It deletes containers, images or data of others', {
    command: {
      program: words('docker podman nerdctl docker-compose'),
      subcommand: [
        '* prune',
        'volume rm',
        'network rm',
        'image rm',
        'rmi',
        'rm',
        'kill',
        'compose down',
        'down',
        'swarm *',
        'node *',
        'service *',
      ],
    },
  }),
  ask('database.command', 'high', 'It deletes data of a database', {
    command: {
      program: words(
        'psql mysql mariadb sqlite3 mongosh mongo redis-cli sqlcmd cqlsh clickhouse-client duckdb bq influx',
      ),
    },
    contains: words('flushall flushdb dropdatabase .drop( deletemany').concat([
      'drop table',
      'drop database',
      'drop schema',
      'drop view',
      'drop column',
      'truncate ',
      'delete from',
    ]),
  }),
  ask('database.statement', 'high', 'It deletes data of a database', {
    kind: 'database',
    contains: [
      'drop table',
      'drop database',
      'drop schema',
      'drop column',
      'truncate ',
      'delete from',
      'flushall',
      'dropdatabase',
    ],
  }),
  ask('database.change', 'medium', 'It changes a database', {
    kind: 'database',
    contains: ['alter ', 'grant ', 'revoke ', 'create user', 'update '],
  }),
  ask('database.tool', 'high', 'It deletes data of a database', {
    command: { program: words('dropdb dropuser mysqladmin pg_dropcluster pg_restore mongorestore') },
  }),
  ask('database.reset', 'high', 'It deletes data of a database', {
    command: {
      program: words(
        'prisma rails rake artisan php supabase alembic knex sequelize typeorm flyway drizzle-kit mix python* django-admin bin/rails',
      ),
      args: words(
        'reset db:drop db:reset db:drop:all migrate:fresh migrate:reset downgrade *:rollback *:undo:all schema:drop clean drop ecto.drop ecto.reset flush',
      ),
    },
  }),
  ask('network.remote', 'high', 'It runs commands or copies files on another machine', {
    command: { program: words('ssh scp sftp mosh rsh rexec telnet ftp lftp ssh-copy-id sshfs autossh pssh') },
  }),
  ask('network.rsync', 'high', 'It copies files to or from another machine', {
    command: { program: 'rsync' },
    host: '*',
  }),
  ask('network.sockets', 'high', 'It opens a connection by hand', {
    command: {
      program: words('nc ncat netcat socat telnet nmap masscan tcpdump tshark mitmproxy arpspoof dnscat iodine'),
    },
  }),
  ask('network.tunnel', 'high', 'It lets others reach into this machine, or around its network', {
    command: {
      program: words(
        'ngrok cloudflared localtunnel lt bore frpc chisel tailscale zerotier-cli wg wg-quick openvpn tor sshuttle',
      ),
    },
  }),
  ask('network.dev-tcp', 'high', 'It opens a connection by hand', {
    kind: ['bash', 'file'],
    path: { glob: ['/dev/tcp/**', '/dev/udp/**'] },
  }),
  ask('network.upload', 'medium', 'It sends data to another machine', {
    command: {
      program: words('curl wget http https xh'),
      flags: ['d|data|data-*|F|form|form-*|T|upload-file|post-data|post-file|body-data|body-file|json'],
    },
    host: ['!localhost', '!127.*', '![::1]', '!0.0.0.0', '!*.localhost'],
  }),
  ask('network.change', 'medium', 'It asks another machine to change something', {
    command: {
      program: words('curl wget http https xh'),
      args: words('POST PUT PATCH DELETE -XPOST -XPUT -XPATCH -XDELETE --request=* --method=*'),
    },
    host: ['!localhost', '!127.*', '![::1]', '!0.0.0.0', '!*.localhost'],
  }),
  ask('network.open', 'medium', 'It opens something on the screen of the user', {
    command: { program: words('xdg-open open osascript start explorer.exe wslview xdotool') },
  }),
  ask('api.delete', 'medium', 'It deletes something at a service', { kind: 'api', method: 'DELETE' }),
];
