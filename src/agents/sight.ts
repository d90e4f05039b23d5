import type { SessionEvent, Usage } from './runtime.ts';

/** What is known of a session from its output so far. */
export interface Sight {
  readonly providerSession: string | null;
  readonly model: string | null;
  /** The last thing it was seen doing, in one line. */
  readonly action: string | null;
  readonly usage: Usage | null;
  readonly waiting: string | null;
  /** Until when a rate limit holds, in milliseconds. */
  readonly limitedUntil: number | null;
  readonly turn: 'working' | 'interrupted' | 'ended';
}

export const blind: Sight = {
  providerSession: null,
  model: null,
  action: null,
  usage: null,
  waiting: null,
  limitedUntil: null,
  turn: 'working',
};

/** How a tool call is shown, in the log and in a transcript. */
export function toolLine(event: Extract<SessionEvent, { kind: 'tool' }>): string {
  return event.summary === '' ? event.name : `${event.name} ${event.summary}`;
}

function limit(until: number | null): string {
  return until === null ? 'a rate limit' : `a rate limit, until ${new Date(until).toISOString()}`;
}

/** What is known after one more event. Whatever comes after the end of a turn belongs to another one. */
export function see(sight: Sight, event: SessionEvent): Sight {
  switch (event.kind) {
    case 'started':
      return {
        ...sight,
        providerSession: event.providerSession ?? sight.providerSession,
        model: event.model ?? sight.model,
      };
    case 'output':
      return sight.waiting === null && sight.turn === 'working' ? sight : { ...sight, waiting: null, turn: 'working' };
    case 'tool':
      return { ...sight, action: toolLine(event), waiting: null, turn: 'working' };
    case 'usage':
      return { ...sight, usage: event.usage };
    case 'waiting':
      return { ...sight, waiting: event.for, turn: 'working' };
    case 'rate_limited':
      return { ...sight, waiting: limit(event.until), limitedUntil: event.until };
    case 'turn_ended':
      return event.interrupted === true
        ? { ...sight, waiting: 'a message: it was interrupted', turn: 'interrupted' }
        : { ...sight, waiting: null, turn: 'ended' };
  }
}

/** Whether the two differ in something that the log keeps. */
export function differs(a: Sight, b: Sight): boolean {
  return (
    a.providerSession !== b.providerSession ||
    a.model !== b.model ||
    a.action !== b.action ||
    a.usage !== b.usage ||
    a.waiting !== b.waiting
  );
}
