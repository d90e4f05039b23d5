/**
 * Kills the server again and again while it carries out a plan of fifty tasks:
 * `npm run crash -- --seeds 200 [--from 1] [--kills 40] [--keep] [--harsh] [--packed]`. Packed: the program as it is published, which
 * starts in less time than the sources of the checkout.
 */
import { parseArgs } from 'node:util';
import { crashRun } from '../src/app/crash-run.fixture.ts';
import { product } from './product.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10' },
    from: { type: 'string', default: '1' },
    kills: { type: 'string', default: '40' },
    keep: { type: 'boolean', default: false },
    harsh: { type: 'boolean', default: false },
    packed: { type: 'boolean', default: false },
  },
});
if (values.packed) process.env['MAOS_TEST_PROGRAM'] = product();
const [seeds, from, kills] = [Number(values.seeds), Number(values.from), Number(values.kills)];

const bad: number[] = [];
let [total, adopted] = [0, 0];
for (let seed = from; seed < from + seeds; seed += 1) {
  try {
    const result = await crashRun(seed, { kills, keep: values.keep, harsh: values.harsh });
    total += result.kills;
    adopted += result.adopted;
    const { problems, failures, kept } = result;
    const verdict = problems.length === 0 ? 'ok' : 'WRONG';
    console.log(
      `seed ${seed}: ${verdict}, ${result.kills} kills, ${result.adopted} adopted, ${result.records} records, ${(result.ms / 1000).toFixed(1)} s`,
    );
    for (const problem of problems) console.log(`    ${problem}`);
    if (problems.length > 0 || values.keep)
      for (const line of failures.slice(-5)) console.log(`    journal: ${line.slice(0, 400)}`);
    if (kept !== undefined) console.log(`    kept in ${kept}`);
    if (problems.length > 0) bad.push(seed);
  } catch (error) {
    console.log(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
    bad.push(seed);
  }
}
console.log(
  `${seeds - bad.length} of ${seeds} seeds passed, ${total} kills, ${adopted} sessions adopted.${bad.length === 0 ? '' : ` Wrong: ${bad.join(', ')}`}`,
);
process.exitCode = bad.length === 0 ? 0 : 1;
