import { AppError } from '../../kernel/error.ts';

/** A block of ports that one workspace may listen on. */
export interface PortRange {
  readonly base: number;
  readonly size: number;
}

/** Where blocks are taken from: below 32768, where operating systems begin to hand out ports of their own. */
const portSpace = { first: 20_000, last: 32_767, size: 10 } as const;

/** The lowest free block of ports. Pure: it knows what MAOS has given out, not what other programs listen on. */
export function allocatePorts(
  taken: readonly PortRange[],
  space: { readonly first: number; readonly last: number; readonly size: number } = portSpace,
): PortRange {
  let base = space.first;
  for (const range of taken.toSorted((a, b) => a.base - b.base)) {
    if (base + space.size <= range.base) break;
    base = Math.max(base, range.base + range.size);
  }
  if (base + space.size - 1 > space.last) {
    throw new AppError('exhausted', `All ports from ${space.first} to ${space.last} are given to workspaces.`, {
      fix: 'Remove workspaces that are no longer needed with `maos rm`.',
    });
  }
  return { base, size: space.size };
}

/** What tells the programs in a workspace where they are, and keeps those of two workspaces apart. */
export function workspaceVariables(workspace: {
  readonly id: string;
  readonly path: string;
  readonly branch: string;
  readonly base: string;
  readonly ports: PortRange;
}): Record<string, string> {
  const { id, path, branch, base, ports } = workspace;
  return {
    MAOS_WORKSPACE: id,
    MAOS_WORKSPACE_PATH: path,
    MAOS_BRANCH: branch,
    MAOS_BASE_COMMIT: base,
    MAOS_PORT_BASE: String(ports.base),
    MAOS_PORT_COUNT: String(ports.size),
    // The usual name for the one port of a server.
    PORT: String(ports.base),
    // Keeps the containers and networks of two workspaces apart.
    COMPOSE_PROJECT_NAME: id.toLowerCase().replaceAll(/[^a-z0-9_-]/g, '-'),
  };
}
