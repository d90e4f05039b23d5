import * as z from 'zod';
import { planSchema } from './plan.ts';

/** The JSON schema of a plan file, for editors; `docs/plan.schema.json` is made from it. */
export function planJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(planSchema, { io: 'input' }), title: 'MAOS plan' };
}
