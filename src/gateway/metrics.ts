/** Counts calls and how long they took, in memory, and writes them down as Prometheus reads them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Caller, covers } from '../kernel/caller.ts';
import { AppError } from '../kernel/error.ts';
import type { ExtraRoute } from './door.ts';
import type { ObservedCall } from './registry.ts';

/** Upper bounds in seconds. The clock counts milliseconds, so there is nothing to tell apart below the first. */
const bounds = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60] as const;

interface Histogram {
  /** How many lie under each bound but not under the one before; the last for all above. */
  readonly counts: number[];
  sum: number;
}

/** A number as it is when it is asked for. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly type?: 'gauge' | 'counter';
  /** One value, or one for each value of a label. */
  readonly read: () => number | { readonly label: string; readonly values: Readonly<Record<string, number>> };
}

/** By the values of its labels, with spaces between; none of them holds one. Written as labels only when it is asked for. */
type Counter = Map<string, number>;

const count = (counter: Counter, key: string): void => void counter.set(key, (counter.get(key) ?? 0) + 1);

export class Metrics {
  readonly #calls: Counter = new Map();
  readonly #refusals: Counter = new Map();
  readonly #decisions: Counter = new Map();
  readonly #durations = new Map<string, Histogram>();
  readonly #gauges: readonly Gauge[];

  constructor(gauges: readonly Gauge[] = []) {
    this.#gauges = gauges;
  }

  /** The registry's `observe`. */
  observe({ operation, outcome, caller, startedAt, endedAt, decision }: ObservedCall): void {
    const { kind } = caller.actor;
    count(this.#calls, `${operation} ${kind} ${outcome}`);
    if (outcome !== 'ok') count(this.#refusals, outcome);
    if (decision !== null) count(this.#decisions, `${decision.effect} ${decision.risk}`);
    const seconds = Math.max(0, endedAt - startedAt) / 1_000;
    let histogram = this.#durations.get(operation);
    if (histogram === undefined) {
      histogram = { counts: Array.from({ length: bounds.length + 1 }, () => 0), sum: 0 };
      this.#durations.set(operation, histogram);
    }
    const index = bounds.findIndex((bound) => seconds <= bound);
    const at = index === -1 ? bounds.length : index;
    histogram.counts[at] = (histogram.counts[at] ?? 0) + 1;
    histogram.sum += seconds;
  }

  /** A request that was refused at the door, before it was a call. */
  refused(code: string): void {
    count(this.#refusals, code);
  }

  /** All of it, in Prometheus' text format. */
  text(): string {
    const lines = [
      ...family('maos_calls_total', 'counter', 'Calls of operations by outcome.', this.#calls, [
        'operation',
        'caller',
        'outcome',
      ]),
      ...family('maos_refusals_total', 'counter', 'Calls and requests that were refused, by code.', this.#refusals, [
        'code',
      ]),
      ...family('maos_policy_decisions_total', 'counter', 'What the rules decided.', this.#decisions, [
        'effect',
        'risk',
      ]),
      '# HELP maos_call_duration_seconds How long calls of operations took.',
      '# TYPE maos_call_duration_seconds histogram',
      ...[...this.#durations].flatMap(([operation, histogram]) => histogramLines(operation, histogram)),
      ...this.#gauges.flatMap(gaugeLines),
    ];
    return `${lines.join('\n')}\n`;
  }
}

function family(name: string, type: string, help: string, counter: Counter, names: readonly string[]): string[] {
  const line = ([key, value]: readonly [string, number]): string => {
    const values = key.split(' ');
    return `${name}${labels(Object.fromEntries(names.map((label, index) => [label, values[index] ?? ''])))} ${value}`;
  };
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...[...counter].map(line)];
}

function histogramLines(operation: string, { counts, sum }: Histogram): string[] {
  let below = 0;
  const buckets = counts.map((number, index) => {
    below += number;
    return `maos_call_duration_seconds_bucket${labels({ operation, le: String(bounds[index] ?? '+Inf') })} ${below}`;
  });
  const set = labels({ operation });
  return [
    ...buckets,
    `maos_call_duration_seconds_sum${set} ${Number(sum.toFixed(3))}`,
    `maos_call_duration_seconds_count${set} ${below}`,
  ];
}

function gaugeLines({ name, help, type = 'gauge', read }: Gauge): string[] {
  const value = read();
  const values =
    typeof value === 'number'
      ? [`${name} ${value}`]
      : Object.entries(value.values).map(([text, number]) => `${name}${labels({ [value.label]: text })} ${number}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...values];
}

function labels(set: Readonly<Record<string, string>>): string {
  const escaped = (text: string): string =>
    text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `{${Object.entries(set)
    .map(([name, text]) => `${name}="${escaped(text)}"`)
    .join(',')}}`;
}

/** `GET /metrics`, for who has the scope `metrics:read`. */
export function metricsRoute(metrics: Metrics): ExtraRoute {
  return {
    method: 'GET',
    path: '/metrics',
    handle: (_request: IncomingMessage, response: ServerResponse, { scopes }: Caller) => {
      if (!covers(scopes, 'metrics:read')) {
        throw new AppError('forbidden', 'This credential does not give the scope metrics:read.', {
          fix: 'Use one whose role or scopes include it, for example of the role monitor.',
        });
      }
      const text = metrics.text();
      response.writeHead(200, {
        'content-type': 'text/plain; version=0.0.4; charset=utf-8',
        'content-length': Buffer.byteLength(text),
        'cache-control': 'no-store',
      });
      response.end(text);
    },
  };
}
