/**
 * What MAOS uses of `node:http`. An `import` of that module evaluates every one of its exports, and one of them loads
 * the whole fetch implementation: 26 ms of CPU and 12 MB at each start (docs/performance.md). This way does not.
 */
const http = process.getBuiltinModule('node:http');

export const { Agent, createServer, get, request, STATUS_CODES } = http;
