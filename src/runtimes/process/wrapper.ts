import { join } from 'node:path';

/** The files in a session's folder. */
export interface SessionFiles {
  readonly folder: string;
  readonly stdin: string;
  readonly hold: string;
  readonly first: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly pid: string;
  readonly exit: string;
}

export function sessionFiles(folder: string): SessionFiles {
  return {
    folder,
    stdin: join(folder, 'stdin'),
    hold: join(folder, 'hold'),
    first: join(folder, 'first'),
    stdout: join(folder, 'stdout'),
    stderr: join(folder, 'stderr'),
    pid: join(folder, 'pid'),
    exit: join(folder, 'exit'),
  };
}

/**
 * What stands between MAOS and the agent; plain /bin/sh, checked with dash and bash. It guarantees:
 *
 * W1. The fence: its first act is to create `pid`, which only one can (set -C is O_EXCL). If the file is there, a server
 *     has given the session up, and the program is never run.
 * W2. stdin is a FIFO of which a small helper holds the write end, so the program neither blocks nor sees the end of
 *     its input when the server dies. The helper first copies `first` (the prompt, of any length), then waits for a line
 *     on the FIFO `hold`: that is how input is closed. It is a helper, not a trap of this shell, because a shell defers
 *     traps while it waits for a program in the foreground, and starts one in the background with SIGINT ignored for good.
 * W3. SIGINT, SIGTERM and SIGHUP sent to the group reach the program; this shell outlives it and records its exit status
 *     in `exit` with one write, ended by a newline: a file without the newline is not there yet.
 * W4. The program is run by exec in a subshell, so that argv[0] is never taken for a shell builtin.
 */
const script = `
d=$1 input=$2; shift 2
trap : HUP INT TERM
field() { shift 19; t=$1; }
s= b= t=
{ read -r s </proc/self/stat && read -r b </proc/sys/kernel/random/boot_id; } 2>/dev/null
if [ -n "$s" ]; then field \${s##*")"}; t=$t@$b; else t=$(ps -o lstart= -p $$); fi
set -C
{ echo "$$ $t" >"$d/pid"; } 2>/dev/null || exit 75
set +C
if [ "$input" = pipe ]; then
  PATH=$PATH:/usr/bin:/bin mkfifo -m 600 "$d/stdin" "$d/hold" || exit 74
  exec 3<>"$d/stdin" 4<>"$d/hold" 5>"$d/stdin" 0<"$d/stdin" 3<&-
  {
    trap '' HUP TERM
    if [ -s "$d/first" ]; then PATH=$PATH:/usr/bin:/bin cat "$d/first" && : >"$d/first" || exit 0; fi
    read -r _
  } <&4 >&5 4<&- 5>&- &
  exec 5>&-
fi
(exec "$@" 4<&-)
s=$?
echo "$s" >"$d/exit"
if [ "$input" = pipe ]; then
  exec 0</dev/null
  echo >&4
  wait
fi
exit "$s"
`;

/** Exit code of a wrapper that found its folder fenced. */
export const fencedCode = 75;

/** The argv that runs `argv` under the wrapper. */
export function wrapped(folder: string, stdin: 'none' | 'pipe', argv: readonly string[]): [string, ...string[]] {
  return ['/bin/sh', '-c', script, 'maos-agent', folder, stdin, ...argv];
}
