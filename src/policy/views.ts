import { on, type Reader, type View } from '../kernel/handler.ts';
import { policyEvents, type PolicyRule, policyRule } from './contract.ts';

export const policyView: View = {
  name: 'policy',
  tables: ['policy_rule'],
  schema: 'CREATE TABLE policy_rule (id TEXT PRIMARY KEY, rule TEXT NOT NULL) STRICT;',
  applies: [
    on(policyEvents.changed, (db, { data }) => {
      for (const id of data.removed) db.run('DELETE FROM policy_rule WHERE id = ?', id);
      for (const rule of data.set)
        db.run(
          'INSERT INTO policy_rule VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET rule = excluded.rule',
          rule.id,
          JSON.stringify(rule),
        );
    }),
  ],
};

/** The rules that were set by `policy.set`. */
export function storedRules(db: Reader): PolicyRule[] {
  return db
    .all<{ rule: string }>('SELECT rule FROM policy_rule ORDER BY id')
    .map(({ rule }) => policyRule().parse(JSON.parse(rule)));
}

export function hasRule(db: Reader, id: string): boolean {
  return db.get<{ id: string }>('SELECT id FROM policy_rule WHERE id = ?', id) !== undefined;
}
