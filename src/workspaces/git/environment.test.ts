import { expect, test } from 'vitest';
import { allocatePorts, workspaceVariables } from './environment.ts';

test('gives the lowest free block of ports, also between others, until there is none', () => {
  const space = { first: 20_000, last: 20_039, size: 10 };
  expect(allocatePorts([], space)).toEqual({ base: 20_000, size: 10 });
  const taken = [
    { base: 20_020, size: 10 },
    { base: 20_000, size: 10 },
  ];
  expect(allocatePorts(taken, space)).toEqual({ base: 20_010, size: 10 });
  expect(allocatePorts([{ base: 20_005, size: 3 }], space)).toEqual({ base: 20_008, size: 10 });
  expect(allocatePorts([...taken, { base: 20_010, size: 10 }], space)).toEqual({ base: 20_030, size: 10 });
  expect(() => allocatePorts([{ base: 20_000, size: 40 }], space)).toThrow(
    expect.objectContaining({ code: 'exhausted' }),
  );
});

test('two workspaces share neither ports nor the name of their containers', () => {
  const variables = (id: string, base: number) =>
    workspaceVariables({ id, path: `/w/${id}`, branch: `maos/${id}`, base: 'c0ffee', ports: { base, size: 10 } });
  expect(variables('ws_A', 20_000)).toEqual({
    MAOS_WORKSPACE: 'ws_A',
    MAOS_WORKSPACE_PATH: '/w/ws_A',
    MAOS_BRANCH: 'maos/ws_A',
    MAOS_BASE_COMMIT: 'c0ffee',
    MAOS_PORT_BASE: '20000',
    MAOS_PORT_COUNT: '10',
    PORT: '20000',
    COMPOSE_PROJECT_NAME: 'ws_a',
  });
  expect(variables('ws_B', 20_010)['COMPOSE_PROJECT_NAME']).toBe('ws_b');
});
