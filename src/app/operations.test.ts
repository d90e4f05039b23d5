import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localCaller, systemCaller } from '../kernel/caller.ts';
import { AppError } from '../kernel/error.ts';
import { readConfig } from './config.ts';
import { operations } from './operations.ts';
import { type Server, startServer } from './server.ts';

let home: string;
let server: Server;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'maos-operations-'));
  const environment = { PATH: process.env['PATH'], HOME: home, MAOS_HOME: join(home, 'home') };
  server = await startServer({
    config: readConfig(environment),
    version: '0',
    acts: false,
    listens: false,
    environment,
  });
});

afterAll(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

const caller = systemCaller('test');
const internal = operations.filter((operation) => operation.internal === true).map(({ name }) => name);

async function refusal(name: string, input: unknown): Promise<AppError> {
  try {
    await server.registry.call(name, input, { caller });
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error(`${name} accepted ${JSON.stringify(input)}`);
}

describe('operations', () => {
  it('are all carried out by somebody, and nothing else is', () => {
    const served = server.registry.operations.map(({ name }) => name).toSorted();
    expect(served).toEqual(operations.map(({ name }) => name).toSorted());
    expect(new Set(served).size).toBe(served.length);
  });

  it('have a route of their own, whose parameters are fields of the input', () => {
    const shapes = operations.map(({ route }) => route.replaceAll(/:\w+/g, ':'));
    expect(new Set(shapes).size).toBe(shapes.length);
    for (const { name, route, input, positional = [] } of operations) {
      const { def } = input;
      const fields =
        'shape' in def && typeof def.shape === 'object' && def.shape !== null ? Object.keys(def.shape) : [];
      const named = [...route.matchAll(/:(\w+)/g)].map((match) => match[1] ?? '');
      expect(fields, name).toEqual(expect.arrayContaining([...named, ...positional]));
    }
  });

  it.each(operations.map(({ name }) => name))(
    '%s refuses an unknown field by name, and says what to do',
    async (name) => {
      const error = await refusal(name, { surprise: 1 });
      expect(error.code).toBe('invalid');
      expect(error.issues?.map(({ path }) => path)).toContain('surprise');
      expect(error.fix).toMatch(/--help/);
    },
  );

  it.each(operations.map(({ name }) => name))('%s refuses what is not an object', async (name) => {
    expect((await refusal(name, 'text')).code).toBe('invalid');
    expect((await refusal(name, [1])).code).toBe('invalid');
  });

  it.each(internal)('%s is only for MAOS itself', async (name) => {
    await expect(server.registry.call(name, {}, { caller: localCaller })).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('change nothing when they refuse', () => {
    expect(server.engine.feed.head).toBe(0);
  });
});
