import type { ExitStatus, Outcome, OutputReader, SessionEvent, Usage } from '../../agents/runtime.ts';
import { exitFailure, failed, hang } from '../failure.ts';
import { LineSplitter, parseJson } from '../lines.ts';
import { refusedKey, resultFailure } from './judge.ts';
import { claudeLine, type ClaudeAssistant, type ClaudeLine, type ClaudeResult, type ClaudeRetry } from './messages.ts';

const none: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd: null };

function add(a: Usage, b: Usage): Usage {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    cacheReadTokens: a.cacheReadTokens + b.cacheReadTokens,
    cacheWriteTokens: a.cacheWriteTokens + b.cacheWriteTokens,
    costUsd: a.costUsd ?? b.costUsd,
  };
}

/** The part of the conversation's totals that is this session's: what was seen of it at least. */
function sessionUsage(whole: Usage, seen: Usage, earlier: Usage): Usage {
  const names = ['inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheWriteTokens'] as const;
  const contains = names.every((name) => whole[name] >= earlier[name] + seen[name]);
  const before = contains && (whole.costUsd ?? 0) >= (earlier.costUsd ?? 0) ? earlier : none;
  const own = (name: (typeof names)[number]): number => Math.max(seen[name], whole[name] - before[name]);
  return {
    inputTokens: own('inputTokens'),
    outputTokens: own('outputTokens'),
    cacheReadTokens: own('cacheReadTokens'),
    cacheWriteTokens: own('cacheWriteTokens'),
    costUsd: whole.costUsd === null ? null : whole.costUsd - (before.costUsd ?? 0),
  };
}

/** What a tool call is about, in one line: the first short text of its input. */
function summarise(input: Readonly<Record<string, unknown>>): string {
  const texts = Object.values(input).filter((value) => typeof value === 'string');
  return (texts[0] ?? '').split('\n', 1)[0]?.slice(0, 120) ?? '';
}

/**
 * Reads stream-json.
 *
 * R1. Tokens are counted per model message while the agent works, so that a killed run is not free; its price is known
 *     only when a turn ends, and then the program's own totals, which include subagents, replace the count.
 * R2. These totals are of the whole conversation: Claude saves them when it ends and begins there when it is resumed. What
 *     earlier sessions have used is taken off, unless the totals are too small to contain it.
 * R3. Success needs a good `result` line, exit code 0, no process left and no background task left.
 * R4. A key that was refused twice is refused for good: the turn counts as ended, although Claude would go on trying for minutes.
 */
export class ClaudeReader implements OutputReader {
  readonly #lines = new LineSplitter();
  readonly #earlier: Usage;
  /** Usage by message id since the last result: a message with several blocks comes in several lines. */
  readonly #counted = new Map<string, Usage>();
  #total = none;
  #started = false;
  #result: ClaudeResult | undefined;
  #backgroundTasks = 0;
  #limitedUntil: number | null = null;
  #malformed = 0;
  #refusedKey: string | undefined;

  constructor(earlier: Usage = none) {
    this.#earlier = earlier;
  }

  push(chunk: Buffer): SessionEvent[] {
    return this.#lines.push(chunk).flatMap((line) => this.#line(line));
  }

  finish(exit: ExitStatus, stderrTail: string): Outcome {
    // A last line without its newline was cut off, unless it is complete JSON.
    this.#line(this.#lines.rest());
    const result = this.#result;
    const failure = result === undefined ? null : resultFailure(result, this.#limitedUntil);
    if (failure !== null) return failure;
    const bad = exitFailure(exit, stderrTail);
    if (result === undefined && this.#refusedKey !== undefined) return refusedKey(this.#refusedKey);
    if (result === undefined) return bad ?? this.#noResult();
    if (exit.kind === 'signalled') return hang();
    if (bad !== null) return bad;
    if (this.#backgroundTasks > 0) {
      return failed(
        'orphans',
        `The agent ended while ${this.#backgroundTasks} of its background tasks were still at work.`,
        true,
      );
    }
    return { kind: 'succeeded', result: result.result ?? '', structured: result.structured_output };
  }

  #noResult(): Outcome {
    const garbled = this.#malformed === 0 ? '' : ` ${this.#malformed} lines of its output could not be read.`;
    return failed('no_result', `Claude ended with exit code 0 but reported no result.${garbled}`, true);
  }

  #line(line: string): SessionEvent[] {
    if (line.trim() === '') return [];
    const json = parseJson(line);
    if (json === undefined) {
      this.#malformed += 1;
      return [];
    }
    const parsed = claudeLine().safeParse(json);
    return parsed.success ? this.#understood(parsed.data) : [];
  }

  #understood(line: ClaudeLine): SessionEvent[] {
    switch (line.type) {
      case 'assistant':
        return this.#assistant(line);
      case 'result':
        return this.#turnEnded(line);
      case 'rate_limit_event': {
        if (line.rate_limit_info.status !== 'rejected') return [];
        const { resetsAt } = line.rate_limit_info;
        this.#limitedUntil = typeof resetsAt === 'number' ? resetsAt * 1000 : null;
        return [{ kind: 'rate_limited', until: this.#limitedUntil }];
      }
      case 'system':
        return this.#system(line);
    }
  }

  #system(line: Extract<ClaudeLine, { type: 'system' }>): SessionEvent[] {
    switch (line.subtype) {
      case 'init': {
        // It comes again with every turn; only the first one is the start.
        if (this.#started) return [{ kind: 'waiting', for: 'the model' }];
        this.#started = true;
        return [{ kind: 'started', providerSession: line.session_id, model: line.model ?? null }];
      }
      case 'api_retry':
        return this.#retried(line);
      case 'background_tasks_changed':
        this.#backgroundTasks = line.tasks.length;
        return [];
    }
  }

  #retried({ error, error_status: status, attempt, max_retries: most }: ClaudeRetry): SessionEvent[] {
    if (this.#refusedKey !== undefined) return [];
    const waiting = { kind: 'waiting', for: `the model: ${error ?? 'error'}, attempt ${attempt} of ${most}` } as const;
    if (status !== 401 || attempt < 3) return [waiting];
    this.#refusedKey = error ?? 'authentication_failed';
    return [waiting, { kind: 'turn_ended', result: this.#refusedKey, failed: true, structured: null }];
  }

  #assistant({ message, parent_tool_use_id: parent }: ClaudeAssistant): SessionEvent[] {
    const events: SessionEvent[] = [];
    this.#refusedKey = undefined;
    for (const part of message.content) {
      if (part.type === 'text' && !parent) events.push({ kind: 'output', text: part.text });
      if (part.type === 'tool_use') events.push({ kind: 'tool', name: part.name, summary: summarise(part.input) });
    }
    const { usage } = message;
    if (!usage || message.model === '<synthetic>') return events;
    this.#counted.set(message.id, {
      inputTokens: usage.input_tokens ?? 0,
      outputTokens: usage.output_tokens ?? 0,
      cacheReadTokens: usage.cache_read_input_tokens ?? 0,
      cacheWriteTokens: usage.cache_creation_input_tokens ?? 0,
      costUsd: null,
    });
    events.push({ kind: 'usage', usage: [...this.#counted.values()].reduce(add, this.#total) });
    return events;
  }

  #turnEnded(result: ClaudeResult): SessionEvent[] {
    this.#result = result;
    const models = Object.values(result.modelUsage ?? {}).map((model) => ({
      inputTokens: model.inputTokens,
      outputTokens: model.outputTokens,
      cacheReadTokens: model.cacheReadInputTokens,
      cacheWriteTokens: model.cacheCreationInputTokens,
      costUsd: null,
    }));
    const seen = [...this.#counted.values()].reduce(add, this.#total);
    this.#total = sessionUsage({ ...models.reduce(add, none), costUsd: result.total_cost_usd }, seen, this.#earlier);
    this.#counted.clear();
    const failure = resultFailure(result, this.#limitedUntil);
    const limited: SessionEvent[] =
      failure?.reason === 'rate_limited' ? [{ kind: 'rate_limited', until: failure.retryAt }] : [];
    return [
      { kind: 'usage', usage: this.#total },
      ...limited,
      {
        kind: 'turn_ended',
        result: failure?.message ?? result.result ?? '',
        failed: failure !== null,
        structured: result.structured_output,
        ...(failure?.reason === 'interrupted' ? { interrupted: true } : {}),
      },
    ];
  }
}
