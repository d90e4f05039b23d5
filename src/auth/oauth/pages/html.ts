/** A piece of HTML that is safe to show as it stands: made by `html` alone. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = string | Html | readonly Html[];

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** HTML from a template whose strings are escaped, for text and for attributes in quotes; what is Html already stays. */
export function html(template: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(String.raw({ raw: template }, ...parts.map(textOf)));
}

/** Nothing. */
export const nothing = new Html('');

function textOf(part: Part): string {
  if (typeof part === 'string') return part.replaceAll(/[&<>"'`]/g, (letter) => entities[letter] ?? '');
  return part instanceof Html ? part.text : part.map(textOf).join('');
}
