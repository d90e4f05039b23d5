import type { PolicyRule } from './contract.ts';

/** What a condition in Cedar is asked about. */
export interface Request {
  readonly actor: string;
  readonly kind: string;
  readonly resource: string;
  readonly context: Record<string, string | number | boolean | string[]>;
}

/** Whether a condition holds; null: it could not be evaluated for this request. */
export type Condition = (request: Request) => boolean | null;

/** Parts that only some rules need. They are loaded when the first such rule is. */
export interface Engines {
  /** A regular expression whose time is linear in the text. Throws with what is wrong in it. */
  readonly regex?: (pattern: string) => (text: string) => boolean;
  /** Throws with what is wrong in it. */
  readonly condition?: (condition: string) => Condition;
}

/** Loads what these rules need, and nothing else. */
export async function loadEngines(rules: readonly PolicyRule[]): Promise<Engines> {
  return {
    ...(rules.some(({ match }) => match.text !== undefined) ? { regex: await loadRegex() } : {}),
    ...(rules.some(({ when }) => when !== undefined) ? { condition: await loadCedar() } : {}),
  };
}

async function loadRegex(): Promise<NonNullable<Engines['regex']>> {
  const { RE2JS } = await import('re2js');
  return (pattern) => {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.matcher(text).find();
  };
}

/** So many answers of each condition are kept. */
const kept = 1_000;
let count = 0;

async function loadCedar(): Promise<NonNullable<Engines['condition']>> {
  const cedar = await import('@cedar-policy/cedar-wasm/nodejs');
  return (condition) => {
    count += 1;
    const id = `rule-${count}`;
    const text = `permit (principal, action, resource) when { ${condition} };`;
    const parsed = cedar.preparsePolicySet(id, { staticPolicies: text });
    if (parsed.type === 'failure') throw new Error(parsed.errors.map(({ message }) => message).join('; '));
    // What closes the braces and begins a policy of its own is no condition.
    const parts = cedar.policySetTextToParts(text);
    if (parts.type === 'failure' || parts.policies.length !== 1 || parts.policy_templates.length > 0)
      throw new Error('it is more than one condition');
    const answers = new Map<string, boolean | null>();
    return (request) => {
      const key = JSON.stringify(request);
      const known = answers.get(key);
      if (known !== undefined) return known;
      const { actor, kind, resource, context } = request;
      const answer = cedar.statefulIsAuthorized({
        principal: { type: 'Actor', id: actor },
        action: { type: 'Action', id: kind },
        resource: { type: 'Resource', id: resource },
        context,
        preparsedPolicySetId: id,
        entities: [],
      });
      const holds =
        answer.type === 'failure' || answer.response.diagnostics.errors.length > 0
          ? null
          : answer.response.decision === 'allow';
      if (answers.size >= kept) answers.clear();
      answers.set(key, holds);
      return holds;
    };
  };
}
