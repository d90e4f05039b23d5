import { clientCard, framed, isLoopback, type PageClient } from './frame.ts';
import { type Html, html, nothing } from './html.ts';
import { hostOf, showHost, showName } from './name.ts';

export interface ConsentPage {
  readonly client: PageClient;
  /** Who has signed in. */
  readonly user: string;
  /** The host (and port) to which the code will be sent; the scheme with its colon where that is one of an app. */
  readonly redirect: string;
  readonly scopes: readonly { readonly name: string; readonly summary: string }[];
  readonly action: string;
  readonly csrf: string;
}

/** What stands for everything. */
const everything = ['*', 'admin'];

/** Asks for `decision`: `allow`, `deny`, or `leave`, by which the person signs out and somebody else can sign in. */
export function consentPage({ client, user, redirect, scopes, action, csrf }: ConsentPage): string {
  const name = showName(client.name);
  const warned = warning(client, redirect);
  const body = html`<h1>Let this app in?</h1>
    ${clientCard(client, name, redirect)} ${warned} ${powers(user, scopes)}
    <p class="small">${whereTo(redirect)}</p>
    <form method="post" action="${action}">
      <input type="hidden" name="csrf" value="${csrf}" />
      <div class="choice">
        <button class="plain" type="submit" name="decision" value="deny">Deny</button
        ><button type="submit" name="decision" value="allow">Allow</button>
      </div>
      <button class="link" type="submit" name="decision" value="leave">
        Not <bdi>${user}</bdi>? Sign in as somebody else
      </button>
    </form>`;
  const foot =
    warned === nothing
      ? html`<footer><p>Not something you have just started yourself? Then deny it.</p></footer>`
      : nothing;
  return framed({ title: `Let ${name.plain} in?`, body, foot });
}

/** What a person has to know who decides by the name. */
function warning({ uri, verified }: PageClient, redirect: string): Html {
  const home = hostOf(uri);
  if (!verified || home === null)
    return html`<p class="note">
      Anybody can take this name: MAOS has not been able to check it. Allow it only if you have just started this app
      yourself.
    </p>`;
  if (home === redirect) return nothing;
  return html`<p class="note">
    ${showHost(home)} has an app of this name, but MAOS cannot tell whether it is the one that asks. Allow it only if
    you have just started it yourself.
  </p>`;
}

function powers(user: string, scopes: ConsentPage['scopes']): Html {
  if (scopes.some(({ name }) => everything.includes(name)))
    return html`<p>
      It will act as <strong><bdi>${user}</bdi></strong> and <strong>can do everything that you can</strong>.
    </p>`;
  const items = scopes.map(({ name, summary }) => html`<li>${summary}<code>${name}</code></li>`);
  return html`<div>
    <h2 class="lead">
      It will act as <strong><bdi>${user}</bdi></strong> and can:
    </h2>
    <ul class="scopes">
      ${items}
    </ul>
  </div>`;
}

function whereTo(redirect: string): Html {
  if (redirect.endsWith(':'))
    return html`Either way an app on this computer opens: the one for ${showHost(redirect)} addresses.`;
  return isLoopback(redirect)
    ? html`Either way you go back to a program on this computer, at ${showHost(redirect)}.`
    : html`Either way you go back to ${showHost(redirect)}.`;
}
