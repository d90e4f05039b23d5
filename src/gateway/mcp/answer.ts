import type { CallToolResult } from '@modelcontextprotocol/server';
import { problem } from '../problem.ts';

/** An output as a tool's result: structured for programs, and the same as text for models. */
export function resultOf(output: unknown): CallToolResult {
  const text = typeof output === 'string' ? output : JSON.stringify(output ?? null);
  return {
    content: [{ type: 'text', text }],
    ...(isRecord(output) ? { structuredContent: output } : {}),
  };
}

/** A refusal as a tool's error: code, what was wrong, and what to do next, which the model can act on. */
export function errorResult(error: unknown): CallToolResult {
  const { error: data } = problem(error);
  const issues = (data.issues ?? []).map(({ path, message }) => `- ${path === '' ? '' : `${path}: `}${message}`);
  const lines = [`${data.code}: ${data.message}`, ...(issues.length > 1 ? issues : [])];
  if (data.fix !== undefined) lines.push(`fix: ${data.fix}`);
  return { isError: true, content: [{ type: 'text', text: lines.join('\n') }], structuredContent: { error: data } };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
