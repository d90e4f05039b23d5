import { everydayPrograms } from './command/known.ts';
import type { PolicyRule } from './contract.ts';
import { code } from './shipped/code.ts';
import { files, git, machine, never } from './shipped/inward.ts';
import { outside } from './shipped/outward.ts';

/** What is allowed by name, for those whose default is to ask. */
const everydayPriority = -900;

const everyday: PolicyRule = {
  id: 'everyday',
  decision: 'allow',
  reason: 'Programs of everyday work',
  priority: everydayPriority,
  match: {
    command: {
      program: [...everydayPrograms],
      opaque: false,
    },
  },
};

/** The rules that come with MAOS. */
export const shippedRules: readonly PolicyRule[] = [
  ...never,
  ...files,
  ...machine,
  ...code,
  ...git,
  ...outside,
  everyday,
];
