import fc from 'fast-check';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exec } from '../kernel/exec.ts';
import { expandPlan } from './expand.ts';
import { fillTask } from './fill.ts';
import { parseOutputs } from './outputs.ts';
import { parsePlan } from './parse.ts';
import type { PlannedTask } from './planned.ts';
import { escapeTemplate, fillTemplate, readTemplate } from './template.ts';

function only(task: string, inputs: Record<string, string> = {}): PlannedTask {
  const names = Object.keys(inputs).map((name) => `${name}: {}`);
  const plan = parsePlan(`name: p\ninputs: {${names.join(', ')}}\ntasks:\n  - id: a\n${task}`, { file: 'plan.yaml' });
  const [planned] = expandPlan(plan, inputs);
  if (planned === undefined) throw new Error('no task');
  return planned;
}

describe('values', () => {
  test("inputs.x is the task's own input when it has one, else the run's", () => {
    const task = only('    prompt: "${{ inputs.x }} ${{ inputs.y }}"\n    inputs: {x: "own, run: ${{ inputs.x }}"}\n', {
      x: '1',
      y: '2',
    });
    const filled = fillTask(task);
    expect(filled.prompt).toBe('own, run: 1 2');
    expect(filled.env).toEqual({ MAOS_INPUT_X: 'own, run: 1' });
  });

  test('are filled in one pass: what looks like a reference in a value stays as it is', () => {
    const task = only('    prompt: "a ${{ inputs.x }}{{ inputs.y }} $${{ inputs.y }}"\n    inputs: {y: secret}\n', {
      x: '${{ inputs.y }} $',
    });
    expect(fillTask(task).prompt).toBe('a ${{ inputs.y }} ${{ inputs.y }} ${{ inputs.y }}');
  });

  test('of other tasks are refused while these have no result', () => {
    const plan = parsePlan(
      'name: p\ntasks:\n  - {id: s, command: ls, outputs: [n]}\n  - {id: a, prompt: "${{ tasks.s.outputs.n }}", needs: [s]}\n',
      { file: 'p' },
    );
    const [, task] = expandPlan(plan);
    if (task === undefined) throw new Error('no task');
    expect(fillTask(task, { s: { result: '', outputs: { n: '7' } } }).prompt).toBe('7');
    expect(() => fillTask(task)).toThrow('uses a value of "s", which has no result yet');
    expect(() => fillTask(task, { s: { result: '', outputs: {} } })).toThrow('without its output "n"');
  });

  test('too large for an environment variable are refused before the system does', () => {
    expect(() => fillTask(only('    command: echo "${{ inputs.x }}"\n', { x: 'x'.repeat(130_000) }))).toThrow(
      'larger than 120 kB',
    );
  });

  test('names of Object.prototype are names like any other', () => {
    expect(fillTask(only('    prompt: "${{ inputs.constructor }}"\n', { constructor: 'c' })).prompt).toBe('c');
    expect(() => only('    prompt: "${{ inputs.constructor }}"\n')).toThrow('There is no input "constructor"');
  });

  test('any text survives being escaped into a template', () => {
    const pieces = fc
      .array(fc.constantFrom('$', '{', '}', '{{', '}}', '${{', 'inputs.x', ' ', 'a', '\n'), { maxLength: 12 })
      .map((list) => list.join(''));
    fc.assert(
      fc.property(fc.oneof(pieces, fc.string()), (text) => {
        expect(fillTemplate(escapeTemplate(text), () => 'FILLED')).toBe(text);
      }),
    );
  });

  test('any template is read without a throw, and nothing of it is lost', () => {
    const pieces = fc
      .array(fc.constantFrom('$', '{{', '}}', '${{', '${{ item }}', '$${{', 'x', '\n'), { maxLength: 12 })
      .map((list) => list.join(''));
    fc.assert(
      fc.property(pieces, (text) => {
        const whole = readTemplate(text)
          .map((part) => (part.kind === 'text' ? escapeTemplate(part.text) : part.raw))
          .join('');
        expect(whole).toBe(text);
      }),
    );
  });
});

describe('shell lines run by a real shell', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'maos-fill-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const hostile = [
    '$(touch pwned)',
    '`touch pwned`',
    '"; touch pwned; "',
    "'; touch pwned; '",
    '; touch pwned #',
    '\ntouch pwned\n',
    '&& touch pwned',
    '| touch pwned',
    '${IFS}x',
    '$HOME',
    '\\',
    '\\"',
    '* ?',
    '~',
    '-n',
    'a  b\tc',
    '!x',
    '$((1+1))',
    'x[$(touch pwned)]',
    '>pwned',
    "$'\\x41'",
    'é 修 🙂',
    '{a,b}',
    '',
    '\u0001',
  ];
  const lines = [
    'printf %s ${{ inputs.x }}',
    'printf %s "${{ inputs.x }}"',
    'printf %s ""${{ inputs.x }}""',
    'X=${{ inputs.x }}; printf %s "$X"',
    'printf %s "$(printf %s ${{ inputs.x }}; printf .)" | sed \'$s/[.]$//\'',
    'printf %s "$(printf %s "${{ inputs.x }}"; printf .)" | sed \'$s/[.]$//\'',
    "# don't\nprintf %s ${{ inputs.x }}",
    'bash -c \'printf %s "$1"\' bash ${{ inputs.x }}',
    'sh -c \'printf %s "$1"\' sh "${{ inputs.x }}"',
    'printf %s "$MAOS_INPUT_OWN"',
  ];

  async function run(
    shell: string,
    line: string,
    value: string,
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const text = line.includes('OWN') ? '    inputs: {own: "${{ inputs.x }}"}\n' : '';
    const { command, env } = fillTask(only(`    command: ${JSON.stringify(line)}\n${text}`, { x: value }));
    expect(command?.[2]).not.toContain('${{');
    // The line is the same for every value: the value is not in it.
    expect(command?.[2]).toBe(
      fillTask(only(`    command: ${JSON.stringify(line)}\n${text}`, { x: 'another' })).command?.[2],
    );
    return exec(shell, ['-c', command?.[2] ?? ''], { cwd: folder, env: { ...env, PATH: '/usr/bin:/bin' } });
  }

  test.each(lines.flatMap((line) => ['sh', 'bash'].map((shell) => [shell, line] as const)))(
    '%s: %s gives every hostile value as it is',
    async (shell, line) => {
      for (const value of hostile) {
        const { stdout, stderr } = await run(shell, line, value);
        expect([value, stdout, stderr]).toEqual([value, value, '']);
      }
      expect(await readdir(folder)).toEqual([]);
    },
  );

  test.each([
    ['eval', 'eval echo ${{ inputs.x }}'],
    ['a script for another shell', '/bin/sh -e -c "echo ${{ inputs.x }}"'],
    ['a script in a substitution', 'A="$(bash -lc "echo ${{ inputs.x }}")"'],
    ['a whole script', 'cd x && sh -c ${{ inputs.x }}'],
    ['code of node', 'node -e "f(\'${{ inputs.x }}\')"'],
    ['code of python', 'python3 -c "f(\'${{ inputs.x }}\')"'],
    ['arithmetic', 'echo "$(( ${{ inputs.x }} + 1 ))"'],
    ['a here-document', 'cat <<EOF\n${{ inputs.x }}\nEOF'],
    ['single quotes', "awk '{ print ${{ inputs.x }} }'"],
  ])('%s would read the value as code: refused', (_name, line) => {
    expect(() => only(`    command: ${JSON.stringify(line)}\n`, { x: '1' })).toThrow(
      /as code|quoted safely|arithmetic|single quotes/,
    );
  });

  test('scripts given as an argument are shell lines too; other arguments are filled as they are', () => {
    const task = only('    command: [timeout, 5, bash, -ec, "echo ${{ inputs.x }}", "${{ inputs.x }}"]\n', {
      x: '$(id)',
    });
    expect(fillTask(task)).toMatchObject({
      command: ['timeout', '5', 'bash', '-ec', 'echo "${MAOS_REF_1}"', '$(id)'],
      env: { MAOS_REF_1: '$(id)' },
    });
  });

  test('checks and the conflict command share the variables', () => {
    const task = only(
      '    command: ls\n    checks: ["test ${{ inputs.x }} = 1"]\n    onConflict: {command: "echo ${{ inputs.x }} ${{ inputs.y }}"}\n',
      { x: '1', y: '2' },
    );
    const filled = fillTask(task);
    expect(filled.checks).toEqual(['test "${MAOS_REF_1}" = 1']);
    expect(filled.onConflict).toEqual({
      kind: 'command',
      command: ['sh', '-c', 'echo "${MAOS_REF_1}" "${MAOS_REF_2}"'],
    });
    expect(filled.env).toEqual({ MAOS_REF_1: '1', MAOS_REF_2: '2' });
  });
});

describe('the output file', () => {
  test('lines or one JSON object', () => {
    expect(parseOutputs('count=3\r\n\nlist=a=b \ncount=4\n', ['count', 'list'])).toEqual({ count: '4', list: 'a=b ' });
    expect(parseOutputs(' {"count": 3, "list": ["a"], "text": "two\\nlines"}', ['count', 'list', 'text'])).toEqual({
      count: '3',
      list: '["a"]',
      text: 'two\nlines',
    });
    expect(parseOutputs('', [])).toEqual({});
  });

  test.each([
    ['count: 3', ['count'], 'Line 1 of the output file is not name=value'],
    ['coun=3', ['count'], 'wrote an output "coun" that it does not declare'],
    ['', ['count'], 'ended without its output "count"'],
    ['count=a\0b', ['count'], 'zero byte'],
    [`count=${'x'.repeat(100_001)}`, ['count'], 'larger than 100 kB'],
    ['{"count": 3', ['count'], 'is not name=value'],
  ])('%# is refused', (text, names, message) => {
    expect(() => parseOutputs(text, names)).toThrow(message);
  });
});
