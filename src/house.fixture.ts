/**
 * Reads the room table of ARCHITECTURE.md and judges the sources by it. Text in, sentences out: what reads the disk
 * stands in house.test.ts, so that the judge itself can be tried on bad samples.
 */

/** A source file; `path` is relative to src/, with forward slashes. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

interface Room {
  readonly name: string;
  /** `kernel` (all of it), `C:tasks` (its contract.ts), `agents/runtime.ts` (that file), `C:all`, `all`. */
  readonly allows: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
}

/** Where an import leads: a file of ours (relative to src/) or a package. */
interface Import {
  readonly from: string;
  readonly line: number;
  readonly target:
    { readonly kind: 'file'; readonly path: string } | { readonly kind: 'package'; readonly name: string };
}

const testFile = /\.(test|fixture)\.ts$/;
const emptyNames = /(^|[-.])(utils?|common|helpers?|types|managers?|misc|shared)\.ts$/;
const cells = (row: string): string[] =>
  row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
const words = (cell: string): Set<string> =>
  new Set(cell.split(',').flatMap((word) => (/^[–-]?$/.test(word.trim()) ? [] : [word.trim().replaceAll('`', '')])));

/** The rows of the table whose head is `folder | its one job | may import | packages`. */
export function parseRooms(markdown: string): Room[] {
  const lines = markdown.split('\n');
  const head = lines.findIndex((line) => cells(line).join('|') === 'folder|its one job|may import|packages');
  if (head === -1) throw new Error('ARCHITECTURE.md has no table "folder | its one job | may import | packages".');
  const end = lines.findIndex((line, index) => index > head && !line.startsWith('|'));
  return lines.slice(head + 2, end === -1 ? undefined : end).map((line) => {
    const [folder = '', , allows = '', packages = ''] = cells(line);
    return { name: folder.replaceAll('`', '').replace(/\/$/, ''), allows: words(allows), packages: words(packages) };
  });
}

// Prettier puts the start or the closing brace of a static import at the start of a line. A dynamic import, an
// import type and a worker's URL stand anywhere; a comment that looks like one of them is taken for one.
const statement = /^(?:import|export|\})(?:[^'"\n]*\sfrom)?\s*'([^'\n]+)'/;
const inline = /(?:\bimport\(|\bnew URL\()\s*'([^'\n]+)'/g;
const computed = /\bimport\(\s*[^'\s]/;

function importsOf(source: Source): Import[] {
  return source.text.split('\n').flatMap((text, index) => {
    const found = [statement.exec(text), ...text.matchAll(inline)].flatMap((match) => match?.[1] ?? []);
    return found.flatMap((specifier) => {
      const target = targetOf(source.path, specifier);
      return target === undefined ? [] : [{ from: source.path, line: index + 1, target }];
    });
  });
}

function targetOf(from: string, specifier: string): Import['target'] | undefined {
  if (specifier.startsWith('node:')) return undefined;
  if (specifier.startsWith('.')) {
    const base = new URL(specifier, `file:///src/${from}`).pathname;
    // What lies outside src/ (package.json, docs) is not a room.
    return base.startsWith('/src/') ? { kind: 'file', path: base.slice('/src/'.length) } : undefined;
  }
  if (/^[a-z]+:/.test(specifier)) return undefined;
  const parts = specifier.split('/');
  return { kind: 'package', name: parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/') };
}

const roomOf = (path: string): string | undefined => (path.includes('/') ? path.split('/')[0] : undefined);

/** Why this import is not allowed, or undefined. */
function refusal(room: Room, { target }: Import): string | undefined {
  if (target.kind === 'package') {
    if (target.name === 'zod' || room.packages.has(target.name) || room.packages.has('all')) return undefined;
    return `package ${target.name}: its row names no such package`;
  }
  if (testFile.test(target.path)) return `${target.path}: only tests import test code`;
  const owner = roomOf(target.path);
  if (owner === room.name || room.allows.has('all')) return undefined;
  if (owner === undefined) return `${target.path}: it stands in no room`;
  const isContract = target.path === `${owner}/contract.ts`;
  if (room.allows.has(owner) || room.allows.has(target.path)) return undefined;
  if (isContract && (room.allows.has(`C:${owner}`) || room.allows.has('C:all'))) return undefined;
  return `${target.path}: its row allows ${[...room.allows].join(', ') || 'nothing'}`;
}

/** Rows without a folder, folders without a row, rows that allow rooms which do not exist. */
function tableProblems(rooms: readonly Room[], sources: readonly Source[]): string[] {
  const folders = new Set(sources.flatMap((source) => roomOf(source.path) ?? []));
  const names = new Set(rooms.map((room) => room.name));
  const paths = new Set(sources.map((source) => source.path));
  return [
    ...[...names].filter((name) => !folders.has(name)).map((name) => `ARCHITECTURE.md: row ${name}/ has no folder`),
    ...[...folders].filter((name) => !names.has(name)).map((name) => `ARCHITECTURE.md: no row for src/${name}/`),
    ...rooms.flatMap((room) =>
      [...room.allows].flatMap((word) => {
        const known = word.includes('/')
          ? paths.has(word)
          : names.has(word.replace(/^C:/, '')) || /^(C:)?all$/.test(word);
        return known ? [] : [`ARCHITECTURE.md: row ${room.name}/ allows ${word}, which does not exist`];
      }),
    ),
  ];
}

/** Contracts are data for doors and clients: nothing that they import, at any depth, reads or writes the log. */
function contractProblems(imports: readonly Import[]): string[] {
  const edges = Map.groupBy(imports, (item) => item.from);
  const reach = (path: string, seen: Set<string>): Set<string> => {
    for (const { target } of edges.get(path) ?? []) {
      if (target.kind !== 'file' || seen.has(target.path)) continue;
      seen.add(target.path);
      reach(target.path, seen);
    }
    return seen;
  };
  return [...edges.keys()]
    .filter((path) => path.endsWith('/contract.ts'))
    .flatMap((path) =>
      [...reach(path, new Set())]
        .filter((found) => /^log\/|\/(service|views|reactor)\.ts$/.test(found))
        .map((found) => `src/${path}: a contract is data only, but it reaches ${found}`),
    );
}

function fileProblems(source: Source): string[] {
  const at = `src/${source.path}`;
  const lines = source.text.split('\n');
  const exporter = source.path.endsWith('/contract.ts') || source.path === 'app/index.ts';
  return [
    ...(emptyNames.test(source.path.replace(/^.*\//, '')) ? [`${at}: a file is named for one noun or one verb`] : []),
    ...lines.flatMap((line, index) => [
      ...(!testFile.test(source.path) && computed.test(line)
        ? [`${at}:${index + 1}: an import must name its file`]
        : []),
      ...(!exporter && /^export\s.*\sfrom '/.test(line) ? [`${at}:${index + 1}: only a contract re-exports`] : []),
    ]),
  ];
}

/** Everything in which the sources differ from the plan; empty when the house is as drawn. */
export function problems(rooms: readonly Room[], sources: readonly Source[]): string[] {
  const shipped = sources.filter((source) => !testFile.test(source.path));
  const imports = shipped.flatMap(importsOf);
  const byName = new Map(rooms.map((room) => [room.name, room]));
  return [
    ...tableProblems(rooms, sources),
    ...sources.flatMap(fileProblems),
    ...contractProblems(imports),
    ...imports.flatMap((item) => {
      const room = byName.get(roomOf(item.from) ?? '');
      const why = room === undefined ? undefined : refusal(room, item);
      return why === undefined ? [] : [`src/${item.from}:${item.line} may not import ${why}`];
    }),
  ];
}
