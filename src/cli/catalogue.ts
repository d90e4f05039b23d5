import type { Operation } from '../kernel/operation.ts';

/**
 * Which room's contract says what can be done with a noun. Known without loading any contract, so that help and short
 * commands start at once; a test compares it with the contracts.
 */
const rooms = {
  agents: ['agent', 'runtime'],
  approvals: ['approval'],
  auth: ['account', 'key', 'login', 'user'],
  budgets: ['budget'],
  policy: ['policy'],
  projects: ['project'],
  secrets: ['secret', 'signer'],
  tasks: ['task'],
  watch: ['admin', 'audit', 'cost', 'doctor', 'server'],
  workflows: ['run'],
  workspaces: ['merge', 'workspace'],
} as const;
type Room = keyof typeof rooms;

const loaders: Readonly<Record<Room, () => Promise<Readonly<Record<string, Operation>>>>> = {
  agents: async () => (await import('../agents/contract.ts')).agentOps,
  approvals: async () => (await import('../policy/approvals/contract.ts')).approvalOps,
  auth: async () => (await import('../auth/contract.ts')).authOps,
  budgets: async () => (await import('../budgets/contract.ts')).budgetOps,
  policy: async () => (await import('../policy/contract.ts')).policyOps,
  projects: async () => (await import('../projects/contract.ts')).projectOps,
  secrets: async () => (await import('../secrets/contract.ts')).secretOps,
  tasks: async () => (await import('../tasks/contract.ts')).taskOps,
  watch: async () => (await import('../watch/contract.ts')).watchOps,
  workflows: async () => (await import('../workflows/contract.ts')).runOps,
  workspaces: async () => (await import('../workspaces/contract.ts')).workspaceOps,
};
const names: readonly Room[] = [
  'agents',
  'approvals',
  'auth',
  'budgets',
  'policy',
  'projects',
  'secrets',
  'tasks',
  'watch',
  'workflows',
  'workspaces',
];

/** The first words of derived commands, in the order of the alphabet. */
export const nouns: readonly string[] = names.flatMap((room) => [...rooms[room]]).toSorted();

/** The verb of an operation: `task.create` → `create`. */
export function verbOf(operation: Operation): string {
  return operation.name.slice(operation.name.indexOf('.') + 1);
}

/** What a shell can do with a noun. */
export async function operationsOf(noun: string): Promise<readonly Operation[]> {
  const room = names.find((name) => rooms[name].some((known) => known === noun));
  if (room === undefined) return [];
  return Object.values(await loaders[room]()).filter(
    (operation) => operation.internal !== true && operation.name.startsWith(`${noun}.`),
  );
}

/** Every operation of a contract, those that only MAOS itself calls included. */
export async function everyOperation(): Promise<readonly Operation[]> {
  const loaded = await Promise.all(names.map((room) => loaders[room]()));
  return loaded.flatMap((operations) => Object.values(operations));
}
