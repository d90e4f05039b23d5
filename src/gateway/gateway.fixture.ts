/** A small contract over a real log, served by the real gateway: what the tests of the doors walk through. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { createGuard } from '../auth/guard.ts';
import { ensureToken } from '../auth/token.ts';
import { systemClock } from '../kernel/clock.ts';
import { AppError, errorCodes, notFound } from '../kernel/error.ts';
import { event } from '../kernel/event.ts';
import { action, command, on, query, type Handler, type Reader, type View } from '../kernel/handler.ts';
import { newId } from '../kernel/id.ts';
import { operation } from '../kernel/operation.ts';
import { Scope } from '../kernel/scope.ts';
import { Feed } from '../log/feed.ts';
import { idempotencyView } from '../log/idempotency.ts';
import { openReader } from '../log/open.ts';
import { Pipeline } from '../log/pipeline.ts';
import { SqliteLog } from '../log/sqlite.ts';
import { Views } from '../log/views.ts';
import { GroupWriter } from '../log/writer.ts';
import { Registry } from './registry.ts';
import { startGateway, type GatewayOptions } from './server.ts';

const noteId = z.string().min(1).max(100).describe('The id of a note.');
const kind = z.enum(['idea', 'bug']).describe('What kind of note.');
interface Tree {
  readonly label: string;
  readonly children: readonly Tree[];
}
const tree: z.ZodType<Tree, Tree> = z.strictObject({ label: z.string(), children: z.lazy(() => z.array(tree)) });
const note = z.strictObject({ id: noteId, title: z.string(), kind, priority: z.int(), tags: z.array(z.string()) });

const noteCreated = event('note.created', () => note);
const noteRenamed = event('note.renamed', () => z.strictObject({ title: z.string() }));
const noteRemoved = event('memo.removed', () => z.strictObject({}));

const base = { scope: 'note:write', effect: 'write' as const };

export const createNote = operation({
  ...base,
  name: 'note.create',
  summary: 'Create a note.',
  input: () =>
    z.strictObject({
      title: z.string().min(1).max(20_000).describe('Its title.'),
      kind: kind.default('idea'),
      priority: z.int().min(-10).max(10).default(0).describe('Higher is sooner.'),
      tags: z.array(z.string().max(50)).max(20).optional(),
      meta: z.unknown().optional().describe('Anything.'),
      tree: tree.optional(),
    }),
  output: () => note,
  route: 'POST /notes',
  refusals: { conflict: 'the title is taken' },
});
export const getNote = operation({
  name: 'note.get',
  summary: 'Show a note.',
  scope: 'note:read',
  effect: 'read',
  input: () => z.strictObject({ note: noteId }),
  output: () => note,
  route: 'GET /notes/:note',
});
export const listNotes = operation({
  name: 'note.list',
  summary: 'List notes.',
  scope: 'note:read',
  effect: 'read',
  input: () =>
    z.strictObject({
      limit: z.int().min(1).max(1000).default(100).describe('At most so many.'),
      kind: z.array(kind).optional(),
      urgent: z.boolean().optional(),
      parent: z.string().nullable().optional(),
      above: z.number().nullable().optional(),
      where: z.strictObject({ title: z.string() }).optional(),
    }),
  output: () => z.strictObject({ notes: z.array(note), asked: z.unknown() }),
  route: 'GET /notes',
});
export const renameNote = operation({
  ...base,
  name: 'note.rename',
  summary: 'Rename a note.',
  input: () => z.strictObject({ note: noteId, title: z.string().min(1).max(200) }),
  output: () => note,
  route: 'POST /notes/:note/rename',
});
export const removeNote = operation({
  ...base,
  effect: 'destroy',
  name: 'note.remove',
  summary: 'Remove a note.',
  input: () => z.strictObject({ note: noteId, reason: z.string().optional() }),
  output: () => z.strictObject({}),
  route: 'DELETE /notes/:note',
});
const refuseNote = operation({
  ...base,
  name: 'note.refuse',
  summary: 'Refuse in a chosen way.',
  input: () => z.strictObject({ code: z.enum(errorCodes) }),
  output: () => z.strictObject({}),
  route: 'POST /notes/refuse',
});
export const failNote = operation({
  ...base,
  name: 'note.fail',
  summary: 'Fail.',
  input: () => z.strictObject({}),
  output: () => z.strictObject({}),
  route: 'PUT /notes/fail',
});
export const waitNote = operation({
  ...base,
  effect: 'read',
  name: 'note.wait',
  summary: 'Wait until the caller has gone.',
  input: () => z.strictObject({}),
  output: () => z.strictObject({}),
  route: 'POST /notes/wait',
});
const importNote = operation({
  ...base,
  name: 'note.import',
  summary: 'Create a note from what is read outside.',
  input: () => z.strictObject({ source: z.string().min(1) }),
  output: () => note,
  route: 'POST /notes/import',
});
const dropNote = operation({
  ...base,
  effect: 'destroy',
  name: 'note.drop',
  summary: 'Rename a note and remove it.',
  input: () => z.strictObject({ note: noteId, title: z.string().default('dropped') }),
  output: () => note,
  route: 'POST /notes/:note/drop',
});
const bigNote = operation({
  name: 'note.big',
  summary: 'A long answer.',
  scope: 'note:read',
  effect: 'read',
  input: () => z.strictObject({ size: z.int().min(0).max(50_000_000) }),
  output: () => z.string(),
  route: 'GET /notes/big/:size',
});

const view: View = {
  name: 'note',
  tables: ['note'],
  schema:
    'CREATE TABLE note (id TEXT PRIMARY KEY, title TEXT NOT NULL, kind TEXT NOT NULL, priority INTEGER NOT NULL, tags TEXT NOT NULL) STRICT;',
  applies: [
    on(noteCreated, (db, { data }) =>
      db.run(
        'INSERT INTO note VALUES (?, ?, ?, ?, ?)',
        data.id,
        data.title,
        data.kind,
        data.priority,
        JSON.stringify(data.tags),
      ),
    ),
    on(noteRenamed, (db, { stream, data }) => db.run('UPDATE note SET title = ? WHERE id = ?', data.title, stream)),
    on(noteRemoved, (db, { stream }) => db.run('DELETE FROM note WHERE id = ?', stream)),
  ],
};

interface NoteRow {
  readonly id: string;
  readonly title: string;
  readonly kind: 'idea' | 'bug';
  readonly priority: number;
  readonly tags: string;
}
const toNote = (row: NoteRow): z.output<typeof note> => ({ ...row, tags: JSON.parse(row.tags) });

function find(db: Reader, id: string): z.output<typeof note> {
  const row = db.get<NoteRow>('SELECT * FROM note WHERE id = ?', id);
  if (row === undefined) throw notFound('note', id, 'GET /api/v1/notes lists them.');
  return toNote(row);
}

/** What `note.import` finds outside: something else each time. */
export const outside = { reads: 0 };

/** Resolves when `note.wait` has seen that its caller is gone. */
export const waits = { started: 0, aborted: 0 };

const handlers: readonly Handler[] = [
  command(createNote, (ctx, { title, kind: chosen, priority, tags = [] }) => {
    const created = { id: ctx.newId('note'), title, kind: chosen, priority, tags };
    ctx.emit(noteCreated, created.id, created);
    return created;
  }),
  query(getNote, (ctx, input) => find(ctx.db, input.note)),
  query(listNotes, (ctx, input) => ({
    notes: ctx.db.all<NoteRow>('SELECT * FROM note ORDER BY id LIMIT ?', input.limit).map(toNote),
    asked: input,
  })),
  command(renameNote, (ctx, input) => {
    const old = find(ctx.db, input.note);
    ctx.emit(noteRenamed, old.id, { title: input.title });
    return { ...old, title: input.title };
  }),
  command(removeNote, (ctx, input) => {
    ctx.emit(noteRemoved, find(ctx.db, input.note).id, {});
    return {};
  }),
  command(refuseNote, (_ctx, { code }) => {
    throw new AppError(code, `Refused as ${code}.`, { fix: 'Choose another code.', details: { code } });
  }),
  command(failNote, () => {
    throw new TypeError('secret of /home/someone');
  }),
  action(waitNote, async (ctx) => {
    waits.started += 1;
    await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()));
    waits.aborted += 1;
    return {};
  }),
  action(importNote, async (ctx, { source }) => {
    if (source === 'nowhere') throw notFound('source', source, 'Name another one.');
    outside.reads += 1;
    return ctx.call(createNote, { title: source.toLowerCase(), priority: outside.reads % 10 });
  }),
  action(dropNote, async (ctx, { note: text, title }) => {
    const renamed = await ctx.call(renameNote, { note: text, title });
    await ctx.call(removeNote, { note: text });
    return renamed;
  }),
  query(bigNote, (_ctx, { size }) => 'x'.repeat(size)),
];

/** A server on a folder of its own; it can be stopped and started again on the same folder and port. */
export class TestServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'maos-gateway-'));
  readonly token = ensureToken(join(this.folder, 'token'));
  readonly failures: unknown[] = [];
  url = '';
  port = 0;
  feed: Feed | undefined;
  registry: Registry | undefined;
  #scope = new Scope();

  async start(
    options: Partial<Pick<GatewayOptions, 'limits' | 'extraRoutes' | 'clock' | 'guard'>> = {},
  ): Promise<void> {
    const scope = (this.#scope = new Scope());
    const path = join(this.folder, 'maos.db');
    const log = new SqliteLog(path);
    scope.defer(() => log.close());
    const views = new Views([view, idempotencyView]);
    views.prepare(log.database);
    const now = (): number => Date.now();
    const writer = new GroupWriter(new Pipeline({ log, views, handlers, now, newId }));
    const reader = openReader(path);
    scope.defer(() => reader.close());
    const feed = (this.feed = new Feed(reader));
    log.watch((head) => feed.advance(head.position));
    const registry = (this.registry = new Registry({
      handlers,
      reader,
      core: writer,
      now,
      newId,
    }));
    const gateway = await startGateway({
      registry,
      feed,
      guard: (port) => createGuard({ token: this.token, port, origins: ['http://dash.example'] }),
      host: '127.0.0.1',
      port: this.port,
      clock: systemClock,
      version: '1.2.3',
      scope,
      onFailure: (error) => this.failures.push(error),
      ...options,
    });
    this.url = gateway.url;
    this.port = gateway.port;
  }

  async stop(): Promise<void> {
    await this.#scope.close();
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A request with the token; `body` may be text or something for JSON. */
  async request(
    method: string,
    path: string,
    options: { body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<{ status: number; headers: Headers; body: Body; text: string }> {
    const { body } = options;
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: text.startsWith('{') ? JSON.parse(text) : {},
    };
  }
}

/** An answer as far as tests look into it. */
export interface Body {
  readonly [key: string]: unknown;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly fix?: string;
    readonly issues?: readonly { path: string; message: string }[];
    readonly details?: Readonly<Record<string, unknown>>;
  };
}
