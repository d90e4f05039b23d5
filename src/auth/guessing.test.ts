/** What guessing at passwords meets: the delays of names and addresses, and who they do not hold up. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { stranger } from '../kernel/caller.ts';
import { AppError } from '../kernel/error.ts';
import { AuthRoom } from './auth.fixture.ts';
import { authOps } from './contract.ts';

const password = 'correct horse battery';
let room: AuthRoom;
beforeEach(async () => {
  room = new AuthRoom({ idleMs: 3_600_000, absoluteMs: 3_600_000 });
  for (const name of ['ada', 'eve']) await room.owner(authOps.createUser, { name, role: 'viewer', password });
});
afterEach(() => room.destroy());

/** One attempt; the code of its refusal, or `ok`. */
async function attempt(name: string, from: string, given = 'wrong horse battery'): Promise<string> {
  try {
    await room.registry.as(stranger(from))(authOps.createLogin, { name, password: given });
    return 'ok';
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

it('one name from many addresses is slowed down, but not from where its user has logged in before', async () => {
  expect(await attempt('ada', 'home', password)).toBe('ok');
  for (let bot = 0; bot < 5; bot += 1) expect(await attempt('ada', `bot ${bot}`)).toBe('unauthenticated');
  expect(await attempt('ada', 'bot 6')).toBe('exhausted');
  expect(await attempt('ada', 'elsewhere', password)).toBe('exhausted');
  expect(await attempt('ada', 'home', password)).toBe('ok');
  // There too only so many are wrong without a delay.
  for (let times = 0; times < 5; times += 1) expect(await attempt('ada', 'home')).toBe('unauthenticated');
  expect(await attempt('ada', 'home', password)).toBe('exhausted');
});

it('a name that nobody has is slowed down as one that somebody has', async () => {
  for (let times = 0; times < 5; times += 1) expect(await attempt('nobody', 'home')).toBe('unauthenticated');
  expect(await attempt('nobody', 'home')).toBe('exhausted');
});

it('whoever has an account cannot guess at others for longer by logging in between', async () => {
  for (let times = 0; times < 49; times += 1) {
    expect(await attempt(`name ${times}`, 'café')).toBe('unauthenticated');
    if (times % 7 === 0) expect(await attempt('eve', 'café', password)).toBe('ok');
  }
  expect(await attempt('one more', 'café')).toBe('unauthenticated');
  expect(await attempt('and one more', 'café')).toBe('exhausted');
  expect(await attempt('and one more', 'somewhere else')).toBe('unauthenticated');
}, 60_000);

it('of many at once, most are refused at once and told when to come again', async () => {
  const many = Array.from({ length: 40 }, (_, index) => attempt(`name ${index}`, 'one place'));
  const codes = await Promise.all(many);
  expect(codes.filter((code) => code === 'exhausted')).toHaveLength(40 - 2 - 8);
  // They were not counted as wrong.
  expect(await attempt('name 39', 'one place')).toBe('unauthenticated');
});
