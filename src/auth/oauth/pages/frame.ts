import { type Html, html, nothing } from './html.ts';
import { hostOf, noteOf, showHost, type ShownName } from './name.ts';
import { style } from './style.ts';

/** A program that asks a person for access. */
export interface PageClient {
  /** What it calls itself. */
  readonly name: string;
  /** Its home on the web, if it names one. */
  readonly uri: string | null;
  /** Its name was read from that very host; else anybody may have given it. */
  readonly verified: boolean;
}

export interface PageParts {
  readonly title: string;
  /** Something went wrong; the title says so first, for those who hear it. */
  readonly problem?: string | undefined;
  readonly body: Html;
  readonly foot?: Html;
}

const mark = html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true">
  <path d="M4 19V6l8 8 8-8v13" />
  <g fill="currentColor" stroke="none">
    <circle cx="4" cy="19" r="2.2" />
    <circle cx="4" cy="6" r="2.2" />
    <circle cx="12" cy="14" r="2.2" />
    <circle cx="20" cy="6" r="2.2" />
    <circle cx="20" cy="19" r="2.2" />
  </g>
</svg>`;
const appSign = html`<svg
  viewBox="0 0 24 24"
  fill="none"
  stroke="currentColor"
  stroke-width="1.5"
  stroke-linecap="round"
  stroke-linejoin="round"
  aria-hidden="true"
>
  <rect x="3" y="4.5" width="18" height="15" rx="2.5" />
  <path d="M3 9h18M6 6.75h.01M8.5 6.75h.01" />
</svg>`;

/** A whole document. The style is ours and stands unescaped: its hash is in the policy. */
export function framed({ title, problem, body, foot = nothing }: PageParts): string {
  const said = problem === undefined ? title : `Problem: ${title}`;
  const head = html`<meta charset="utf-8" /><meta name="viewport" content="width=device-width, initial-scale=1" /><meta
      name="robots"
      content="noindex"
    /><title>${said} · MAOS</title>`;
  const content = html`<header>${mark}<span>MAOS</span></header>
    <main>${body}</main>
    ${foot}`;
  return `<!doctype html>\n<html lang="en">\n<head>${head.text}<style>${style}</style></head>\n<body>\n${content.text}\n</body>\n</html>\n`;
}

/** Who asks. A name that nobody has checked never stands without the place that the answer goes to. */
export function clientCard(client: PageClient, name: ShownName, redirect: string): Html {
  const host = hostOf(client.uri);
  const place =
    client.verified && host !== null
      ? html`From ${showHost(host)}`
      : html`Name not verified · goes back to ${showHost(redirect)}`;
  return html`<div class="client">
      ${appSign}
      <div><strong>${name.shown}</strong><span class="small">${place}</span></div>
    </div>
    ${noteOf(name)}`;
}

/** A problem, and what a field needs to be described by it. */
export function problemBox(problem: string | undefined): Html {
  return problem === undefined ? nothing : html`<p class="problem" id="problem" role="alert">${problem}</p>`;
}

/** Whether the answer stays on the computer that the browser runs on. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i.test(host);
}
