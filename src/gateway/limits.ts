/**
 * How often each caller may call. A bucket of tokens for each credential: a call takes one, and they come back evenly. Kept in
 * memory: after a restart everybody begins with a full bucket.
 */
import { actorName } from '../kernel/actor.ts';
import type { Caller } from '../kernel/caller.ts';
import { HttpError } from './problem.ts';

/** So many calls in so much time, and as many at once. */
export interface RatePolicy {
  readonly quota: number;
  readonly windowMs: number;
}

/** By what a caller is. MAOS itself is not limited. */
export interface RatePolicies {
  readonly user: RatePolicy;
  readonly agent: RatePolicy;
  /** Who has shown no credential: whoever asks for one. */
  readonly stranger: RatePolicy;
}

const minute = 60_000;
/** More than a person or an agent at work ever needs; less than what would leave nothing for others. */
const defaultRates: RatePolicies = {
  user: { quota: 1_200_000, windowMs: minute },
  agent: { quota: 60_000, windowMs: minute },
  stranger: { quota: 300, windowMs: minute },
};

/** So many buckets are kept; then those that are half full again or more, which say little, are let go. */
const mostBuckets = 10_000;

interface Bucket {
  readonly name: keyof RatePolicies;
  readonly policy: RatePolicy;
  tokens: number;
  at: number;
}

export interface RateOptions {
  readonly now: () => number;
  readonly policies?: Partial<RatePolicies>;
  readonly mostBuckets?: number;
}

/** Counts the calls of everybody. `take` is the registry's `limit`, `headers` what a door answers with. */
export class RateLimits {
  readonly #now: () => number;
  readonly #policies: RatePolicies;
  readonly #most: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor({ now, policies = {}, mostBuckets: most = mostBuckets }: RateOptions) {
    this.#now = now;
    this.#policies = { ...defaultRates, ...policies };
    this.#most = most;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes one token, or refuses and says when there will be one. */
  take(caller: Caller): void {
    const bucket = this.#bucketOf(caller);
    if (bucket === undefined) return;
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return;
    }
    const { quota, windowMs } = bucket.policy;
    const seconds = Math.max(1, Math.ceil(((1 - bucket.tokens) * windowMs) / quota / 1_000));
    throw new HttpError(
      429,
      'exhausted',
      `${actorName(caller.actor)} has used all of its ${quota} calls in ${windowMs / 1_000} s.`,
      `Try again in ${seconds} s; follow the log instead of asking again and again.`,
      { 'retry-after': String(seconds), ...headersOf(bucket) },
    );
  }

  /** What the caller has left, in the words of the IETF's draft for rate limit headers; none for who is not limited. */
  headers(caller: Caller): Readonly<Record<string, string>> {
    const bucket = this.#bucketOf(caller);
    return bucket === undefined ? {} : headersOf(bucket);
  }

  #bucketOf(caller: Caller): Bucket | undefined {
    const { actor, credential } = caller;
    if (actor.kind === 'system') return undefined;
    const key = credential ?? actorName(actor);
    const now = this.#now();
    const known = this.#buckets.get(key);
    if (known !== undefined) return refill(known, now);
    if (this.#buckets.size >= this.#most) this.#makeRoom(now);
    const name = nameOf(caller);
    const policy = this.#policies[name];
    const bucket = { name, policy, tokens: policy.quota, at: now };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  #makeRoom(now: number): void {
    for (const [key, bucket] of this.#buckets) {
      if (refill(bucket, now).tokens >= bucket.policy.quota / 2) this.#buckets.delete(key);
    }
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined && this.#buckets.size >= this.#most) this.#buckets.delete(oldest);
  }
}

/** Whether a caller has shown no credential. */
export function isStranger(caller: Caller): boolean {
  return nameOf(caller) === 'stranger';
}

function nameOf({ actor, scopes }: Caller): keyof RatePolicies {
  if (actor.kind === 'agent') return 'agent';
  return actor.id === 'anonymous' && scopes.length === 0 ? 'stranger' : 'user';
}

function refill(bucket: Bucket, now: number): Bucket {
  const { quota, windowMs } = bucket.policy;
  // A clock that was set back gives nothing and takes nothing.
  bucket.tokens = Math.min(quota, bucket.tokens + (Math.max(0, now - bucket.at) * quota) / windowMs);
  bucket.at = now;
  return bucket;
}

/** `RateLimit: "agent";r=59999;t=1` and `RateLimit-Policy: "agent";q=60000;w=60`. */
function headersOf({ name, policy: { quota, windowMs }, tokens }: Bucket): Readonly<Record<string, string>> {
  const left = Math.max(0, Math.floor(tokens));
  const full = Math.ceil(((quota - tokens) * windowMs) / quota / 1_000);
  return {
    'ratelimit-policy': `"${name}";q=${quota};w=${Math.ceil(windowMs / 1_000)}`,
    ratelimit: `"${name}";r=${left};t=${full}`,
  };
}
