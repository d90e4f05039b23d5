import type { Action, Decision, Effect, Risk } from './contract.ts';
import { effects, risks } from './contract.ts';
import type { CompiledRule, CompiledRules } from './compile.ts';
import { type Subject, subjectsOf } from './subject.ts';

/** What is said about one of the programs that an action would run. */
interface Part {
  readonly subject: Subject;
  readonly decision: Decision;
}

/** A decision with what led to it. */
export interface Judgement {
  readonly decision: Decision;
  readonly whole: Subject;
  readonly parts: readonly Part[];
}

const unmatched: Readonly<Record<Effect, Risk>> = { allow: 'low', ask: 'medium', block: 'medium' };

function rank({ effect, risk }: Decision): number {
  return effects.indexOf(effect) * risks.length + risks.indexOf(risk);
}

/** The strictest of several decisions; the first of those that are as strict. */
export function strictest(first: Decision, ...others: readonly Decision[]): Decision {
  return others.reduce((best, other) => (rank(other) > rank(best) ? other : best), first);
}

function matching(rules: CompiledRules, subject: Subject, onlyText = false): CompiledRule | undefined {
  const { kind, at, operation } = subject.action;
  const name = subject.command?.program ?? operation?.toLowerCase() ?? null;
  return rules
    .about(kind, name)
    .find((rule) => (!onlyText || rule.aboutText) && rule.expires > at && rule.matches(subject));
}

/** So much of a command is repeated in a reason. */
const shown = 120;

function decisionBy({ source, effect, risk }: CompiledRule, { text, command }: Subject): Decision {
  const what = text.length > shown ? `${text.slice(0, shown)}…` : text;
  const because = command?.opaque ?? null;
  const reason = (source.reason ?? `The rule ${source.id} says so`).replace(/\.$/, '');
  const detail = [because, what].filter((part) => part !== null && part !== '').join(': ');
  return { effect, risk, rule: source.id, reason: detail === '' ? reason : `${reason} (${detail})` };
}

function withoutRule(rules: CompiledRules): Decision {
  const effect = rules.otherwise;
  return { effect, risk: unmatched[effect], rule: null, reason: 'No rule matches' };
}

/**
 * Asks the rules about each program that an action would run; rules on text also about the whole of several. The first rule in
 * order that matches a subject decides about it; of all subjects the strictest decision holds. Pure, but for the links that the world follows.
 */
export function judge(rules: CompiledRules, action: Action): Judgement {
  const { whole, commands } = subjectsOf(action, rules.world);
  const parts = commands.map((subject): Part => {
    const rule = matching(rules, subject);
    return { subject, decision: rule === undefined ? withoutRule(rules) : decisionBy(rule, subject) };
  });
  const [only, second] = parts;
  if (only !== undefined && second === undefined) return { decision: only.decision, whole, parts };
  // Every other rule has been asked about each command; a text may go over several of them.
  const rule = matching(rules, whole, only !== undefined);
  const about = rule === undefined ? [] : [decisionBy(rule, whole)];
  const [first, ...others] = [...parts.map(({ decision }) => decision), ...about];
  return { decision: first === undefined ? withoutRule(rules) : strictest(first, ...others), whole, parts };
}

/** What the rules say about an action. */
export function decide(rules: CompiledRules, action: Action): Decision {
  return judge(rules, action).decision;
}
