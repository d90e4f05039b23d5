/** A claim on its way: which task, and under which fence. */
export interface Claim {
  readonly task: string;
  readonly fence: number;
}

/** How long a claim lives without a heartbeat. */
export const leaseMs = 15_000;

/**
 * Until when each claim holds. Lives in memory only: the log says who has claimed what, and `reconcile` gives every claim
 * without a lease (after a restart, or after a commit that failed) a whole new one. So a lease here is never the truth:
 * a reaper looks at the task before it takes anything away.
 */
export class Leases {
  readonly #held = new Map<string, { readonly fence: number; readonly until: number }>();

  grant(task: string, fence: number, until: number): void {
    this.#held.set(task, { fence, until });
  }

  /** As `grant`, but never in the place of a newer claim. */
  extend(task: string, fence: number, until: number): void {
    if ((this.#held.get(task)?.fence ?? fence) <= fence) this.grant(task, fence, until);
  }

  release(task: string): void {
    this.#held.delete(task);
  }

  /** Makes the leases those of the claims that really stand; one that is new here holds until `until`. */
  reconcile(claims: readonly Claim[], until: number): void {
    const standing = new Map(claims.map(({ task, fence }) => [task, fence]));
    for (const [task, { fence }] of this.#held) if (standing.get(task) !== fence) this.#held.delete(task);
    for (const [task, fence] of standing) if (!this.#held.has(task)) this.grant(task, fence, until);
  }

  expired(now: number): Claim[] {
    return [...this.#held].flatMap(([task, { fence, until }]) => (until <= now ? [{ task, fence }] : []));
  }

  /** When the first lease runs out; null when nothing is leased. */
  nextAt(): number | null {
    let next: number | null = null;
    for (const { until } of this.#held.values()) if (next === null || until < next) next = until;
    return next;
  }
}
