import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, rmSync, watch, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SessionEvent } from '../../agents/runtime.ts';
import type { ConflictPolicy } from './conflict.ts';
import type { Step } from './script.ts';

/** Tokens and dollars of one `usage` step. */
export type Spending = Extract<Step, { usage: unknown }>['usage'];

/** What a step may use of the agent that runs it. */
export interface Turn {
  print(event: SessionEvent | { readonly kind: 'refused'; readonly message: string }): void;
  /** The next message; null when no more can come. */
  ask(question: string): Promise<string | null>;
  spend(usage: Spending): void;
  remember(change: { readonly conflicts: ConflictPolicy }): void;
  linger(): void;
  interrupted(): AbortSignal;
}

/** What a step did to its turn. */
export type StepOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'said'; readonly text: string }
  | { readonly kind: 'result'; readonly value: unknown }
  | { readonly kind: 'ended' };

const done: StepOutcome = { kind: 'done' };

function onFile(path: string, write: (path: string) => void, turn: Turn, tool: string): StepOutcome {
  turn.print({ kind: 'tool', name: tool, summary: path });
  mkdirSync(dirname(path), { recursive: true });
  write(path);
  return done;
}

function runShell(line: string, turn: Turn): Promise<StepOutcome> {
  turn.print({ kind: 'tool', name: 'run', summary: line.slice(0, 120) });
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', line], { stdio: ['ignore', 'pipe', 'pipe'], signal: turn.interrupted() });
    let output = '';
    const collect = (chunk: Buffer): void => void (output = `${output}${chunk.toString()}`.slice(-4000));
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', reject);
    child.on('close', (code) => {
      if (output !== '') turn.print({ kind: 'output', text: output.trimEnd() });
      if (code === 0) resolve(done);
      else reject(new Error(`\`${line}\` failed with exit code ${code}.`));
    });
  });
}

/** A file may appear in a folder that does not exist yet, so the folder is looked at again now and then. */
async function waitForFile(path: string, signal: AbortSignal): Promise<StepOutcome> {
  while (!existsSync(path)) {
    const folder = dirname(path);
    const woken = Promise.withResolvers<void>();
    const watcher = existsSync(folder) ? watch(folder, () => woken.resolve()) : null;
    try {
      if (!existsSync(path)) await Promise.race([woken.promise, delay(100, undefined, { signal })]);
    } finally {
      watcher?.close();
    }
  }
  return done;
}

function endTurn(turn: Turn, result: string): StepOutcome {
  turn.print({ kind: 'turn_ended', result, failed: true, structured: null });
  return { kind: 'ended' };
}

async function crash(signal: string): Promise<StepOutcome> {
  const name = Object.keys(constants.signals).find((known) => known === signal || known === `SIG${signal}`);
  if (name === undefined) throw new Error(`There is no signal ${signal}.`);
  process.kill(process.pid, name);
  await delay(60_000);
  return done;
}

function speak(step: Step, turn: Turn): StepOutcome | null {
  if ('say' in step) {
    turn.print({ kind: 'output', text: step.say });
    return { kind: 'said', text: step.say };
  }
  if ('tool' in step) turn.print({ kind: 'tool', name: step.tool, summary: '' });
  else if ('usage' in step) turn.spend(step.usage);
  else if ('raw' in step) process.stdout.write(`${step.raw}\n`);
  else if ('conflicts' in step) turn.remember({ conflicts: step.conflicts });
  else if ('linger' in step) turn.linger();
  else if ('result' in step) return { kind: 'result', value: step.result };
  else return null;
  return done;
}

function endings(step: Step, turn: Turn): StepOutcome | null {
  if ('fail' in step) return endTurn(turn, step.fail);
  if ('refuse' in step) {
    turn.print({ kind: 'refused', message: step.refuse });
    return endTurn(turn, step.refuse);
  }
  if ('rate_limit' in step) {
    turn.print({ kind: 'rate_limited', until: Date.now() + step.rate_limit });
    return endTurn(turn, 'rate limited');
  }
  if ('exit' in step) process.exit(step.exit);
  return null;
}

async function act(step: Step, turn: Turn): Promise<StepOutcome> {
  const signal = turn.interrupted();
  if ('write' in step) return onFile(step.write.path, (path) => writeFileSync(path, step.write.text), turn, 'write');
  if ('append' in step)
    return onFile(step.append.path, (path) => appendFileSync(path, step.append.text), turn, 'append');
  if ('remove' in step) return onFile(step.remove, (path) => rmSync(path), turn, 'remove');
  if ('run' in step) return runShell(step.run, turn);
  if ('wait_for' in step) return waitForFile(step.wait_for, signal);
  if ('sleep' in step) await delay(step.sleep, undefined, { signal });
  if ('spawn' in step) spawn('/bin/sh', ['-c', step.spawn], { stdio: 'ignore' }).unref();
  if ('crash' in step) return crash(step.crash);
  if ('hang' in step) await delay(2 ** 31 - 1, undefined, { signal });
  if ('ask' in step) {
    const answer = await turn.ask(step.ask);
    if (answer === null) throw new Error(`Nobody answered "${step.ask}".`);
    return speak({ say: `answer: ${answer}` }, turn) ?? done;
  }
  return done;
}

/** Carries out one step. Throws when it fails or the turn is interrupted. */
export async function runStep(step: Step, turn: Turn): Promise<StepOutcome> {
  turn.interrupted().throwIfAborted();
  return speak(step, turn) ?? endings(step, turn) ?? (await act(step, turn));
}
