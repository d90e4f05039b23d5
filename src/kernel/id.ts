import { randomFillSync } from 'node:crypto';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const letters = 12;

/** Makes ids. Passed in wherever ids are made, so that a simulation can make the same ones again. */
export type NewId = (prefix: string) => string;

// Random bytes are drawn for many ids at once: one draw costs as much as the whole rest of making an id.
const pool = Buffer.alloc(letters * 512);
let used = pool.length;

/**
 * `task_7k3m9qx2w4ta`: the prefix says what it is, 60 random bits keep it from ever being given twice,
 * and because the first letters are random, a person can type a short unique prefix.
 */
export const newId: NewId = (prefix) => {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let id = `${prefix}_`;
  for (const end = used + letters; used < end; used += 1) id += alphabet.charAt(pool.readUInt8(used) & 31);
  return id;
};

/** Ids in a fixed order, for tests and replays: the same seed gives the same ids. */
export function seededIds(seed: number): NewId {
  let state = seed >>> 0 || 1;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 27;
  };
  return (prefix) => `${prefix}_${Array.from({ length: letters }, () => alphabet.charAt(next())).join('')}`;
}
