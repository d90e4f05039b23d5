/**
 * Asks the server about a tool call that an agent's program is about to make.
 *
 * H1  It says "allow" only when the server has said so. Whatever goes wrong is a refusal.
 * H2  A server that is away is waited for; the next one is asked the same, and finds what was asked before.
 */
import type { Clock } from '../../kernel/clock.ts';
import { pause } from '../command.ts';
import { exchange, type Target } from '../mcp/upstream.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What the rules, or somebody who was asked, say. `asked`: somebody has answered. */
export interface Ruling {
  readonly effect: 'allow' | 'block';
  readonly reason: string;
  readonly asked: boolean;
}

export interface Question {
  /** The server as it is now; undefined: none answers. */
  readonly target: () => Promise<Target | undefined>;
  readonly clock: Clock;
  readonly patienceMs: number;
  readonly body: Fields;
}

/** How long the server holds one request open, and how much longer an answer may take. */
const heldMs = 25_000;
const lateMs = 30_000;
const betweenMs = 500;
/** What another try cannot change. */
const final = new Set([400, 401, 403, 404]);

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const refusal = (reason: string): Ruling => ({ effect: 'block', reason, asked: false });

/** Asks until there is an answer, or the time is over. */
export async function ask(question: Question): Promise<Ruling> {
  const { clock, patienceMs } = question;
  const deadline = clock.now() + patienceMs;
  let last = 'No MAOS server answers. "maos up" starts one.';
  while (clock.now() < deadline) {
    try {
      const ruling = await once(question, Math.min(heldMs, Math.max(0, deadline - clock.now())));
      if (typeof ruling !== 'string') return ruling;
      last = ruling;
    } catch (error) {
      last = `MAOS could not be asked: ${error instanceof Error ? error.message : String(error)}`;
    }
    await pause(clock, betweenMs);
  }
  return refusal(`Nobody has allowed it in time. ${last}`);
}

/** One request: a ruling, or why there is none yet. */
async function once({ target, clock, body }: Question, waitMs: number): Promise<Ruling | string> {
  const found = await target();
  if (found === undefined) return 'No MAOS server answers. "maos up" starts one.';
  const stop = new AbortController();
  const cancel = clock.after(waitMs + lateMs, () => stop.abort());
  try {
    const { status, messages } = await exchange(found, '/api/v1/approvals/gate', {
      method: 'POST',
      headers: {},
      body: JSON.stringify({ ...body, waitMs }),
      signal: stop.signal,
    });
    const chunks: Buffer[] = [];
    for await (const chunk of messages) chunks.push(chunk);
    const answer: unknown = JSON.parse(Buffer.concat(chunks).toString());
    return read(status, isFields(answer) ? answer : {});
  } finally {
    cancel();
  }
}

function read(status: number, answer: Fields): Ruling | string {
  const { effect, reason, approval, error } = answer;
  const why = typeof reason === 'string' ? reason : `The server answered ${status}.`;
  if (status === 200 && (effect === 'allow' || effect === 'block'))
    return { effect, reason: why, asked: typeof approval === 'string' };
  const message = isFields(error) && typeof error['message'] === 'string' ? error['message'] : why;
  return final.has(status) ? refusal(message) : message;
}
