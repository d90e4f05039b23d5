import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRules } from './compile.ts';
import { type Effect, effects } from './contract.ts';
import { decide } from './decide.ts';
import { shippedRules } from './shipped.ts';
import { shippedTests } from './shipped-tests.ts';

const home = '/home/user';
const workspace = `${home}/project`;
const world = { home, maosHome: `${home}/.maos`, realpath: (path: string) => path, engines: {} };
const { rules } = compileRules(shippedRules, world);

function say(command: string): Effect {
  const actor = { kind: 'agent', id: 'test' } as const;
  return decide(rules, { kind: 'bash', command, cwd: workspace, workspace, actor, at: 0 }).effect;
}

const rank = (effect: Effect): number => effects.indexOf(effect);
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** What may stand before the words of one program. */
const prefixes: readonly string[] = [
  ...[
    'sudo -n ',
    'doas ',
    'env -i A=b ',
    'env -u X ',
    'nice -n 5 ',
    'timeout -k 1 9 ',
    'nohup ',
    'setsid ',
    'stdbuf -oL ',
    'command ',
  ],
  ...['exec ', 'busybox ', 'flock /tmp/l ', 'strace -f ', 'chrt -i 0 ', 'ionice -c3 ', 'A=b ', '! ', 'time -p '],
  ...['watch -n 1 ', 'find . -exec ', 'uv run ', 'bundle exec ', 'valgrind ', 'fakeroot '],
];

/** What may stand around any text. */
const frames: readonly ((text: string) => string)[] = [
  (text) => `sh -c ${quoted(text)}`,
  (text) => `bash -lc ${quoted(text)} x y`,
  (text) => `env A=b bash -o pipefail -c ${quoted(text)}`,
  (text) => `eval ${quoted(text)}`,
  (text) => `(\n${text}\n)`,
  (text) => `{\n${text}\n}`,
  (text) => `true && {\n${text}\n}`,
  (text) => `false || {\n${text}\n}`,
  (text) => `echo a; ${text}`,
  (text) => `echo a &\n${text}`,
  (text) => `echo a | {\n${text}\n}`,
  (text) => `if true; then\n${text}\nfi`,
  (text) => `while true; do\n${text}\ndone`,
  (text) => `f() {\n${text}\n}; f`,
  (text) => `case x in x)\n${text}\n;; esac`,
  (text) => `echo "$(\n${text}\n)"`,
  (text) => `cat <(\n${text}\n)`,
  (text) => `sh <<'END_OF_TEXT'\n${text}\nEND_OF_TEXT\n`,
  (text) => `bash -s <<< ${quoted(text)}`,
  (text) => `. /dev/stdin <<< ${quoted(text)}`,
  (text) => `{ sh; } <<< ${quoted(text)}`,
  (text) => `printf '%s' ${quoted(text)} | sh`,
  (text) => `echo ${Buffer.from(text).toString('base64')} | base64 -d | bash /dev/stdin`,
  (text) => `trap ${quoted(text)} EXIT`,
  (text) => `flock /tmp/l -c ${quoted(text)}`,
  (text) => `script -qc ${quoted(text)} /dev/null`,
  (text) => `su root -c ${quoted(text)}`,
  (text) => `xargs sh -c ${quoted(text)}`,
  (text) => `find . -exec sh -c ${quoted(text)} \\;`,
  (text) => `timeout 9 nice sh -c ${quoted(text)}`,
  (text) => `git rebase -x ${quoted(text)} main`,
  (text) => `npx -c ${quoted(text)}`,
  (text) => `parallel ::: ${quoted(text)}`,
  (text) => `EDITOR=${quoted(`sh -c ${quoted(text)}`)} git commit`,
  (text) => `alias x=${quoted(text)}; x`,
  (text) => `echo | tee >(sh -c ${quoted(text)})`,
];

/** One program with plain words, before which another may stand. */
const plain =
  /^(?![\w]+=)(?!cd |exec |eval |source |\. |set |f |for |if |trap |export |declare |local |typeset |readonly )[\w./~ =:@+%,-]+$/;
const stopped = shippedTests.flatMap(({ command, expect: said }) =>
  // `find -exec` and `parallel` put something else in the place of braces.
  command === undefined || command.includes('{}') || said === 'allow' || say(command) === 'allow' ? [] : command,
);

/** What is said of a wrapped command when that is less strict than what is said of the command; null: it is not. */
function lowered(command: string, wrapped: string): string | null {
  const before = say(command);
  const after = say(wrapped);
  return rank(after) < rank(before) ? `${before} → ${after}: ${wrapped}` : null;
}

describe('a command that is stopped', () => {
  it('is stopped behind another program', () => {
    expect(stopped.length).toBeGreaterThan(900);
    const simple = stopped.filter((command) => plain.test(command));
    expect(simple.flatMap((command) => prefixes.flatMap((one) => lowered(command, one + command) ?? []))).toEqual([]);
  });

  it('is stopped in whatever it stands', () => {
    // A third of them each: the next test puts them together at random.
    const some = (index: number) => frames.filter((_, at) => (at + index) % 3 === 0);
    expect(
      stopped.flatMap((command, index) => some(index).flatMap((frame) => lowered(command, frame(command)) ?? [])),
    ).toEqual([]);
  });

  it('is stopped in frames in frames', () => {
    const around = fc.array(fc.constantFrom(...frames), { minLength: 2, maxLength: 3 });
    fc.assert(
      fc.property(fc.constantFrom(...stopped), around, (command, some) => {
        const wrapped = some.reduce((text, frame) => frame(text), command);
        expect(lowered(command, wrapped)).toBeNull();
      }),
      { numRuns: 2_000 },
    );
  });
});
