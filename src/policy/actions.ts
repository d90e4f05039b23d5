import { basename, isAbsolute, resolve } from 'node:path';
import { invalid } from '../kernel/error.ts';
import { action, type Handler } from '../kernel/handler.ts';
import { policyText, type PolicyBook, repositoryAt } from './book.ts';
import { type Decision, type PolicyFile, policyOps } from './contract.ts';
import type { Judgement } from './decide.ts';
import { loadEngines } from './engines.ts';
import { readPolicy } from './file.ts';
import { shippedRules } from './shipped.ts';
import { actionOf, tryRules } from './trial.ts';

export interface PolicyActionOptions {
  readonly book: PolicyBook;
  /** The home folder's policy file; it need not be there. */
  readonly file: string;
}

/** Operations of rules that read files or ask the book. */
export function policyActions({ book, file }: PolicyActionOptions): readonly Handler[] {
  return [
    action(policyOps.get, async (_ctx, { cwd, layer }) => {
      const { default: otherwise, rules } = await book.effective(cwd === undefined ? null : repositoryAt(resolve(cwd)));
      const wanted = rules.filter((one) => layer === undefined || one.layer === layer);
      return { default: otherwise, rules: wanted.map((one) => ({ layer: one.layer, ...one.rule })) };
    }),
    action(policyOps.set, async (ctx, input) => {
      await book.check(input.rules);
      const done = await ctx.call(policyOps.record, input);
      await book.reload();
      return done;
    }),
    action(policyOps.check, async (ctx, given) => {
      const { cwd = '/', ...rest } = given;
      if (Object.keys(rest).length === 0)
        throw invalid('There is nothing to check.', { fix: 'Give a command: maos policy check -- rm -rf build' });
      const workspace = given.workspace ?? repositoryAt(resolve(cwd)) ?? resolve(cwd);
      const asked = actionOf(given, { actor: ctx.actor, at: ctx.now, cwd: resolve(cwd), workspace });
      return shown(await book.explain(asked));
    }),
    action(policyOps.test, async (ctx, given) => {
      const own = await rulesToTest(given, file);
      const shipped = await shippedResult(ctx.now);
      if (own === null) return shipped;
      const known = new Set([...own.policy.rules.map(({ id }) => id), ...(own.policy.disable ?? [])]);
      const rules = [...own.policy.rules, ...shippedRules.filter(({ id }) => !known.has(id))];
      const tests = own.policy.tests.map((test, index) => ({
        ...test,
        name: test.name ?? `${own.name} tests.${index}`,
      }));
      const result = tryRules({ rules, otherwise: own.policy.default, tests }, own.engines, ctx.now);
      return { passed: shipped.passed + result.passed, failed: [...shipped.failed, ...result.failed] };
    }),
    action(policyOps.stats, async () => {
      const { since, counts, effects } = book.stats();
      const rules = counts.map((one) => ({ ...one }));
      return { since, decisions: effects.allow + effects.ask + effects.block, effects, rules };
    }),
  ];
}

async function shippedResult(now: number) {
  const { shippedTests } = await import('./shipped-tests.ts');
  const given = { rules: shippedRules, otherwise: undefined, tests: shippedTests };
  const { passed, failed } = tryRules(given, await loadEngines(shippedRules), now);
  return { passed, failed: failed.map((one) => ({ ...one })) };
}

async function rulesToTest(
  given: { file?: string | undefined; content?: string | undefined },
  home: string,
): Promise<{ name: string; policy: PolicyFile; engines: Awaited<ReturnType<typeof loadEngines>> } | null> {
  const path = given.file ?? home;
  const name = basename(path);
  if (given.content !== undefined) return { name, ...(await readPolicy(given.content, path)) };
  if (given.file !== undefined && !isAbsolute(given.file))
    throw invalid(`${given.file} is not an absolute path.`, { fix: 'Write it from the root.' });
  const content = textOf(path);
  if (content !== null) return { name, ...(await readPolicy(content, path)) };
  if (given.file !== undefined) throw invalid(`${path} cannot be read.`, { fix: 'Name a policy file that is there.' });
  return null;
}

function textOf(path: string): string | null {
  try {
    return policyText(path);
  } catch {
    return null;
  }
}

function plain({ effect, risk, rule, reason }: Decision): Decision {
  return { effect, risk, rule, reason };
}

function shown({ decision, whole, parts }: Judgement) {
  return {
    ...plain(decision),
    suspicious: [...whole.suspicious],
    commands: parts.flatMap(({ subject, decision: said }) => {
      const { command: found, places } = subject;
      if (found === null) return [];
      return [
        {
          program: found.program,
          argv: found.argv.map(({ text }) => text),
          via: [...found.via],
          inputs: [...found.inputs],
          paths: places.map(({ path, access }) => ({ path, access })),
          opaque: found.opaque,
          ...plain(said),
        },
      ];
    }),
  };
}
