import { agentEvents } from '../agents/contract.ts';
import type { Call, Reactor, Reader } from '../kernel/handler.ts';
import { approvalEvents } from '../policy/approvals/contract.ts';
import { budgetOps } from './contract.ts';
import { firstOver, pastPromise, payersOf } from './ledger.ts';

interface KeeperOptions {
  readonly call: Call;
  readonly reader: Reader;
  readonly now: () => number;
}

/** Stops what has used up its budgets, and takes up the answers of those who were asked for more. */
export function budgetReactors({ call, reader, now }: KeeperOptions): Reactor[] {
  const { observed, ended } = agentEvents;
  const { approved, denied, expired } = approvalEvents;
  return [
    {
      name: 'budget-keeper',
      types: [observed.type, ended.type],
      react: async ({ stream, type, data }) => {
        const { generation } = (type === observed.type ? observed : ended).schema.parse(data);
        const over = firstOver(reader, payersOf(reader, stream, generation), now()) !== undefined;
        if (over || pastPromise(reader, stream, generation)) await call(budgetOps.keep, { agent: stream, generation });
      },
    },
    {
      name: 'budget-answers',
      types: [approved.type, denied.type, expired.type],
      react: async ({ stream }) => {
        if (reader.get('SELECT 1 FROM budget WHERE approval = ?', stream) !== undefined)
          await call(budgetOps.answer, { approval: stream });
      },
    },
  ];
}
