import { expect, it } from 'vitest';
import { hashPassword, passwordFits } from './password.ts';

it('keeps a password as Argon2id with a salt of its own', async () => {
  const [one, two] = await Promise.all([hashPassword('correct horse'), hashPassword('correct horse')]);
  expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
  expect(two).not.toBe(one);
  expect(await passwordFits('correct horse', one)).toBe(true);
  expect(await passwordFits('correct horse', two)).toBe(true);
  expect(await passwordFits('correct horsE', one)).toBe(false);
});

it('takes the two ways to write é for the same, and é and e for different ones', async () => {
  const hash = await hashPassword('caf\u00e9 noir 12');
  expect(await passwordFits('cafe\u0301 noir 12', hash)).toBe(true);
  expect(await passwordFits('cafe noir 12', hash)).toBe(false);
});

it.each([undefined, '', 'password', '$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA'])(
  'fits no password to %j',
  async (hash) => {
    expect(await passwordFits('AAAA', hash)).toBe(false);
    expect(await passwordFits('', hash)).toBe(false);
  },
);

it('takes as long for nobody as for somebody', async () => {
  const hash = await hashPassword('correct horse');
  const took = async (of: string | undefined): Promise<number> => {
    const start = process.cpuUsage();
    await passwordFits('wrong horse', of);
    const { user, system } = process.cpuUsage(start);
    return user + system;
  };
  // In turns, and in the time of the processor: others may use the machine meanwhile.
  let [nobody, somebody] = [0, 0];
  for (let times = 0; times < 7; times += 1) {
    nobody += await took(undefined);
    somebody += await took(hash);
  }
  const ratio = nobody / somebody;
  expect(ratio).toBeGreaterThan(0.4);
  expect(ratio).toBeLessThan(2.5);
});
