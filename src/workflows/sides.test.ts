import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { conflictSides } from './sides.ts';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'maos-sides-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const conflict = (ours: string, theirs: string): string =>
  `<<<<<<< HEAD\n${ours}\n||||||| base\nbase\n=======\n${theirs}\n>>>>>>> other\n`;

it('tells every conflict with its file and line, and nothing of what lies between', async () => {
  writeFileSync(join(folder, 'a.txt'), `one\n${conflict('left', 'right')}two\n${conflict('up', 'down')}three\n`);
  const told = await conflictSides(folder, ['a.txt', 'deleted.txt']);
  expect(told).toBe(
    `a.txt, from line 2:\n${conflict('left', 'right')}\na.txt, from line 10:\n${conflict('up', 'down')}`.trimEnd(),
  );
  expect(told).not.toMatch(/one|two|three/);
});

it('leaves what is too long to the files', async () => {
  writeFileSync(join(folder, 'b.txt'), conflict('left', 'right') + conflict('x'.repeat(20_000), 'y'));
  const told = await conflictSides(folder, ['b.txt']);
  expect(told).toContain('left');
  expect(told).toContain('stand in the files');
  expect(told.length).toBeLessThan(1_000);
});
