import { invalid } from '../kernel/error.ts';
import type { Item } from './plan.ts';

/** What stands between `${{` and `}}`. */
export type Reference =
  | { readonly kind: 'input'; readonly name: string }
  | { readonly kind: 'item'; readonly field: string | null }
  | { readonly kind: 'output'; readonly task: string; readonly name: string }
  | { readonly kind: 'result'; readonly task: string };

/** A piece of a template. `raw` is the piece as written, for positions in messages. */
export type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'reference'; readonly reference: Reference; readonly raw: string }
  | { readonly kind: 'bad'; readonly raw: string; readonly message: string };

const opening = /\$?\$\{\{/g;
const forms = 'inputs.<name>, item, item.<field>, tasks.<id>.outputs.<name>, tasks.<id>.result';

function readReference(body: string): Reference | null {
  const [head, first, middle, last, ...more] = body.trim().split('.');
  if ([first, middle, last].some((step) => step !== undefined && !/^[A-Za-z0-9_-]+$/.test(step)) || more.length > 0)
    return null;
  if (head === 'item' && middle === undefined) return { kind: 'item', field: first ?? null };
  if (first === undefined) return null;
  if (head === 'inputs' && middle === undefined) return { kind: 'input', name: first };
  if (head === 'tasks' && middle === 'result' && last === undefined) return { kind: 'result', task: first };
  if (head === 'tasks' && middle === 'outputs' && last !== undefined)
    return { kind: 'output', task: first, name: last };
  return null;
}

/** Splits a template. `$${{` is a literal `${{`. Never throws: what cannot be read is a part of kind `bad`. */
export function readTemplate(template: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  const addText = (text: string): void => {
    if (text !== '') parts.push({ kind: 'text', text });
  };
  for (const match of template.matchAll(opening)) {
    if (match.index < at) continue;
    addText(template.slice(at, match.index));
    if (match[0].startsWith('$$')) {
      addText('${{');
      at = match.index + match[0].length;
      continue;
    }
    const end = template.indexOf('}}', match.index);
    const line = template.indexOf('\n', match.index);
    if (end === -1 || (line !== -1 && line < end)) {
      const raw = template.slice(match.index, line === -1 ? undefined : line);
      parts.push({
        kind: 'bad',
        raw,
        message: 'This reference is not closed. End it with }} on the same line, or write $${{ for a literal ${{.',
      });
      at = match.index + raw.length;
      continue;
    }
    const raw = template.slice(match.index, end + 2);
    const reference = readReference(raw.slice(3, -2));
    const message = `"${raw.slice(3, -2).trim()}" is not a reference. Write one of ${forms}; or write $\${{ for a literal \${{.`;
    parts.push(reference === null ? { kind: 'bad', raw, message } : { kind: 'reference', reference, raw });
    at = end + 2;
  }
  addText(template.slice(at));
  return parts;
}

/** The references of a template, in order. */
export function references(template: string): Reference[] {
  return readTemplate(template).flatMap((part) => (part.kind === 'reference' ? [part.reference] : []));
}

/** A text with `${{` made literal, so that a template made from it gives exactly the text. */
export function escapeTemplate(text: string): string {
  // A function, because `$$` in a replacement text means one `$`.
  return text.replaceAll('${{', () => '$${{');
}

/** The value of a reference; throws an `AppError` when there is none. */
export type Lookup = (reference: Reference) => string;

/**
 * A template with its references replaced, in ONE pass: a value that itself holds `${{ … }}` stays as it is, so an
 * agent's output cannot pull in what the plan did not name. For plain text and argv; never for a shell line (see shell.ts).
 */
export function fillTemplate(template: string, lookup: Lookup): string {
  return readTemplate(template)
    .map((part) => {
      if (part.kind === 'bad') throw invalid(`In "${part.raw}": ${part.message}`);
      return part.kind === 'text' ? part.text : lookup(part.reference);
    })
    .join('');
}

/** A reference as it is written, in its one canonical form. */
export function referenceText(reference: Reference): string {
  switch (reference.kind) {
    case 'input':
      return `inputs.${reference.name}`;
    case 'item':
      return reference.field === null ? 'item' : `item.${reference.field}`;
    case 'output':
      return `tasks.${reference.task}.outputs.${reference.name}`;
    case 'result':
      return `tasks.${reference.task}.result`;
  }
}

/** The text of an item or of one of its fields; a mapping becomes JSON. */
export function itemText(item: Item | null, field: string | null): string {
  if (field === null && item !== null) return typeof item === 'object' ? JSON.stringify(item) : String(item);
  const value =
    typeof item === 'object' && item !== null && field !== null && Object.hasOwn(item, field) ? item[field] : undefined;
  if (value === undefined) {
    throw invalid(
      `The item ${JSON.stringify(item)} has no value for \${{ ${referenceText({ kind: 'item', field })} }}.`,
      {
        fix: field === null ? 'Use item only in a task with forEach.' : `Give every item a field "${field}".`,
      },
    );
  }
  return String(value);
}
