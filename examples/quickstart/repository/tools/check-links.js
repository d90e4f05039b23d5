// Serves dist/ on $PORT, which no other workspace uses, and follows every link from the first page.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';
import { handOn } from './source.js';

const server = createServer(async (request, response) => {
  try {
    const text = await readFile(join('dist', normalize(request.url)));
    response.setHeader('content-type', 'text/html');
    response.end(text);
  } catch {
    response.statusCode = 404;
    response.end();
  }
});
await new Promise((resolve) => server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', resolve));
const { port } = server.address();
console.log(`Serving dist/ on port ${port}`);

const todo = [new URL(`http://127.0.0.1:${port}/README.html`).href];
const seen = new Set();
let links = 0;
const broken = [];
for (let url = todo.pop(); url !== undefined; url = todo.pop()) {
  if (seen.has(url)) continue;
  seen.add(url);
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) broken.push(url);
  for (const [, target] of text.matchAll(/<a href="([^"]+)"/g)) {
    links += 1;
    const next = new URL(target, url);
    if (next.port === String(port)) todo.push(next.href);
  }
}
server.close();
server.closeAllConnections();
if (broken.length > 0) throw new Error(`Broken links: ${broken.join(', ')}`);
console.log(`${links} links on ${seen.size} pages, none broken`);
handOn({ links });
