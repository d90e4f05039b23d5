// Resolves a conflict in lists: both sides' lines are kept, a line that one side removed goes, the result is sorted. Anything that is
// not a list is left to a person.
import { readFileSync, writeFileSync } from 'node:fs';

const conflict = /^<{7} .*\n([\s\S]*?)^\|{7} .*\n([\s\S]*?)^={7}\n([\s\S]*?)^>{7} .*\n/gm;
const lines = (text) => text.split('\n').filter((line) => line !== '');

function union(ours, base, theirs) {
  const both = [...new Set([...ours, ...theirs])];
  const kept = both.filter((line) => !base.includes(line) || (ours.includes(line) && theirs.includes(line)));
  const other = kept.find((line) => !line.startsWith('- '));
  if (other !== undefined) throw new Error(`"${other}" is not an entry of a list: this conflict is for a person`);
  return kept.sort();
}

for (const file of process.env.MAOS_CONFLICT_FILES.split('\n')) {
  const text = readFileSync(file, 'utf8');
  const merged = text.replaceAll(conflict, (_, ...sides) => {
    const [ours, base, theirs] = sides.slice(0, 3).map(lines);
    return union(ours, base, theirs)
      .map((line) => `${line}\n`)
      .join('');
  });
  writeFileSync(file, merged);
  console.log(`${file}: kept the entries of both sides`);
}
