import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import * as z from 'zod';
import type { RatePolicies } from '../gateway/limits.ts';
import { invalid } from '../kernel/error.ts';
import { type Environment, homeFolder } from './places.ts';

const port = z.int().min(0).max(65_535);
const limit = z.int().min(1).max(10_000);
const host = z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/, 'Is not the name or address of a machine.');
const absolute = z.string().refine((path) => isAbsolute(path), 'Is not an absolute path.');
const tls = z.union([z.literal('auto'), z.strictObject({ cert: absolute, key: absolute })]);
const keys = z.enum(['file', 'passphrase', 'keyring']);
/** Calls in a minute, by each caller. */
const rate = z.int().min(1).max(1_000_000_000);
const rates = z.strictObject({ user: rate.optional(), agent: rate.optional(), stranger: rate.optional() });
/** Made for each reading: it is read once in a process. */
const fileSchema = () =>
  z.strictObject({
    rates: rates.optional(),
    port: port.optional(),
    limit: limit.optional(),
    keys: keys.optional(),
    encryption: z.literal('state').optional(),
    server: z.strictObject({ host: host.optional(), tls: tls.optional() }).optional(),
    oauth: z.strictObject({ innerClients: z.boolean().optional() }).optional(),
  });

/** All that a server is told: `config.json` in the home folder ← environment ← flags. */
export interface Config {
  /** Where everything is kept: log, transcripts, worktrees, reports. */
  readonly home: string;
  /** 0: any free port. */
  readonly port: number;
  /** How many tasks of runs may be worked on at once on this machine. */
  readonly limit: number;
  /** How the master key is kept, once there is one to keep. */
  readonly keys: 'file' | 'passphrase' | 'keyring';
  /** What is sealed on the disk besides secrets. */
  readonly encryption: 'none' | 'state';
  /** How often each caller may call, where it is not as usual. */
  readonly rates?: Partial<RatePolicies>;
  /** The address on which the server listens. Any other than loopback takes TLS. */
  readonly host: string;
  /** Clients of OAuth may describe themselves at private and loopback addresses too. */
  readonly innerClients: boolean;
  /** `auto`: certificates of an authority that MAOS makes; or files of one's own (PEM); null: plain HTTP. */
  readonly tls: 'auto' | { readonly cert: string; readonly key: string } | null;
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

function wordFrom<Word extends string>(env: Environment, name: string, schema: z.ZodType<Word>): Word | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw invalid(`${name} is "${text}". ${parsed.error.issues.map(({ message }) => message).join(' ')}`, {
    fix: 'Correct it, or leave it out; docs/configuration.md lists what it may be.',
  });
}

function tlsFrom(env: Environment, { server }: z.output<ReturnType<typeof fileSchema>>): Config['tls'] {
  const word = wordFrom(env, 'MAOS_TLS', z.enum(['auto', 'off']));
  return word === 'auto' ? 'auto' : word === 'off' ? null : (server?.tls ?? null);
}

/** Whether only this machine can reach an address. */
function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '::1' || /^127(?:\.\d{1,3}){3}$/.test(name);
}

/** Tokens would go over the network for everyone to read. */
function refuseOpenHost({ host: name, tls: wanted }: Pick<Config, 'host' | 'tls'>): void {
  if (isLoopback(name) || wanted !== null) return;
  throw invalid(`server.host is ${name}, which other machines can reach, and there is no TLS.`, {
    fix: 'Set "server": {"tls": "auto"} (or MAOS_TLS=auto), or name files of your own: {"tls": {"cert": …, "key": …}}.',
  });
}

function ratesFrom(stored: z.output<typeof rates>): Partial<RatePolicies> {
  const entries = Object.entries(stored).filter(([, quota]) => quota !== undefined);
  return Object.fromEntries(entries.map(([name, quota]) => [name, { quota, windowMs: 60_000 }]));
}

/** Reads the configuration once. Refuses unknown fields and wrong values, naming the file. */
export function readConfig(env: Environment, flags: { readonly port?: number } = {}): Config {
  const home = homeFolder(env);
  const file = join(home, 'config.json');
  const stored = existsSync(file) ? parseFile(file) : {};
  const listens = {
    host: wordFrom(env, 'MAOS_HOST', host) ?? stored.server?.host ?? '127.0.0.1',
    tls: tlsFrom(env, stored),
  };
  refuseOpenHost(listens);
  const flag = flags.port === undefined ? undefined : inRange(flags.port, `--port is ${flags.port}`, port);
  return {
    home,
    port: flag ?? numberFrom(env, 'MAOS_PORT', port) ?? stored.port ?? 0,
    limit: numberFrom(env, 'MAOS_LIMIT', limit) ?? stored.limit ?? 50,
    keys: wordFrom(env, 'MAOS_KEYS', keys) ?? stored.keys ?? 'file',
    encryption: wordFrom(env, 'MAOS_ENCRYPTION', z.enum(['none', 'state'])) ?? stored.encryption ?? 'none',
    innerClients: stored.oauth?.innerClients ?? false,
    ...(stored.rates === undefined ? {} : { rates: ratesFrom(stored.rates) }),
    ...listens,
  };
}

function parseFile(file: string): z.output<ReturnType<typeof fileSchema>> {
  const fix = 'Correct the file; docs/configuration.md lists its fields.';
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw invalid(`${file} is not JSON: ${error instanceof Error ? error.message : String(error)}`, { fix });
  }
  const parsed = fileSchema().safeParse(json);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message }));
  throw invalid(`${file} is not a configuration of MAOS.`, { fix, issues });
}
