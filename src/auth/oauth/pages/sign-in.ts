import { clientCard, framed, type PageClient, problemBox } from './frame.ts';
import { html, nothing } from './html.ts';
import { showName } from './name.ts';

export interface SignInPage {
  readonly client: PageClient;
  /** The host (and port) to which the code will be sent; the scheme with its colon where that is one of an app. */
  readonly redirect: string;
  readonly action: string;
  readonly csrf: string;
  /** The name that was typed before. */
  readonly name?: string;
  readonly problem?: string;
}

/** Asks for `name` and `password`. */
export function signInPage({ client, redirect, action, csrf, name = '', problem }: SignInPage): string {
  const shown = showName(client.name);
  const described = problem === undefined ? nothing : html` aria-invalid="true" aria-describedby="problem"`;
  const [nameFocus, passwordFocus] = name === '' ? [html` autofocus`, nothing] : [nothing, html` autofocus`];
  const body = html`<div>
      <h1>Sign in</h1>
      <p class="lead">This app asks for access to your MAOS:</p>
    </div>
    ${clientCard(client, shown, redirect)} ${problemBox(problem)}
    <form method="post" action="${action}">
      <input type="hidden" name="csrf" value="${csrf}" />
      <div>
        <label for="name">Name</label
        ><input
          id="name"
          name="name"
          value="${name}"
          autocomplete="username"
          autocapitalize="none"
          spellcheck="false"
          maxlength="120"
          required${described}${nameFocus}
        />
      </div>
      <div>
        <label for="password">Password</label
        ><input
          id="password"
          name="password"
          type="password"
          autocomplete="current-password"
          maxlength="1000"
          required${described}${passwordFocus}
        />
      </div>
      <button type="submit">Sign in</button>
    </form>`;
  const foot = html`<footer>
    <p>The app never sees your password. On the next page you decide whether it may come in.</p>
  </footer>`;
  return framed({ title: 'Sign in', problem, body, foot });
}
