import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { invalid } from '../kernel/error.ts';
import { type Environment, homeFolder } from './places.ts';

const port = z.int().min(0).max(65_535);
const limit = z.int().min(1).max(10_000);
const fileSchema = z.strictObject({ port: port.optional(), limit: limit.optional() });

/** All that a server is told: `config.json` in the home folder ← environment ← flags. */
export interface Config {
  /** Where everything is kept: log, transcripts, worktrees, reports. */
  readonly home: string;
  /** 0: any free port. */
  readonly port: number;
  /** How many tasks of runs may be worked on at once on this machine. */
  readonly limit: number;
}

function inRange(value: unknown, text: string, schema: z.ZodInt): number {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { minValue, maxValue } = schema;
  throw invalid(`${text}, not a whole number from ${minValue} to ${maxValue}.`, {
    fix: 'Give such a number, or leave it out.',
  });
}

function numberFrom(env: Environment, name: string, schema: z.ZodInt): number | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  return inRange(Number(text), `${name} is "${text}"`, schema);
}

/** Reads the configuration once. Refuses unknown fields and wrong values, naming the file. */
export function readConfig(env: Environment, flags: { readonly port?: number } = {}): Config {
  const home = homeFolder(env);
  const file = join(home, 'config.json');
  const stored = existsSync(file) ? parseFile(file) : {};
  const flag = flags.port === undefined ? undefined : inRange(flags.port, `--port is ${flags.port}`, port);
  return {
    home,
    port: flag ?? numberFrom(env, 'MAOS_PORT', port) ?? stored.port ?? 0,
    limit: numberFrom(env, 'MAOS_LIMIT', limit) ?? stored.limit ?? 50,
  };
}

function parseFile(file: string): z.output<typeof fileSchema> {
  const fix = 'Correct the file; docs/configuration.md lists its fields.';
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw invalid(`${file} is not JSON: ${error instanceof Error ? error.message : String(error)}`, { fix });
  }
  const parsed = fileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message }));
  throw invalid(`${file} is not a configuration of MAOS.`, { fix, issues });
}
