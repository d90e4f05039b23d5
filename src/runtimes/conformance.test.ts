import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { commandRuntime } from './command/command.ts';
import { runtimeConformance } from './conformance.fixture.ts';
import { fakeRuntime } from './fake/fake.ts';
import { processHost } from './process/host.ts';

const path = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };

describe('command', () => {
  const sh = (line: string): { argv: string[] } => ({ argv: ['sh', '-c', line] });
  runtimeConformance(commandRuntime, processHost, () => ({
    writes: sh('echo writing; echo hello > hello.txt'),
    fails: sh('echo no >&2; exit 3'),
    endless: sh('echo started; while :; do sleep 0.1; done'),
    env: path,
  }));
});

describe('fake', () => {
  const state = mkdtempSync(join(tmpdir(), 'maos-fake-state-'));
  afterAll(() => rmSync(state, { recursive: true, force: true }));
  const script = (...steps: object[]): { prompt: string } => ({ prompt: JSON.stringify(steps) });
  runtimeConformance(fakeRuntime, processHost, () => ({
    writes: script(
      { usage: { input: 10, output: 5, cost: 0.01 } },
      { write: { path: 'hello.txt', text: 'hello\n' } },
      { say: 'done' },
    ),
    fails: script({ fail: 'I could not do it' }),
    endless: script({ say: 'working' }, { hang: true }),
    steered: script({ say: 'what now?' }, { ask: 'go on?' }),
    resumable: script({ say: 'first half' }, { wait_for: 'resumed' }, { say: 'second half' }),
    env: { ...path, MAOS_FAKE_STATE: state },
  }));
});
