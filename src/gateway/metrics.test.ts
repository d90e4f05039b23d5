import { expect, it } from 'vitest';
import { localCaller } from '../kernel/caller.ts';
import { Metrics } from './metrics.ts';

const call = { caller: localCaller, call: null, trace: null, startedAt: 1_000, decision: null } as const;

it('writes what Prometheus reads: every line is one of its forms, buckets grow, labels are escaped', () => {
  const metrics = new Metrics([
    { name: 'maos_log_position', help: 'The last record.', read: () => 7 },
    {
      name: 'maos_tasks',
      help: 'Tasks by state.',
      read: () => ({ label: 'state', values: { 'do"ne\\': 1, ready: 0 } }),
    },
  ]);
  metrics.observe({ ...call, operation: 'task.get', endedAt: 1_001, outcome: 'ok' });
  metrics.observe({ ...call, operation: 'task.get', endedAt: 1_004, outcome: 'not_found' });
  const decision = { effect: 'block', risk: 'high', rule: 'r', reason: 'no' } as const;
  metrics.observe({ ...call, operation: 'task.get', endedAt: 99_000, outcome: 'forbidden', decision });
  metrics.refused('unauthenticated');
  const text = metrics.text();
  const line =
    /^(?:# (?:HELP|TYPE) [a-z_]+ .+|[a-z_]+(?:\{[a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*\})? [0-9.]+)$/;
  expect(
    text
      .trimEnd()
      .split('\n')
      .filter((one) => !line.test(one)),
  ).toEqual([]);
  expect(text).toContain('maos_calls_total{operation="task.get",caller="user",outcome="ok"} 1\n');
  expect(text).toContain('maos_refusals_total{code="unauthenticated"} 1\n');
  expect(text).toContain('maos_policy_decisions_total{effect="block",risk="high"} 1\n');
  const buckets = [...text.matchAll(/_bucket\{operation="task.get",le="([^"]+)"\} (\d+)/g)].map(([, le, number]) => [
    le,
    Number(number),
  ]);
  expect(buckets[0]).toEqual(['0.001', 1]);
  expect(buckets.find(([le]) => le === '0.005')).toEqual(['0.005', 2]);
  expect(buckets.at(-1)).toEqual(['+Inf', 3]);
  expect(text).toContain('maos_call_duration_seconds_sum{operation="task.get"} 98.005\n');
  expect(text).toContain('maos_call_duration_seconds_count{operation="task.get"} 3\n');
  expect(text).toContain('maos_tasks{state="do\\"ne\\\\"} 1\n');
  expect(text).toContain('# TYPE maos_log_position gauge\nmaos_log_position 7\n');
});
