import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readArgv, readCommand } from './read.ts';

const options = { cwd: '/w', home: '/home/u' };

/** Each program that would run, as one line: how it is started, its words, and `?` when nobody can know it. */
function seen(text: string): string[] {
  return readCommand(text, options).commands.map(({ opaque, via, argv }) => {
    const words = opaque === null ? argv.map((word) => word.text).join(' ') : '?';
    return [...via, words].join(' > ');
  });
}

const table: readonly (readonly [string, string, readonly string[]])[] = [
  ['a program', 'rm -rf /', ['rm -rf /']],
  ['a list', 'a && b || c; d & e\nf', ['a', 'b', 'c', 'd', 'e', 'f']],
  ['a pipe', 'a | b |& c', ['a', 'b', 'c']],
  ['a subshell and a group', '(a; b); { c; d; }', ['a', 'b', 'c', 'd']],
  ['quotes and escapes', `r\\m -r"f" '/'\\ x`, ['rm -rf / x']],
  ['ANSI quotes', '$\'\\x72\\155\' "$(a)"', ['$(…) > a', 'rm ${?}']],
  ['braces', '{rm,-rf,/}; ls a{1..3}', ['rm -rf /', 'ls a1 a2 a3']],
  ['a continued line', 'rm \\\n -rf \\\n/', ['rm -rf /']],
  ['a comment', 'a # rm\nb#c', ['a', 'b#c']],
  ['substitutions', 'a $(b `c`) "$(d)"', ['$(…) > `…` > c', '$(…) > b ${?}', '$(…) > d', 'a ${?} ${?}']],
  ['process substitution', 'diff <(a) >(b)', ['<(…) > a', '>(…) > b', 'diff ${?} ${?}']],
  ['a default of a variable', 'a ${x:-$(b)}', ['$(…) > b', 'a ${?}']],
  ['a quote inside a default', `a "\${x:-'}"; b #'}"`, ['a ${?}', 'b']],
  ['arithmetic', 'a $((1 + $(b))); ((i++))', ['$(…) > b', 'a ${?}']],
  ['a subshell that looks like arithmetic', '$((a); (b))', ['$(…) > a', '$(…) > b', '?']],
  ['if', 'if a; then b; elif c; then d; else e; fi', ['a', 'b', 'c', 'd', 'e']],
  ['loops', 'for x in 1 $(a); do b $x; done; while c; do d; done', ['$(…) > a', 'b $x', 'c', 'd']],
  ['a loop without a list', 'for x do a; done', ['a']],
  ['case', 'case $x in (a|b) c;; *) d;& e) f;; esac; g', ['c', 'd', 'f', 'g']],
  ['a test', '[[ -f a && -d b ]] && c', ['c']],
  ['a test that is none in some shells', '[[ a && rm x ]]; [[ b; rm y', ['rm x', 'rm y']],
  ['functions', 'f() { a; }; function g { b; }; f', ['a', 'b', 'f']],
  ['time, coproc and !', 'time -p a; time { b; }; ! c; coproc X { d; }', ['a', 'b', 'c', 'd']],
  ['assignments', 'A=1 B=$(a) b; C=(1 $(c) 2)', ['$(…) > a', 'b', '$(…) > c', '']],
  ['redirections', 'a > b 2>&1 < c &> d', ['a']],
  ['sudo', 'sudo -u root -E A=1 rm x', ['sudo -u root -E A=1 rm x', 'sudo > rm x']],
  ['env', "env -i -u B A=1 a; env -S 'b c'", ['env -i -u B A=1 a', 'env > a', 'env -S b c', 'env > b c']],
  [
    'wrappers in wrappers',
    'nohup nice -n 5 timeout -k 1 9 a',
    [
      'nohup nice -n 5 timeout -k 1 9 a',
      'nohup > nice -n 5 timeout -k 1 9 a',
      'nohup > nice > timeout -k 1 9 a',
      'nohup > nice > timeout > a',
    ],
  ],
  [
    'a shell with a text',
    "bash -o pipefail -lc 'a | b' x",
    ['bash -o pipefail -lc a | b x', 'bash -c > a', 'bash -c > b'],
  ],
  ['a shell with a variable in its text', 'sh -c "a $X"', ['sh -c a $X', 'sh -c > ?', 'sh -c > a $X']],
  ['eval', 'eval "a;" b', ['eval a; b', 'eval > a', 'eval > b']],
  [
    'xargs',
    'xargs -0 -n 1 a b; xargs -I% c %',
    ['xargs -0 -n 1 a b', 'xargs > a b ${?}', 'xargs -I% c %', 'xargs > c ${?}'],
  ],
  [
    'find',
    'find . -name x -exec a {} \\; -execdir b {} +',
    ['find . -name x -exec a {} ; -execdir b {} +', 'find -exec > a ./*?', 'find -exec > b ./*?'],
  ],
  ['ssh', "ssh -p 22 u@h 'a; b'", ['ssh -p 22 u@h a; b', 'ssh > a', 'ssh > b']],
  ['watch and trap', 'watch -n 1 a b; trap "c" EXIT', ['watch -n 1 a b', 'watch > a b', 'trap c EXIT', 'trap > c']],
  [
    'parallel',
    'parallel a {} ::: 1; parallel ::: "b c"',
    ['parallel a {} ::: 1', 'parallel > a ${?} ${?}', 'parallel ::: b c', 'parallel > b c'],
  ],
  [
    'a here-document for a shell',
    "sh <<'E' && z\na $(b)\nE\nc",
    ['sh', 'sh << > $(…) > b', 'sh << > a ${?}', 'z', 'c'],
  ],
  ['a here-document with expansions', 'cat <<E\n$(a)\nE', ['$(…) > a', 'cat']],
  ['text through a pipe', "printf '%s\\n' 'a b' | sh", ['printf %s\\n a b', 'sh', '| sh > a b']],
  ['base64 through a pipe', 'echo YSBi | base64 -d | sh', ['echo YSBi', 'base64 -d', 'sh', '| sh > a b']],
  ['what nobody knows', '$A b; /bin/r? c; "$B"', ['?', '?', '?']],
  [
    'a pipe into a shell',
    'a | sh; b | python3; c | node -e x',
    ['a', 'sh', '?', 'b', 'python3', '?', 'c', 'node -e x'],
  ],
  ['a function of the same name', 'f() { f | f& }', ['f', 'f']],
  ['npx and uv', 'npx a b; uv run c', ['npx a b', 'npx > a b', 'uv run c', 'uv run > c']],
  ['what is not closed', 'a "b', ['a b', '?']],
  ['a script option behind an operand', "flock -n f -c 'a b'", ['flock -n f -c a b', 'flock > a b']],
  ['a script option among others', "script -qc 'a b' f", ['script -qc a b f', 'script > a b']],
  ['standard input by its name', "bash /dev/stdin <<< 'a b'", ['bash /dev/stdin', 'bash << > a b']],
  ['what a block reads', "{ sh; } <<< 'a b'", ['', 'sh', '| sh > a b']],
  ['what a function reads', 'f() { sh; }; f', ['sh', '?', 'f']],
  ['what is written into a program', 'a > >(sh)', ['>(…) > sh', '?', 'a']],
  ['what exec has opened', 'exec < x; sh', ['exec', 'sh', '?']],
  ['a program that says something else', 'echo() { a; }; echo b | sh', ['a', 'echo b', 'sh', '?']],
  ['code of another language', "python3 <<'E'\nx\nE", ['python3', 'python3 << > python3 -c x\n']],
  [
    'code that is put together',
    'python -c "$(a)"; node -e "x $Y"',
    ['$(…) > a', 'python -c ${?}', '?', 'node -e x $Y'],
  ],
  ['variables with commands', "PAGER='a b' c; export EDITOR=d", ['c', 'PAGER > a b', 'export EDITOR=d', 'EDITOR > d']],
  ['an alias', "alias x='a b'", ['alias x=a b', 'alias > a b']],
  ['sed', "sed -n '/x/,$ { s/a/b/; 1e a b' -e 'e c' f", ['sed -n /x/,$ { s/a/b/; 1e a b -e e c f', 'sed > c']],
  ['sed that runs its text', "sed 's/a/b/ge' f", ['sed s/a/b/ge f', '?']],
  [
    'git',
    "git -c alias.x='!a b' x; git rebase -x 'c d' e",
    ['git -c alias.x=!a b x', 'git -c > a b', 'git rebase -x c d e', 'git rebase > c d'],
  ],
  [
    'a subcommand behind options',
    'pnpm --x y exec a b; yarn workspace w exec c',
    [
      'pnpm --x y exec a b',
      'pnpm exec > a b',
      'yarn workspace w exec c',
      'yarn workspace > yarn exec c',
      'yarn workspace > yarn exec > c',
    ],
  ],
  ['a program that is not known', 'some-tool --x rm -rf y', ['some-tool --x rm -rf y', 'some-tool > rm -rf y']],
  ['xargs behind find', 'find a -name x | xargs b', ['find a -name x', 'xargs b', 'xargs > b a/*?']],
];

describe('a shell text', () => {
  it.each(table)('with %s: %s', (_what, text, expected) => {
    const normal = seen(text).map((line) => line.replaceAll(/(?:^|> )[^>]*> \?$/g, '?'));
    expect(normal.map((line) => line.replace(/^.* > \?$/, '?'))).toEqual(
      expected.map((line) => line.replace(/^.* > \?$/, '?')),
    );
  });

  it('is read with the folder in which each command stands', () => {
    const cwds = (text: string): string[] =>
      readCommand(text, options).commands.map((command) => command.cwds.map((folder) => folder ?? '?').join('|'));
    expect(cwds('cd a && b')).toEqual(['/w', '/w/a']);
    expect(cwds('cd a; b')).toEqual(['/w', '/w/a|/w']);
    expect(cwds('(cd /a; b); c')).toEqual(['/w', '/a|/w', '/w']);
    expect(cwds('cd "$X" && b')).toEqual(['/w', '?']);
    expect(cwds('while a; do cd ..; done; b')).toEqual(['/w', '/w', '/|?|/w']);
    expect(cwds('f() { b; }; cd /; f')).toEqual(['/w|?', '/w', '/|/w']);
    expect(cwds('cd && b')).toEqual(['/w', '/home/u']);
  });

  it('tells what a program gets from others', () => {
    const inputs = (text: string): string[][] =>
      readCommand(text, options).commands.map((command) => [...command.inputs]);
    expect(inputs('curl x | tee y | sudo sh').at(-1)).toEqual(['curl', 'tee']);
    expect(inputs('sh -c "$(curl x)"')[1]).toEqual(['curl']);
    expect(inputs('curl x | while read l; do a; done').at(-1)).toEqual(['curl']);
  });

  it('knows the values that it is told, unless the text changes them', () => {
    const words = (text: string): string[] =>
      readCommand(text, { ...options, variables: { REF_1: 'a b', FILE: '/x/y' } }).commands.map((command) =>
        command.argv.map((word) => `${word.text}${word.known ? '' : '!'}`).join(' '),
      );
    expect(words('rm "$FILE" ${FILE}.txt "${REF_1}"')).toEqual(['rm /x/y /x/y.txt a b']);
    expect(words('rm $REF_1')).toEqual(['rm $REF_1!']);
    expect(words('read FILE; rm "$FILE"')).toEqual(['read FILE', 'rm $FILE!']);
  });

  it('is not run and not expanded when there is no shell', () => {
    expect(readArgv(['echo', '$(rm -rf /)', '`a`', '*'], options).commands).toHaveLength(1);
    expect(readArgv(['sh', '-c', 'a; b'], options).commands.map(({ program }) => program)).toEqual(['sh', 'a', 'b']);
  });
});

describe('letters that are not what they look like', () => {
  it.each([
    ['a Cyrillic letter', '\u0440m -rf /', 'pm'],
    ['a zero-width space', 'r\u200bm -rf /', 'rm'],
    ['a control of direction', 'rm \u202e-rf /', 'rm'],
    ['fullwidth letters', '\uff52\uff4d -rf /', 'rm'],
    ['a Greek letter', 'ch\u03bfwn x', 'chown'],
    ['a soft hyphen', 'r\u00adm x', 'rm'],
    ['a control character', 'rm\u0007 x', 'rm\u0007'],
  ])('are named: %s', (_what, text, program) => {
    const { suspicious, commands } = readCommand(text, options);
    expect(suspicious).not.toEqual([]);
    expect(commands.map((command) => command.program)).toContain(program);
  });

  it.each(['git commit -m "Привет, мир"', 'echo "日本語 ✨️ 👩‍💻"', 'echo "naïve café – “quoted”"', 'echo Ελληνικά'])(
    'are not seen in %s',
    (text) => {
      expect(readCommand(text, options).suspicious).toEqual([]);
    },
  );

  it('hide nothing that would run', () => {
    expect(seen('echo \uff02; rm x #\uff02')).toContain('rm x');
  });
});

const piece = fc.constantFrom(
  ..."$( ) ` \" ' \\ { } ; & | < > << <<< \n ( (( [[ ]] $' ${ case in esac for do done if then fi f() sudo sh -c eval xargs find -exec a b # = ~ * ? , .. <( EOF <<EOF base64 -d".split(
    ' ',
  ),
  ' ',
  '\n',
  '\u200b',
  '\ue02a',
);

describe('whatever the text', () => {
  it('is read without an error, and always to its end', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        for (const text of [pieces.join(''), pieces.join(' ')])
          expect(readCommand(text, options).commands.length).toBeLessThan(2_000);
      }),
      { numRuns: 5_000 },
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void readCommand(text, options)),
      { numRuns: 2_000 },
    );
  });

  it('a command that stands in it after a closed one is found', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(';', '&&', '||', '|', '&', '\n'),
        fc.constantFrom('a', "'x'", '"$(b)"', '{c,d}'),
        (by, word) => {
          expect(seen(`${word} ${by} rm -rf /`)).toContain('rm -rf /');
          expect(seen(`x=$(${word} ${by} rm -rf /)`).some((line) => line.endsWith('rm -rf /'))).toBe(true);
        },
      ),
    );
  });

  const nests = [
    '(',
    '$(',
    '`',
    '"$(',
    '{ ',
    '((',
    '$((',
    '${x:-',
    '<(',
    'if ',
    'case x in a) ',
    '{a,',
    'sudo ',
    'sh -c "',
    'a|',
    'a;',
    '\\',
    '[',
    'f() ',
    '<<E ',
    '$(( $((',
    'eval ',
    'x=(',
    '~',
    '[[ ',
    "$'",
    'a b ',
    'cd a;',
  ];
  it.each(nests)('64 kB of %j are read in linear time', (nest) => {
    const text = nest.repeat(65_536 / nest.length);
    // Of this process alone, and the best of some: others may use the machine as well.
    const spent = Array.from({ length: 4 }, () => {
      const start = process.cpuUsage();
      readCommand(text, options);
      return process.cpuUsage(start).user / 1_000;
    });
    expect(Math.min(...spent)).toBeLessThan(200);
  });
});
