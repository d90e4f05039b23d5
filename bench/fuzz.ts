/**
 * Sends requests made from the OpenAPI document to a server, and tells what should not have been answered so:
 * `npm run fuzz [-- REQUESTS [SEED]]`, by default 50,000.
 */
import { fuzzServer } from '../src/app/fuzz-server.fixture.ts';

const count = Number(process.argv[2] ?? 50_000);
const seed = Number(process.argv[3] ?? Date.now());
const started = performance.now();
const { report, failures, intact } = await fuzzServer(count, seed);
const seconds = (performance.now() - started) / 1_000;
console.log(`${report.requests} requests in ${seconds.toFixed(0)} s, seed ${seed}`);
console.log(JSON.stringify(report.statuses));
console.log(
  `the log is ${intact ? 'intact' : 'BROKEN'}; ${failures.length} failures, ${report.findings.length} findings`,
);
for (const line of [...failures, ...report.findings].slice(0, 100)) console.log(line);
if (!intact || failures.length > 0 || report.findings.length > 0) process.exitCode = 1;
