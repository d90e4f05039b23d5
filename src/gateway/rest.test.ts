import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer, waits } from './gateway.fixture.ts';

const server = new TestServer();
beforeAll(() => server.start({ limits: { requestMs: 1_000, bodyBytes: 10_000 } }));
afterAll(() => server.remove());

const create = (body: unknown, headers: Record<string, string> = {}) =>
  server.request('POST', '/api/v1/notes', { body, headers });
const refusal = (status: number, code: string, fix: string) => ({
  status,
  body: { error: { code, fix: expect.stringContaining(fix) } },
});

/** What a server answers to bytes on a bare connection, until it closes it. */
async function raw(bytes: string | Buffer): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.on('error', () => socket.destroy());
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}
const head = (rest = '', line = 'GET /api/v1/notes HTTP/1.1'): string =>
  `${line}\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${server.token}\r\n${rest}`;

describe('routes', () => {
  it('carry an input from the path, the query string and the body', async () => {
    const made = await create({ title: 'one', tags: ['a'] });
    expect(made).toMatchObject({ status: 200, body: { title: 'one', kind: 'idea', tags: ['a'] } });
    expect(Number(made.headers.get('x-maos-position'))).toBeGreaterThan(0);
    expect(made.headers.get('x-powered-by')).toBeNull();
    const id = String(made.body['id']);
    expect(await server.request('GET', `/api/v1/notes/${id}`)).toMatchObject({ status: 200, body: { id } });
    expect(await server.request('POST', `/api/v1/notes/${id}/rename`, { body: { title: 'two' } })).toMatchObject({
      body: { title: 'two' },
    });
    expect(await server.request('POST', `/api/v1/notes/${id}/rename?title=three`)).toMatchObject({
      body: { title: 'three' },
    });
    expect(await server.request('DELETE', `/api/v1/notes/${id}`, { body: { reason: 'old' } })).toMatchObject({
      status: 200,
    });
    expect(await server.request('GET', `/api/v1/notes/${id}`)).toMatchObject(refusal(404, 'not_found', 'lists them'));
  });

  it('coerce a query string by the kinds of the fields', async () => {
    const { body } = await server.request(
      'GET',
      '/api/v1/notes?limit=5&urgent=true&kind=bug&kind=idea&above=null&where={"title":"x"}&parent=null',
    );
    expect(body['asked']).toEqual({
      limit: 5,
      urgent: true,
      kind: ['bug', 'idea'],
      above: null,
      where: { title: 'x' },
      parent: 'null',
    });
    expect((await server.request('GET', '/api/v1/notes?kind=bug')).body['asked']).toEqual({
      limit: 100,
      kind: ['bug'],
    });
  });

  it('decode path parameters once', async () => {
    const { body } = await server.request('GET', '/api/v1/notes/a%2Fb%2525');
    expect(body.error?.message).toBe('No note matches "a/b%25".');
  });

  it('prefer a fixed segment to a parameter', async () => {
    expect(await server.request('GET', '/api/v1/notes/big/3')).toMatchObject({ status: 200, text: '"xxx"' });
    expect(await server.request('GET', '/api/v1/notes/fail')).toMatchObject({
      status: 404,
      body: { error: { code: 'not_found' } },
    });
  });

  it('answer HEAD without a body', async () => {
    expect(await server.request('HEAD', '/api/v1/notes')).toMatchObject({ status: 200, text: '' });
  });
});

describe('refusals', () => {
  it.each([
    ['invalid', 400],
    ['unauthenticated', 401],
    ['forbidden', 403],
    ['not_found', 404],
    ['conflict', 409],
    ['exhausted', 429],
    ['unavailable', 503],
  ])('of kind %s have status %d', async (code, status) => {
    const answer = await server.request('POST', '/api/v1/notes/refuse', { body: { code } });
    expect(answer).toMatchObject({
      status,
      body: { error: { code, message: `Refused as ${code}.`, fix: 'Choose another code.', details: { code } } },
    });
  });

  it('name each wrong field and the one that was meant', async () => {
    const { status, body } = await create({ titles: 'x', priority: 'high' });
    expect(status).toBe(400);
    expect(body.error?.issues?.map((issue) => issue.path).toSorted()).toEqual(['priority', 'title', 'titles']);
    expect(JSON.stringify(body)).toContain('Did you mean \\"title\\"?');
  });

  it.each([
    ['/api/v1/notes?limit=five', 'limit'],
    ['/api/v1/notes?urgent=yes', 'urgent'],
    ['/api/v1/notes?limit=1&limit=2', 'limit'],
    ['/api/v1/notes?limti=1', 'limti'],
    ['/api/v1/notes?__proto__=1', '__proto__'],
  ])('of %s say where', async (path, field) => {
    expect(await server.request('GET', path)).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid', issues: [{ path: field }] } },
    });
  });

  it('of JSON in a query string say where it breaks', async () => {
    expect(await server.request('GET', '/api/v1/notes?where={')).toMatchObject({
      status: 400,
      body: { error: { details: { position: 1 } } },
    });
  });

  it('do not leak what a defect says, but tell the operator', async () => {
    const answer = await server.request('PUT', '/api/v1/notes/fail', { body: {} });
    expect(answer).toMatchObject({ status: 500, body: { error: { code: 'internal' } } });
    expect(answer.text).not.toContain('secret');
    expect(server.failures).toEqual([expect.objectContaining({ message: 'secret of /home/someone' })]);
  });

  it('of two different values for one field', async () => {
    const body = { note: 'b', title: 'x' };
    expect(await server.request('POST', '/api/v1/notes/a/rename', { body })).toMatchObject(
      refusal(400, 'invalid', 'Leave it out of the body'),
    );
    expect(await server.request('POST', '/api/v1/notes/a/rename?note=b')).toMatchObject(
      refusal(400, 'invalid', 'Leave it out of the query'),
    );
    expect(await server.request('POST', '/api/v1/notes/a/rename', { body: { note: 'a', title: 'x' } })).toMatchObject({
      status: 404,
    });
  });

  it('of unknown routes name the nearest', async () => {
    expect(await server.request('GET', '/api/v1/nots')).toMatchObject(refusal(404, 'not_found', 'GET /api/v1/notes?'));
    expect(await server.request('GET', '/')).toMatchObject(refusal(404, 'not_found', '/openapi.json'));
    expect(await server.request('GET', `/api/v1/${'x'.repeat(9_000)}`)).toMatchObject({ status: 404 });
    expect(await server.request('GET', '/api/v1/notes/')).toMatchObject({ status: 404 });
    expect(await server.request('GET', '/api/v1//notes')).toMatchObject({ status: 404 });
    expect(await server.request('GET', '/api/v1/notes/%ff')).toMatchObject(
      refusal(400, 'invalid', 'encodeURIComponent'),
    );
  });

  it('of wrong methods name the right ones', async () => {
    const answer = await server.request('DELETE', '/api/v1/notes');
    expect(answer).toMatchObject(refusal(405, 'invalid', 'GET, POST'));
    expect(answer.headers.get('allow')).toBe('GET, POST');
    expect(await server.request('OPTIONS', '/api/v1/notes')).toMatchObject({ status: 405 });
    expect(await raw(`${head('', 'CONNECT x:1 HTTP/1.1')}\r\n`)).toBe('');
    expect(await raw(`${head('Connection: close\r\n', 'BREW /api/v1/notes HTTP/1.1')}\r\n`)).toMatch(
      /^HTTP\/1.1 400 .*not an HTTP request/s,
    );
  });
});

describe('bodies', () => {
  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=latin1',
    'application/jsonp',
  ])('of type %s are refused', async (type) => {
    expect(await create('{"title":"x"}', { 'content-type': type })).toMatchObject(
      refusal(415, 'invalid', 'application/json'),
    );
  });

  it('with a content encoding are refused', async () => {
    expect(await create('{"title":"x"}', { 'content-encoding': 'gzip' })).toMatchObject(
      refusal(415, 'invalid', 'without a content-encoding'),
    );
  });

  it('with a charset in any spelling are taken', async () => {
    expect(await create('{"title":"x"}', { 'content-type': 'Application/JSON; Charset="UTF-8"' })).toMatchObject({
      status: 200,
    });
  });

  it.each([
    ['{"title": "x",}', 14, 1, 15],
    ['{"title": x}', 10, 1, 11],
    ['{\n  "title": "x"\n  "kind": "bug"\n}', 19, 3, 3],
    ['{"title": "x"', 13, 1, 14],
    ['{"title": "\u0001"}', 10, 1, 11],
    ["{'title': 1}", 1, 1, 2],
    ['[1,]', 3, 1, 4],
    ['{"a": 01}', 6, 1, 7],
    ['{} {}', 3, 1, 4],
    ['NaN', 0, 1, 1],
  ])('that break off are refused with the place: %j', async (text, position, line, column) => {
    expect(await create(text)).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid', details: { position, line, column } } },
    });
  });

  it.each(['[]', '1', 'null', '"x"', 'true'])('that are not objects are refused: %s', async (text) => {
    expect(await create(text)).toMatchObject(refusal(400, 'invalid', '"field"'));
  });

  it('that are not UTF-8 are refused', async () => {
    const body = '{"title":"\xff"}';
    expect(
      await raw(
        Buffer.from(
          `${head(`Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n`, 'POST /api/v1/notes HTTP/1.1')}\r\n${body}`,
          'latin1',
        ),
      ),
    ).toMatch(/^HTTP\/1.1 400 .*not UTF-8/s);
  });

  it('10,000 levels deep are refused', async () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const text = `{"title":"x","meta":${open.repeat(1_600)}0${close.repeat(1_600)}}`;
      expect(await create(text)).toMatchObject({
        status: 400,
        body: { error: { message: expect.stringContaining('nested deeper') } },
      });
    }
    const deep = await server.request('GET', `/api/v1/notes?where=${'['.repeat(10_000)}`);
    expect(deep).toMatchObject({ status: 400, body: { error: { message: expect.stringContaining('nested deeper') } } });
    expect(await create({ title: '[[['.repeat(1_000) })).toMatchObject({ status: 200 });
  });

  it('that are too large are refused, and the answer arrives', async () => {
    const answer = refusal(413, 'invalid', 'Send less');
    expect(await create({ title: 'x'.repeat(10_001) })).toMatchObject(answer);
    expect(await create({ title: 'x'.repeat(35_000) })).toMatchObject(answer);
    expect(
      await raw(
        head('Content-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n', 'POST /api/v1/notes HTTP/1.1'),
      ),
    ).toMatch(/^HTTP\/1.1 413 /);
    const chunk = `2710\r\n${'x'.repeat(10_000)}\r\n`;
    expect(
      await raw(
        `${head('Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n', 'POST /api/v1/notes HTTP/1.1')}${chunk.repeat(5)}`,
      ),
    ).toMatch(/^HTTP\/1.1 413 /);
  });

  it('on GET are refused', async () => {
    expect(await raw(`${head('Content-Type: application/json\r\nContent-Length: 2\r\n')}\r\n{}`)).toMatch(
      /^HTTP\/1.1 400 .*takes no body/s,
    );
  });

  it('are asked for with 100-continue only from those who may send them', async () => {
    const expectation =
      'Content-Type: application/json\r\nContent-Length: 13\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n';
    const good = await raw(`${head(expectation, 'POST /api/v1/notes HTTP/1.1')}{"title":"x"}`);
    expect(good).toMatch(/^HTTP\/1.1 100 Continue.*HTTP\/1.1 200 OK/s);
    expect(await raw(`POST /api/v1/notes HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n${expectation}`)).toMatch(
      /^HTTP\/1.1 401 /,
    );
  });
});

describe('headers', () => {
  it('that flood are refused', async () => {
    const many = Array.from({ length: 120 }, (_, index) => `x-${index}: 1\r\n`).join('');
    expect(await raw(`${head(many)}\r\n`)).toMatch(/^HTTP\/1.1 431 .*more than 100/s);
    expect(await raw(`${head(`x: ${'y'.repeat(20_000)}\r\n`)}\r\n`)).toMatch(
      /^HTTP\/1.1 431 .*larger than 16384 bytes/s,
    );
    expect(await raw('\x16\x03\x01\x02\x00')).toMatch(/^HTTP\/1.1 400 /);
    expect(
      await raw(
        `${head('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', 'POST /api/v1/notes HTTP/1.1')}\r\n0\r\n\r\n`,
      ),
    ).toMatch(/^HTTP\/1.1 400 /);
  });

  it('make a call repeatable', async () => {
    const key = { 'idempotency-key': 'k1' };
    const first = await create({ title: 'once' }, key);
    expect((await create({ title: 'once' }, key)).body).toEqual(first.body);
    expect(await create({ title: 'twice' }, key)).toMatchObject(refusal(409, 'conflict', 'new key'));
    expect(await create({ title: 'x' }, { 'idempotency-key': 'a b' })).toMatchObject({ status: 400 });
  });

  it('carry the trace into the log', async () => {
    const trace = 'ab'.repeat(16);
    const answer = await create({ title: 'traced' }, { traceparent: `00-${trace}-${'cd'.repeat(8)}-01` });
    expect(answer.headers.get('x-trace-id')).toBe(trace);
    expect(server.feed?.read(0, 1000).at(-1)).toMatchObject({ type: 'note.created', trace, actor: 'user:local' });
    await create({ title: 'traced' }, { traceparent: 'garbage', 'x-trace-id': 'mine-1' });
    expect(server.feed?.read(0, 1000).at(-1)).toMatchObject({ trace: 'mine-1' });
    expect(await create({ title: 'x' }, { 'x-trace-id': 'x'.repeat(201) })).toMatchObject({ status: 400 });
  });
});

describe('slow clients', () => {
  it('that do not finish their headers or body are cut off', async () => {
    const [idle, headers, body] = await Promise.all([
      raw(''),
      raw(head()),
      raw(`${head('Content-Type: application/json\r\nContent-Length: 100\r\n', 'POST /api/v1/notes HTTP/1.1')}\r\n{`),
    ]);
    expect(headers).toMatch(/^HTTP\/1.1 408 .*not complete after 1000 ms/s);
    expect(body).toMatch(/408|^$/);
    expect(idle).toMatch(/408|^$/);
  });

  it('that leave are told to the operation', async () => {
    const headers = { authorization: `Bearer ${server.token}` };
    const call = httpRequest({
      port: server.port,
      host: '127.0.0.1',
      method: 'POST',
      path: '/api/v1/notes/wait',
      headers,
    });
    call.on('error', () => undefined);
    call.end();
    await expect.poll(() => waits.started).toBe(1);
    call.destroy();
    await expect.poll(() => waits.aborted).toBe(1);
  });
});

describe('the gate', () => {
  const bare = (path: string, headers: Record<string, string>) =>
    server.request('GET', path, { headers: { authorization: '', ...headers } });

  it('is open only at /health, which says little', async () => {
    const answer = await bare('/health', {});
    expect(answer.body).toEqual({ status: 'ok', version: '1.2.3', position: expect.any(Number) });
    for (const path of [
      '/openapi.json',
      '/api/v1/notes',
      '/api/v1/events',
      '/api/v1/live',
      '/',
      '/nothing',
      '/health/',
      '/health/x',
    ]) {
      const closed = await bare(path, {});
      expect(closed).toMatchObject(refusal(401, 'unauthenticated', 'Authorization: Bearer'));
      expect(closed.headers.get('www-authenticate')).toContain('Bearer');
    }
    expect(await server.request('POST', '/health')).toMatchObject({ status: 404 });
  });

  it('refuses other hosts (DNS rebinding)', async () => {
    for (const host of ['evil.example', `evil.example:${server.port}`, '127.0.0.1', 'localhost:1']) {
      expect(
        await raw(
          `GET /api/v1/notes HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${server.token}\r\nConnection: close\r\n\r\n`,
        ),
      ).toMatch(/^HTTP\/1.1 403 /);
    }
    expect(
      await raw(`GET /api/v1/notes HTTP/1.1\r\nAuthorization: Bearer ${server.token}\r\nConnection: close\r\n\r\n`),
    ).toMatch(/^HTTP\/1.1 403 /);
    expect(await raw(`${head('Connection: close\r\n', 'GET http://evil.example/api/v1/notes HTTP/1.1')}\r\n`)).toMatch(
      /^HTTP\/1.1 400 /,
    );
  });

  it('refuses pages of other sites and serves those that are allowed', async () => {
    for (const origin of ['http://evil.example', 'null', 'http://localhost:1']) {
      expect(await server.request('GET', '/api/v1/notes', { headers: { origin } })).toMatchObject({ status: 403 });
      expect(await server.request('OPTIONS', '/api/v1/notes', { headers: { origin } })).toMatchObject({ status: 403 });
    }
    const origin = 'http://dash.example';
    const allowed = await server.request('GET', '/api/v1/notes', { headers: { origin } });
    expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([200, origin]);
    const preflight = await server.request('OPTIONS', '/api/v1/notes', { headers: { origin, authorization: '' } });
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([204, origin]);
    const ours = await server.request('GET', '/api/v1/notes', { headers: { origin: server.url } });
    expect(ours.status).toBe(200);
  });
});
