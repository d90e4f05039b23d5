import { resolve, sep } from 'node:path';
import { readArgv, type ReadCommand, readCommand } from './command/read.ts';
import type { SimpleCommand } from './command/unwrap.ts';
import type { Action } from './contract.ts';
import type { Engines } from './engines.ts';
import { pathText, type PathText } from './glob.ts';
import { type Place, placesOf } from './paths.ts';

/** What rules are read with: the machine they hold on. */
export interface World {
  /** The home folder of the user. */
  readonly home: string;
  readonly maosHome: string;
  /** Where a path leads once links are followed; of what does not exist, as far as it does. `from`: a folder that leads nowhere else. */
  readonly realpath: (path: string, from?: string) => string;
  readonly engines: Engines;
}

/** A place with everything that rules ask about it. */
export interface SeenPlace extends Place {
  readonly inside: boolean;
  /** The path as written, and as it really is. */
  readonly texts: readonly PathText[];
  /** From `${WORKSPACE}` on; null: it is not inside. */
  readonly inWorkspace: PathText | null;
}

/** Workspaces stay where they are, and none is given the folder of another. */
const roots = new WeakMap<World, Map<string, string>>();
const mostRoots = 1_000;

function rootOf(world: World, workspace: string): string {
  const known = roots.get(world) ?? new Map<string, string>();
  roots.set(world, known);
  const real = known.get(workspace) ?? world.realpath(workspace);
  if (known.size >= mostRoots) known.clear();
  known.set(workspace, real);
  return real;
}

const ownStreams = /^\/dev\/(?:std(?:in|out|err)|fd\/\d+|tty|null)$/;

/** What is remembered of paths while one action is judged. */
class PathReader {
  readonly #world: World;
  readonly #workspace: string | null;
  readonly #real = new Map<string, string>();
  readonly #seen = new Map<string, SeenPlace>();

  constructor(world: World, workspace: string | undefined) {
    this.#world = world;
    this.#workspace = workspace === undefined ? null : rootOf(world, resolve(workspace));
  }

  see(place: Place): SeenPlace {
    const { path, glob, access, deep } = place;
    if (path === null) return { ...place, inside: false, texts: [], inWorkspace: null };
    const key = `${access}${glob ? '*' : ' '}${deep ? '+' : ' '}${path}`;
    const known = this.#seen.get(key);
    if (known !== undefined) return known;
    const seen = this.#look(place, path);
    this.#seen.set(key, seen);
    return seen;
  }

  #look(place: Place, path: string): SeenPlace {
    const real = place.glob ? this.#followGlob(path) : this.#follow(path);
    const texts = (real === path ? [path] : [path, real]).map((one) => pathText(one, place));
    const workspace = this.#workspace;
    const inside =
      workspace !== null && (real === workspace || real.startsWith(workspace === sep ? sep : workspace + sep));
    const inWorkspace = inside ? pathText(`\${WORKSPACE}${real.slice(workspace.length)}`, place) : null;
    return { ...place, inside, texts, inWorkspace };
  }

  #follow(path: string): string {
    // Where these lead is another matter in each process.
    if (ownStreams.test(path)) return path;
    const known = this.#real.get(path);
    if (known !== undefined) return known;
    const from = this.#workspace;
    const real = path === from ? path : this.#world.realpath(path, from ?? undefined);
    this.#real.set(path, real);
    return real;
  }

  /** Links are followed up to where the wildcards begin. */
  #followGlob(path: string): string {
    const at = path.lastIndexOf(sep, path.search(/[*?[]/));
    return at <= 0 ? path : this.#follow(path.slice(0, at)) + path.slice(at);
  }
}

/** One thing that rules are asked about: a program that would run, or the action as a whole. */
export class Subject {
  readonly action: Action;
  readonly command: SimpleCommand | null;
  readonly suspicious: readonly string[];
  readonly #paths: PathReader;
  readonly #home: string;
  #places: readonly SeenPlace[] | undefined;
  #text: string | null;

  constructor(
    action: Action,
    command: SimpleCommand | null,
    read: { text: string | null; suspicious: readonly string[] },
    reader: { paths: PathReader; home: string },
  ) {
    this.action = action;
    this.command = command;
    this.#text = read.text;
    this.suspicious = read.suspicious;
    this.#paths = reader.paths;
    this.#home = reader.home;
  }

  /** What a rule's regular expression looks at. */
  get text(): string {
    this.#text ??= (this.command?.argv ?? []).map((word) => word.text).join(' ');
    return this.#text;
  }

  get places(): readonly SeenPlace[] {
    this.#places ??= this.#written().map((place) => this.#paths.see(place));
    return this.#places;
  }

  #written(): readonly Place[] {
    if (this.command !== null) return placesOf(this.command, this.#home);
    const { path, cwd, access = 'read' } = this.action;
    if (path === undefined) return [];
    const whole = path === '~' || path.startsWith('~/') ? `${this.#home}${path.slice(1)}` : path;
    if (!whole.startsWith('/') && cwd === undefined) return [{ path: null, glob: false, access, deep: false }];
    return [{ path: resolve(cwd ?? '/', whole), glob: false, access, deep: false }];
  }
}

const unread: ReadCommand = { commands: [], suspicious: [], folded: '' };

/** The file for a task's outputs: writing to it is like printing. */
const variables = { MAOS_OUTPUT: '/dev/stdout' };

function readAction(action: Action, home: string): ReadCommand {
  const { kind, argv, command, cwd = null } = action;
  if (kind !== 'bash' && kind !== 'deployment') return unread;
  const options = { cwd, home, variables: { ...variables, ...action.env } };
  if (argv !== undefined) return readArgv(argv, options);
  return command === undefined ? unread : readCommand(command, options);
}

/** An action as the subjects of rules: the whole, and each program that it would run. */
export interface Subjects {
  readonly whole: Subject;
  readonly commands: readonly Subject[];
}

export function subjectsOf(action: Action, world: World): Subjects {
  const { suspicious, commands, folded } = readAction(action, world.home);
  const reader = { paths: new PathReader(world, action.workspace), home: world.home };
  const text = folded === '' ? (action.command ?? action.path ?? action.operation ?? action.host ?? '') : folded;
  return {
    whole: new Subject(action, null, { text, suspicious }, reader),
    commands: commands.map((command) => {
      const own = { text: commands.length === 1 ? text : null, suspicious };
      return new Subject(action, command, own, reader);
    }),
  };
}
