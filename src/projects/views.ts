import { conflict, notFound } from '../kernel/error.ts';
import { on, type Reader, type View } from '../kernel/handler.ts';
import { type Project, projectEvents } from './contract.ts';

export const projectView: View = {
  name: 'projects',
  tables: ['project'],
  schema: `CREATE TABLE project (id TEXT PRIMARY KEY, name TEXT NOT NULL, path TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL,
    removed INTEGER NOT NULL, team TEXT) STRICT;`,
  applies: [
    on(projectEvents.added, (db, { stream, at, data }) =>
      db.run(
        'INSERT INTO project VALUES (?, ?, ?, ?, 0, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, removed = 0',
        stream,
        data.name,
        data.path,
        at,
        data.team ?? null,
      ),
    ),
    on(projectEvents.updated, (db, { stream, data }) =>
      db.run('UPDATE project SET team = ? WHERE id = ?', data.team, stream),
    ),
    on(projectEvents.moved, (db, { stream, data }) =>
      db.run('UPDATE project SET path = ? WHERE id = ?', data.path, stream),
    ),
    // Its runs and workspaces still name it: what is forgotten is only no longer listed, and comes back under its id.
    on(projectEvents.removed, (db, { stream }) => db.run('UPDATE project SET removed = 1 WHERE id = ?', stream)),
  ],
};

const columns = 'id, name, path, team, created_at AS createdAt';

export function listProjects(db: Reader): Project[] {
  return db
    .all<Project>(`SELECT ${columns} FROM project WHERE removed = 0 ORDER BY created_at DESC, id`)
    .map((row) => ({ ...row }));
}

/** The project of a folder, also one that was removed. */
export function projectAt(db: Reader, path: string): (Project & { readonly removed: boolean }) | undefined {
  const row = db.get<Project & { removed: number }>(`SELECT ${columns}, removed FROM project WHERE path = ?`, path);
  return row === undefined ? undefined : { ...row, removed: row.removed === 1 };
}

/** Finds a project by id, unique beginning of an id, name or folder. */
export function resolveProject(db: Reader, text: string): Project {
  const prefix = text.startsWith('project_') ? text : `project_${text}`;
  const found = db.all<Project>(
    `SELECT ${columns} FROM project WHERE id = ?1 OR name = ?1 OR path = ?1 OR (id >= ?2 AND id < ?3) LIMIT 5`,
    text,
    prefix,
    `${prefix}~`,
  );
  const [first, second] = found;
  if (first === undefined)
    throw notFound('project', text, 'maos project list shows the known ones; maos project add PATH adds one.');
  if (second === undefined) return { ...first };
  throw conflict(`"${text}" fits several projects: ${found.map((row) => row.path).join(', ')}.`, {
    fix: 'Give the id or the folder.',
  });
}
