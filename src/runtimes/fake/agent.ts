/** The program of the runtime `fake`: an agent that does what its script says, over the same kind of pipes as a real one. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import * as z from 'zod';
import type { SessionEvent, Usage } from '../../agents/runtime.ts';
import { resolveConflicts } from './conflict.ts';
import { command, findScript, namedScript, type Step } from './script.ts';
import { runStep, type Turn } from './step.ts';

/** What a conversation remembers: what a provider's session would. */
const memory = z.strictObject({
  /** What it is at work on, empty between two turns; and the step that comes next. */
  prompt: z.string(),
  next: z.int(),
  conflicts: z.enum(['both', 'ours', 'theirs']),
  usage: z.strictObject({
    inputTokens: z.number(),
    outputTokens: z.number(),
    cacheReadTokens: z.number(),
    cacheWriteTokens: z.number(),
    costUsd: z.number().nullable(),
  }),
});
type Memory = z.infer<typeof memory>;

const { values: flags } = parseArgs({
  options: { session: { type: 'string' }, resume: { type: 'string' }, model: { type: 'string' } },
});
const folder = process.env['MAOS_FAKE_STATE'] ?? join(tmpdir(), `maos-fake-${process.getuid?.() ?? 0}`);
const session = flags.resume ?? flags.session ?? randomUUID();
const stateFile = join(folder, `${session}.json`);

const noUsage: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd: null };
let state: Memory = { prompt: '', next: 0, conflicts: 'both', usage: noUsage };

function print(event: SessionEvent | { readonly kind: 'refused'; readonly message: string }): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** Written aside and renamed, so that a kill leaves the old state or the new one. */
function remember(change: Partial<Memory>): void {
  state = { ...state, ...change };
  writeFileSync(`${stateFile}.new`, JSON.stringify(state));
  renameSync(`${stateFile}.new`, stateFile);
}

/** Messages in order, and whoever waits for the next one. */
const inbox: string[] = [];
let waiting: ((text: string | null) => void) | null = null;
let inputEnded = false;
let interruption = new AbortController();
let lingering = false;

function nextMessage(): Promise<string | null> {
  const text = inbox.shift();
  if (text !== undefined) return Promise.resolve(text);
  if (inputEnded) return Promise.resolve(null);
  return new Promise((resolve) => (waiting = resolve));
}

function deliver(text: string | null): void {
  const receiver = waiting;
  waiting = null;
  if (receiver !== null) receiver(text);
  else if (text !== null) inbox.push(text);
}

const turn: Turn = {
  print,
  ask: async (question) => {
    print({ kind: 'waiting', for: question });
    return nextMessage();
  },
  spend: (usage) => {
    const before = state.usage;
    remember({
      usage: {
        inputTokens: before.inputTokens + usage.input,
        outputTokens: before.outputTokens + usage.output,
        cacheReadTokens: before.cacheReadTokens + usage.cache_read,
        cacheWriteTokens: before.cacheWriteTokens + usage.cache_write,
        costUsd: usage.cost === null ? before.costUsd : (before.costUsd ?? 0) + usage.cost,
      },
    });
    print({ kind: 'usage', usage: state.usage });
  },
  remember,
  linger: () => (lingering = true),
  interrupted: () => interruption.signal,
};

async function scriptOf(prompt: string): Promise<Step[] | null> {
  const file = namedScript(prompt);
  return findScript(file === undefined ? prompt : await readFile(file, 'utf8'));
}

/** A message in plain words: conflicts are resolved, anything else is only heard. */
function plainWords(text: string): Step[] {
  const resolved = resolveConflicts(state.conflicts);
  if (resolved.length === 0) return [{ say: `I heard: ${text}` }];
  return [
    { tool: 'resolve' },
    { result: `Resolved the conflict in ${resolved.join(', ')}, keeping ${state.conflicts}.` },
  ];
}

/** Carries out one message from step `from` on. Messages that come meanwhile are carried out between two steps. */
async function work(prompt: string, from: number): Promise<void> {
  const steps = (await scriptOf(prompt)) ?? plainWords(prompt);
  let result: unknown = null;
  let said = '';
  for (const [index, step] of steps.entries()) {
    if (index < from) continue;
    const outcome = await runStep(step, turn);
    remember({ next: index + 1 });
    if (outcome.kind === 'ended') return;
    if (outcome.kind === 'result') result = outcome.value;
    if (outcome.kind === 'said') said = outcome.text;
    for (let text = inbox.shift(); text !== undefined; text = inbox.shift()) {
      for (const steered of (await scriptOf(text)) ?? plainWords(text)) await runStep(steered, turn);
    }
  }
  const text = typeof result === 'string' ? result : result === null ? said : JSON.stringify(result);
  remember({ prompt: '' });
  print({ kind: 'turn_ended', result: text, failed: false, structured: typeof result === 'string' ? null : result });
}

async function attempt(prompt: string, from: number): Promise<void> {
  interruption = new AbortController();
  remember({ prompt, next: from });
  try {
    await work(prompt, from);
  } catch (error) {
    const result = interruption.signal.aborted ? 'interrupted' : error instanceof Error ? error.message : String(error);
    print({ kind: 'turn_ended', result, failed: true, structured: null });
  }
}

createInterface(process.stdin)
  .on('line', (line) => {
    const parsed = command.safeParse(JSON.parse(line));
    if (!parsed.success) throw new Error(`Unknown input: ${line.slice(0, 200)}`);
    if (parsed.data.type === 'interrupt') interruption.abort(new Error('interrupted'));
    else deliver(parsed.data.text);
  })
  .on('close', () => {
    inputEnded = true;
    deliver(null);
  });

mkdirSync(folder, { recursive: true, mode: 0o700 });
if (flags.resume !== undefined && !existsSync(stateFile)) {
  print({
    kind: 'turn_ended',
    result: `No conversation found with session ID: ${session}`,
    failed: true,
    structured: null,
  });
  process.exit(1);
}
// What is told is what this session uses, not the whole conversation.
if (flags.resume !== undefined)
  state = { ...memory.parse(JSON.parse(readFileSync(stateFile, 'utf8'))), usage: noUsage };
print({ kind: 'started', providerSession: session, model: flags.model ?? null });
for (let text = await nextMessage(), first = true; text !== null; text = await nextMessage(), first = false) {
  // A conversation that was cut off goes on with its script, unless it is given another one.
  const cutOff = first && flags.resume !== undefined && state.prompt !== '';
  if (cutOff && (text === state.prompt || (await scriptOf(text)) === null)) await attempt(state.prompt, state.next);
  else await attempt(text, 0);
}
if (lingering) setInterval(() => undefined, 1000);
else process.exit(0);
