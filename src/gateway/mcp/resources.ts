import type { ReadResourceResult, Resource, ResourceTemplateType, ServerContext } from '@modelcontextprotocol/server';
import { ResourceNotFoundError } from '@modelcontextprotocol/server';
import * as z from 'zod';
import { covers } from '../../kernel/caller.ts';
import { AppError } from '../../kernel/error.ts';
import { agentLists, callOptions, type Operations, runFacts, runLists } from './calls.ts';
import type { Asker } from './surface.ts';

/** What a URI names. */
type Named =
  | { readonly kind: 'report' | 'diff'; readonly run: string }
  | { readonly kind: 'transcript'; readonly agent: string; readonly generation: number; readonly after: number };

const templates: readonly { readonly scope: string; readonly template: ResourceTemplateType }[] = [
  {
    scope: 'run:read',
    template: {
      uriTemplate: 'maos://run/{run}/report',
      name: 'run_report',
      title: 'Report of a run',
      description: 'What was done, proved and merged, what it cost, and what is left.',
      mimeType: 'text/markdown',
    },
  },
  {
    scope: 'run:read',
    template: {
      uriTemplate: 'maos://run/{run}/diff',
      name: 'run_diff',
      title: 'Changes of a run',
      description: 'What the branch of a run changes against its base.',
      mimeType: 'text/x-diff',
    },
  },
  {
    scope: 'agent:read',
    template: {
      uriTemplate: 'maos://session/{agent}/{generation}/transcript',
      name: 'session_transcript',
      title: 'Transcript of a session',
      description: 'What an agent said and did in one of its sessions, up to 1 MB; ?after={next} reads on.',
      mimeType: 'text/plain',
    },
  },
];

const shown = 50;
const logs = z.object({ text: z.string(), next: z.number(), ended: z.boolean() });

/** Run reports, diffs and transcripts, read through the operations that the caller may use. */
export class Resources {
  readonly #operations: Operations;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  templates({ caller }: Asker): ResourceTemplateType[] {
    return templates.filter(({ scope }) => covers(caller.scopes, scope)).map(({ template }) => template);
  }

  /** Of the newest runs and agents. */
  async list(asker: Asker): Promise<Resource[]> {
    const { scopes } = asker.caller;
    const [runs, agents] = await Promise.all([
      covers(scopes, 'run:read') ? this.#runs(asker) : [],
      covers(scopes, 'agent:read') ? this.#agents(asker) : [],
    ]);
    return [
      ...runs.flatMap(({ id, name, state }) => [
        {
          uri: `maos://run/${id}/report`,
          name: `${name}/report.md`,
          title: `Report of ${name} (${state})`,
          mimeType: 'text/markdown',
        },
        { uri: `maos://run/${id}/diff`, name: `${name}.diff`, title: `Changes of ${name}`, mimeType: 'text/x-diff' },
      ]),
      ...agents
        .filter(({ generation }) => generation > 0)
        .map(({ id, name, generation }) => ({
          uri: `maos://session/${id}/${generation}/transcript`,
          name: `${name}/${generation}.txt`,
          title: `Transcript of ${name}, session ${generation}`,
          mimeType: 'text/plain',
        })),
    ];
  }

  async read(asker: Asker, uri: string, context: ServerContext): Promise<ReadResourceResult> {
    const named = this.#parse(uri);
    try {
      return await this.#text(asker, uri, named, context);
    } catch (error) {
      if (error instanceof AppError && error.code === 'not_found') throw new ResourceNotFoundError(uri, error.message);
      throw error;
    }
  }

  /** The streams whose records change what is read there. */
  async streams(asker: Asker, uri: string): Promise<readonly string[]> {
    const named = this.#parse(uri);
    if (named.kind === 'transcript') {
      const { id } = z.object({ id: z.string() }).parse(await this.#call('agent.get', { agent: named.agent }, asker));
      return [id];
    }
    const { id, steps } = runFacts.parse(await this.#call('run.get', { run: named.run }, asker));
    return [id, ...steps.map(({ task }) => task)];
  }

  /** Ids that a template's variable can have, by their beginning. */
  async complete(asker: Asker, variable: string, begun: string): Promise<string[]> {
    const found = variable === 'run' ? await this.#runs(asker) : variable === 'agent' ? await this.#agents(asker) : [];
    return found
      .flatMap(({ id, name }) => (name.startsWith(begun) ? [name] : id.startsWith(begun) ? [id] : []))
      .slice(0, 100);
  }

  async #text(asker: Asker, uri: string, named: Named, context: ServerContext): Promise<ReadResourceResult> {
    if (named.kind === 'transcript') {
      const { agent, generation, after } = named;
      const input = { agent, generation, after, limit: 1_000_000 };
      const { text, next, ended } = logs.parse(await this.#call('agent.logs', input, asker, context));
      return { contents: [{ uri, mimeType: 'text/plain', text, _meta: { 'maos/next': next, 'maos/ended': ended } }] };
    }
    const { run, kind } = named;
    const output = await this.#call(`run.${kind}`, { run }, asker, context);
    const text =
      kind === 'report'
        ? z.object({ markdown: z.string() }).parse(output).markdown
        : z.object({ text: z.string() }).parse(output).text;
    return { contents: [{ uri, mimeType: kind === 'report' ? 'text/markdown' : 'text/x-diff', text }] };
  }

  #parse(uri: string): Named {
    const ofRun = /^maos:\/\/run\/([^/?#]{1,300})\/(report|diff)$/.exec(uri);
    const [, run, kind] = ofRun ?? [];
    if (run !== undefined && (kind === 'report' || kind === 'diff')) return { kind, run: decoded(uri, run) };
    const [, agent, generation, after = '0'] =
      /^maos:\/\/session\/([^/?#]{1,300})\/(\d{1,9})\/transcript(?:\?after=(\d{1,15}))?$/.exec(uri) ?? [];
    if (agent === undefined) throw new ResourceNotFoundError(uri);
    return { kind: 'transcript', agent: decoded(uri, agent), generation: Number(generation), after: Number(after) };
  }

  async #runs(asker: Asker): Promise<z.output<typeof runLists>['runs']> {
    return runLists.parse(await this.#call('run.list', { limit: shown }, asker)).runs;
  }

  async #agents(asker: Asker): Promise<z.output<typeof agentLists>['agents']> {
    return agentLists.parse(await this.#call('agent.list', { limit: shown }, asker)).agents;
  }

  #call(name: string, input: unknown, asker: Asker, context?: ServerContext): Promise<unknown> {
    return this.#operations.call(name, input, callOptions(asker, context));
  }
}

function decoded(uri: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    if (error instanceof URIError) throw new ResourceNotFoundError(uri);
    throw error;
  }
}
