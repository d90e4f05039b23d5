/**
 * What MAOS uses of `node:http`. An `import` of that module evaluates every one of its exports, and one of them loads
 * the whole fetch implementation: 26 ms of CPU and 12 MB at each start (docs/performance.md). This way does not.
 */
const http = process.getBuiltinModule('node:http');

export const { Agent, createServer, get, request, STATUS_CODES } = http;

/** The same over TLS; loaded by who needs it. */
// oxlint-disable-next-line typescript/consistent-type-imports
export const https = (): typeof import('node:https') => process.getBuiltinModule('node:https');
