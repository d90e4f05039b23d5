import { invalid } from '../../kernel/error.ts';
import type { Args, Flag } from '../argv.ts';

/** `--input name=value`, once for each input of a plan. */
export const inputFlag: Flag = {
  key: 'input',
  short: 'i',
  kind: 'json',
  describe: 'An input of the plan, NAME=VALUE; may be repeated.',
};

/** The inputs that a shell line gives. */
export function inputsOf(args: Args): Record<string, string> {
  const given = args.values['input'];
  if (given === undefined) return {};
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) {
    return Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
    );
  }
  throw invalid('--input takes NAME=VALUE.');
}
