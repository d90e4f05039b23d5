import { clientCard, framed, type PageClient, problemBox } from './frame.ts';
import { html, nothing } from './html.ts';
import { showName } from './name.ts';

export interface CodePage {
  readonly client: PageClient;
  /** The host (and port) to which the code will be sent; the scheme with its colon where that is one of an app. */
  readonly redirect: string;
  readonly action: string;
  readonly csrf: string;
  readonly problem?: string;
}

/** Asks for `code`: six digits, or in a form of its own, because a phone then shows another keyboard, a recovery code. */
export function codePage({ client, redirect, action, csrf, problem }: CodePage): string {
  const described = problem === undefined ? 'hint' : 'problem hint';
  const invalid = problem === undefined ? nothing : html` aria-invalid="true"`;
  const secret = html`<input type="hidden" name="csrf" value="${csrf}" />`;
  const body = html`<h1>Second factor</h1>
    ${clientCard(client, showName(client.name), redirect)} ${problemBox(problem)}
    <form method="post" action="${action}">
      ${secret}
      <div>
        <label for="code">Code</label>
        <p class="hint" id="hint">The six digits your authenticator app shows now.</p>
        <input
          class="digits"
          id="code"
          name="code"
          inputmode="numeric"
          autocomplete="one-time-code"
          pattern="\\s*\\d{3}\\s?\\d{3}\\s*"
          title="Six digits"
          maxlength="12"
          required
          autofocus
          aria-describedby="${described}"
          ${invalid}
        />
      </div>
      <button type="submit">Continue</button>
    </form>
    <details>
      <summary>Use a recovery code</summary>
      <form method="post" action="${action}">
        ${secret}
        <div>
          <label for="recovery">Recovery code</label>
          <p class="hint" id="once">One of the ten that you kept. Each is good once.</p>
          <input
            class="recovery"
            id="recovery"
            name="code"
            autocomplete="off"
            autocapitalize="none"
            spellcheck="false"
            minlength="20"
            maxlength="40"
            required
            aria-describedby="once"
          />
        </div>
        <button class="plain" type="submit">Continue with it</button>
      </form>
    </details>`;
  return framed({ title: 'Second factor', problem, body });
}
