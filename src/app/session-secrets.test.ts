import { afterEach, beforeEach, expect, it } from 'vitest';
import { agentOps } from '../agents/contract.ts';
import { NonceMemory, sign, verify } from '../kernel/signature.ts';
import { secretOps } from '../secrets/contract.ts';
import { runOps } from '../workflows/contract.ts';
import { Local } from './local.fixture.ts';

let local: Local;
beforeEach(async () => {
  local = await new Local().init();
});
afterEach(() => local.destroy());

const value = 'sk-live-"quoted"-4711-value';

it('a secret reaches the program that a plan gives it to, and is hidden in whatever is shown or kept of that', async () => {
  const home = await local.start();
  await home.call(secretOps.set, { name: 'API_KEY', value });
  const run = await home.carryOut(`
name: guarded
tasks:
  - id: with
    command: 'test -n "$TOKEN" && test -z "$API_KEY" && echo "the key is $TOKEN." && echo "on stderr $TOKEN" >&2 && echo "seen=got $TOKEN" >> "$MAOS_OUTPUT" && echo ok > with.txt'
    env: { TOKEN: { secret: API_KEY } }
    outputs: [seen]
  - id: without
    command: 'test -z "$TOKEN" && test -z "$API_KEY" && echo ok > without.txt'
  - id: fails
    command: 'echo "leaks $TOKEN" >&2; exit 3'
    env: { TOKEN: { secret: API_KEY } }
    retries: 0
`);
  expect(run.steps.map(({ state }) => state)).toEqual(['done', 'done', 'failed']);
  expect(run.steps[0]?.outputs).toEqual({ seen: 'got ***' });
  const agents = (await home.call(agentOps.list, {})).agents;
  const texts: string[] = [];
  for (const { id } of agents)
    for (const stream of ['stdout', 'stderr'] as const)
      for (const raw of [true, false]) texts.push((await home.call(agentOps.logs, { agent: id, stream, raw })).text);
  expect(texts).toContain('the key is ***.\n');
  expect(texts).toContain('on stderr ***\n');
  texts.push(JSON.stringify(run), (await home.call(runOps.report, { run: run.id })).markdown);
  expect(texts.join('\n')).not.toContain('4711-value');
  // A value that was replaced meanwhile stays hidden.
  await home.call(secretOps.set, { name: 'API_KEY', value: 'another value' });
  const [first] = agents;
  expect((await home.call(agentOps.logs, { agent: first?.id ?? '', raw: true })).text).not.toContain('4711-value');
  await home.server.close();
  const kept = local.database();
  expect(kept).toContain('API_KEY');
  expect(kept).not.toContain('4711-value');
});

it('a secret that nobody has set fails the task that needs it, at once and with what to do', async () => {
  const home = await local.start();
  const run = await home.carryOut(
    'name: lacks\ntasks:\n  - {id: one, command: echo one, env: {KEY: {secret: NOBODY}}, retries: 3}\n',
  );
  expect(run).toMatchObject({
    state: 'failed',
    steps: [{ attempt: 1, reason: expect.stringContaining('maos secret set NOBODY') }],
  });
});

it('a session signs with a key of its own, whose public half the log has', async () => {
  const home = await local.start();
  const run = await home.carryOut(`
name: signed
tasks:
  - {id: one, command: 'echo "key=\${MAOS_SIGNING_KEY#maosk_}" >> "$MAOS_OUTPUT"; echo "$MAOS_SIGNING_KEY"; echo x > one', outputs: [key]}
  - {id: two, command: 'echo "key=\${MAOS_SIGNING_KEY#maosk_}" >> "$MAOS_OUTPUT"; echo x > two', outputs: [key]}
`);
  const [one, two] = run.steps.map(({ outputs }) => outputs['key'] ?? '');
  if (one === undefined || two === undefined) throw new Error('Both have a key.');
  expect(one).not.toBe(two);
  const { agents } = await home.call(agentOps.list, {});
  const logs = await Promise.all(agents.map(({ id }) => home.call(agentOps.logs, { agent: id })));
  const printed = logs.map(({ text }) => text).join('');
  expect(printed).toContain('***');
  expect(printed).not.toContain('maosk_');
  const halves = new Map<string, string>();
  for (const { id } of (await home.call(agentOps.list, {})).agents) {
    const { signer, publicKey } = await home.call(secretOps.signer, { agent: id, generation: 1 });
    halves.set(signer, publicKey);
  }
  const now = Date.now();
  const accepts = (id: string, privateKey: string): boolean => {
    try {
      const signature = sign('hello', { id, privateKey }, { now, nonce: 'nonce_1234' });
      verify('hello', signature, { now, publicKey: (signer) => halves.get(signer), seen: new NonceMemory() });
      return true;
    } catch {
      return false;
    }
  };
  const fitting = [...halves.keys()].map((id) => [accepts(id, one), accepts(id, two)].join(' '));
  expect(fitting.toSorted()).toEqual(['false true', 'true false']);
});

it('the passphrase of the keys is given to no program, also when a plan names it', async () => {
  const home = await local.start('home', { extra: { MAOS_PASSPHRASE: 'correct horse battery' } });
  const run = await home.carryOut(`
name: asks
tasks:
  - {id: named, command: echo one, env: {P: {from: MAOS_PASSPHRASE}}}
  - {id: unnamed, command: 'test -z "$MAOS_PASSPHRASE" && echo ok > ok.txt', checks: ['test -z "$MAOS_PASSPHRASE"']}
`);
  expect(run.steps.map(({ state }) => state)).toEqual(['failed', 'done']);
  expect(run.steps[0]?.reason).toContain('MAOS_PASSPHRASE');
});
