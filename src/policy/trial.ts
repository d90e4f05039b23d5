import type { Actor } from '../kernel/actor.ts';
import { compileRules } from './compile.ts';
import type { Action, PolicyFile, PolicyRule, PolicyTest } from './contract.ts';
import { decide } from './decide.ts';
import type { Engines } from './engines.ts';

/** Where tests of rules happen: no such folders need to be there. */
const home = '/home/user';
const workspace = `${home}/project`;

interface Failure {
  readonly name: string;
  readonly expected: string;
  readonly got: string;
  readonly rule: string | null;
}

type Described = Partial<Omit<PolicyTest, 'expect' | 'risk' | 'rule' | 'name'>>;

/** An action from what a person said about it; what is not said is taken from `from`. */
export function actionOf(given: Described, from: Pick<Action, 'actor' | 'at' | 'cwd' | 'workspace'>): Action {
  const { kind, at, actor, ...fields } = given;
  const said = Object.entries({ ...from, ...fields }).filter(([, value]) => value !== undefined);
  const { argv, command, path, host, method, operation } = given;
  const shell = argv !== undefined || command !== undefined;
  const guess = shell
    ? 'bash'
    : operation !== undefined
      ? 'operation'
      : host !== undefined || method !== undefined
        ? 'api'
        : 'file';
  return {
    ...Object.fromEntries(said),
    kind: kind ?? (path !== undefined && !shell ? 'file' : guess),
    actor: actor === undefined ? from.actor : actorOf(actor, from.actor),
    at: at === undefined ? from.at : Date.parse(at),
  };
}

function actorOf(text: string, otherwise: Actor): Actor {
  const [, kind, id] = /^(user|agent|system):(.+)$/s.exec(text) ?? [];
  if (id === undefined) return otherwise;
  return { kind: kind === 'user' || kind === 'system' ? kind : 'agent', id };
}

/** Runs tests against rules; says which did not come out as expected. */
export function tryRules(
  {
    rules,
    otherwise,
    tests,
  }: { rules: readonly PolicyRule[]; otherwise: PolicyFile['default']; tests: readonly PolicyTest[] },
  engines: Engines,
  at: number,
): { readonly passed: number; readonly failed: readonly Failure[] } {
  const world = { home, maosHome: `${home}/.maos`, realpath: (path: string) => path, engines };
  const compiled = compileRules(rules, world, otherwise).rules;
  const failed = tests.flatMap((test): Failure[] => {
    const { expect, risk, rule, name, ...given } = test;
    const action = actionOf(given, { actor: { kind: 'agent', id: 'test' }, at, cwd: workspace, workspace });
    const said = decide(compiled, action);
    const good = said.effect === expect && (risk ?? said.risk) === said.risk && (rule ?? said.rule) === said.rule;
    if (good) return [];
    const expected = [expect, risk, rule === undefined ? undefined : `by ${rule}`].filter((part) => part !== undefined);
    const what = given.command ?? given.argv?.join(' ') ?? given.path ?? given.operation ?? JSON.stringify(given);
    return [
      {
        name: name ?? what,
        expected: expected.join(' '),
        got: `${said.effect} ${said.risk} by ${said.rule ?? 'no rule'}`,
        rule: said.rule,
      },
    ];
  });
  return { passed: tests.length - failed.length, failed };
}
