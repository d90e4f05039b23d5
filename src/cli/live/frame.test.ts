import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { terminal } from '../cli.fixture.ts';
import { ansiPaint, noPaint } from '../terminal.ts';
import { widthOf } from '../text.ts';
import { frame } from './frame.ts';
import { runOf, stepOf } from './live.fixture.ts';
import { Screen } from './screen.ts';
import { treeOf } from './tree.ts';

const now = 1_700_000_065_000;
const escape = String.fromCharCode(27);
const bare = (line: string): string => line.replaceAll(new RegExp(`${escape}\\[[0-9;]*m`, 'g'), '');

const busy = { state: 'claimed', phase: 'working', agent: 'agent_1', startedAt: 1_700_000_050_000 } as const;
const done = { state: 'done', phase: 'done', startedAt: 1_700_000_000_000, endedAt: 1_700_000_005_000 } as const;
const plan = runOf([
  stepOf('scan', [], { ...done, changed: { files: 0, added: 0, deleted: 0 } }),
  stepOf('codemod', ['scan'], {
    ...done,
    changed: { files: 4, added: 120, deleted: 33 },
    costUsd: 0.5,
    runtime: 'claude',
  }),
  stepOf('docs', ['scan'], {
    ...busy,
    lastAction: 'Edit docs/日本語.md and a good many other files',
    runtime: 'claude',
    costUsd: 0.0421,
  }),
  stepOf('tests', ['codemod'], {
    state: 'failed',
    phase: 'failed',
    reason: 'npm test failed',
    startedAt: 1_700_000_000_000,
    endedAt: 1_700_000_061_000,
  }),
  stepOf('release', ['tests', 'docs'], {}),
  stepOf('alone'),
]);
const draw = (width: number, height: number, unicode = true): string =>
  frame(treeOf(plan), { width, height, now, unicode, paint: noPaint }).join('\n');

describe('a frame', () => {
  it('shows every task below the last of its needs', () => {
    expect(draw(80, 24)).toMatchInlineSnapshot(`
      "demo-1  running  2/6 done · 1 working · 1:05 · $0.54
      ✓ scan              command  done                                           0:05
      ├─ ✓ codemod        claude   done                        +120 -33    $0.50  0:05
      │  └─ ✗ tests       command  npm test failed                                1:01
      │     └─ ○ release  command  needs tests, docs
      └─ ● docs           claude   working: Edit docs/日本語…            $0.0421  0:15
      ○ alone             command  queued"
    `);
  });

  it('leaves columns out on a narrow terminal', () => {
    expect(draw(44, 24)).toMatchInlineSnapshot(`
      "demo-1  running  2/6 done · 1 working · 1:0…
      ✓ scan              done                0:05
      ├─ ✓ codemod        done                0:05
      │  └─ ✗ tests       npm test failed     1:01
      │     └─ ○ release  needs tests, docs
      └─ ● docs           working: Edit doc…  0:15
      ○ alone             queued"
    `);
  });

  it('shows what matters when there is no room for all', () => {
    expect(draw(80, 6)).toMatchInlineSnapshot(`
      "demo-1  running  2/6 done · 1 working · 1:05 · $0.54
      ✗ tests    command  npm test failed                                         1:01
      ○ release  command  needs tests, docs
      ● docs     claude   working: Edit docs/日本語.md and a good many…  $0.0421  0:15
      … and 2 done, 1 pending"
    `);
  });

  it('manages without unicode', () => {
    expect(draw(60, 24, false)).toMatchInlineSnapshot(`
      "demo-1  running  2/6 done, 1 working, 1:05, $0.54
      + scan              done                                0:05
      |- + codemod        done             +120 -33    $0.50  0:05
      |  \`- x tests       npm test failed                     1:01
      |     \`- . release  needs tests, d~
      \`- * docs           working: Edit ~            $0.0421  0:15
      . alone             queued"
    `);
  });

  it('is never wider or higher than its terminal, whatever the plan', () => {
    const word = fc.string({ unit: 'grapheme', maxLength: 60 });
    const steps = fc.array(
      fc.record({
        id: fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,39}$/),
        needs: fc.array(fc.nat(40), { maxLength: 4 }),
        action: fc.option(word, { nil: null }),
        state: fc.constantFrom('blocked', 'delayed', 'queued', 'claimed', 'waiting', 'done', 'failed', 'cancelled'),
        cost: fc.option(fc.double({ min: 0, max: 10_000, noNaN: true }), { nil: null }),
        added: fc.option(fc.nat(1_000_000), { nil: null }),
      }),
      { minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(steps, fc.integer({ min: 20, max: 200 }), fc.integer({ min: 4, max: 60 }), (made, width, height) => {
        const ids = made.map(({ id }, index) => `${id}-${index}`);
        const run = runOf(
          made.map(({ needs, action, state, cost, added }, index) =>
            stepOf(
              ids[index] ?? '',
              needs.flatMap((need) => (need < index ? (ids[need] ?? []) : [])),
              {
                ...{ state, lastAction: action, reason: action, costUsd: cost, phase: 'working', startedAt: 0 },
                changed: added === null ? null : { files: 1, added, deleted: added },
              },
            ),
          ),
        );
        const lines = frame(treeOf(run), { width, height, now, unicode: true, paint: ansiPaint });
        for (const line of lines) {
          expect(widthOf(bare(line))).toBeLessThanOrEqual(width);
          expect(line).not.toContain('\n');
        }
        expect(lines).toHaveLength(Math.min(ids.length + 1, height - 1));
      }),
    );
  });

  it('draws a cycle that should not exist without ending in one', () => {
    const odd = runOf([stepOf('a', ['b']), stepOf('b', ['a']), stepOf('c')]);
    expect(frame(treeOf(odd), { width: 40, height: 24, now, unicode: true, paint: noPaint }).length).toBeGreaterThan(0);
  });
});

describe('the screen', () => {
  it('writes only lines that changed, each frame at once', () => {
    const out = terminal(40, 10);
    const writes: string[] = [];
    const screen = new Screen({ ...out, write: (text) => void writes.push(text.replaceAll(escape, '^')) });
    screen.draw(['one', 'two']);
    screen.draw(['one', 'two']);
    screen.draw(['one', 'TWO', 'three']);
    screen.draw(['one']);
    screen.close();
    screen.close();
    expect(writes).toMatchInlineSnapshot(`
      [
        "^[?2026h^[?25l^[?7l^[2Kone
      ^[2Ktwo
      ^[?2026l",
        "^[?2026h^[2F
      ^[2KTWO
      ^[2Kthree
      ^[?2026l",
        "^[?2026h^[3F
      ^[J^[?2026l",
        "^[?25h^[?7h",
      ]
    `);
  });

  it('begins afresh after a change of width', () => {
    const out = terminal(40, 10);
    const screen = new Screen(out);
    screen.draw(['x'.repeat(40), 'short']);
    out.size.columns = 20;
    screen.draw(['x'.repeat(20), 'short']);
    // 40 columns became two rows of 20: three rows go up.
    expect(out.text()).toContain(`${escape}[3F${escape}[J${'x'.repeat(20)}\n`);
  });
});
