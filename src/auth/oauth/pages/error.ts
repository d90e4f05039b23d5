import { framed } from './frame.ts';
import { html, nothing } from './html.ts';

export interface ErrorPage {
  readonly title: string;
  readonly message: string;
  /** What to do now. */
  readonly fix?: string;
}

/** Tells what is wrong, when the person cannot be sent back to the app. */
export function errorPage({ title, message, fix }: ErrorPage): string {
  const next = fix === undefined ? nothing : html`<p class="lead">${fix}</p>`;
  return framed({
    title,
    body: html`<h1>${title}</h1>
      <p>${message}</p>
      ${next}`,
  });
}
