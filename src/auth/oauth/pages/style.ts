/**
 * How the pages look. The style stands in each page, and browsers take it because its hash is in the policy: so a page loads
 * nothing, and nothing that gets into it by a trick is styled or run.
 */
import { createHash } from 'node:crypto';

export const style = `
:root{color-scheme:light dark;--paper:#f5f4ef;--card:#fffefb;--ink:#1b2422;--soft:#55615d;--line:#e2e0d8;--edge:#7c8884;
--deep:#0d5c50;--deeper:#09463d;--on:#fff;--tint:#e9f1ee;--warn:#7a4a00;--warn-bg:#fbf1dc;--bad:#a02018;--bad-bg:#fceeeb}
@media (prefers-color-scheme:dark){:root{--paper:#0f1514;--card:#161e1c;--ink:#e8ece9;--soft:#a3b0ab;--line:#28322f;--edge:#71807a;
--deep:#6fd0bd;--deeper:#8fdfcf;--on:#06211c;--tint:#1b2b28;--warn:#f0c878;--warn-bg:#2c2414;--bad:#ffaaa0;--bad-bg:#331c19}}
*{box-sizing:border-box;margin:0}
body{min-height:100vh;min-height:100dvh;display:flex;flex-direction:column;align-items:center;justify-content:center;gap:1.5rem;
padding:2rem 1rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header{display:flex;align-items:center;gap:.625rem;font-weight:650;letter-spacing:.14em}
header svg{width:1.75rem;height:1.75rem;color:var(--deep)}
main{width:100%;max-width:26rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;
box-shadow:0 1px 2px rgb(0 0 0/.04),0 12px 32px -12px rgb(0 0 0/.12)}
main>*+*,form>*+*{margin-top:1.25rem}
h1{font-size:1.5rem;line-height:1.25;font-weight:650;letter-spacing:-.015em;text-wrap:balance;overflow-wrap:anywhere}
h1+.lead{margin-top:.5rem}
p,li{overflow-wrap:anywhere;text-wrap:pretty}
.lead,.small,.hint{color:var(--soft)}
h2.lead{font-size:1rem;font-weight:400}
h2.lead strong{color:var(--ink)}
h2.lead+.scopes{margin-top:.625rem}
.small,.hint,.note{font-size:.875rem}
.client{display:flex;gap:.875rem;align-items:center;padding:.875rem 1rem;border:1px solid var(--line);border-radius:.75rem}
.client>:last-child{min-width:0}
.client svg{flex:none;width:1.5rem;height:1.5rem;color:var(--soft)}
.client strong{display:block;font-weight:600;overflow-wrap:anywhere}
.client .small{display:block}
.host{overflow-wrap:anywhere}
.note,.problem{padding:.75rem 1rem;border-radius:.625rem}
.note{color:var(--warn);background:var(--warn-bg)}
.problem{color:var(--bad);background:var(--bad-bg)}
.client+.note{margin-top:.5rem}
.odd{font:.8em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;padding:0 .25em;margin:0 .1em;border:1px solid currentColor;border-radius:.25em}
label{display:block;font-weight:550;margin-bottom:.375rem}
.hint{margin-bottom:.5rem}
label+.hint{margin-top:-.25rem}
input{width:100%;min-height:3rem;padding:.625rem .875rem;font:inherit;color:inherit;background:var(--card);border:1px solid var(--edge);border-radius:.625rem}
input[aria-invalid]{border-color:var(--bad)}
.digits{font:1.5rem/1.25 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;letter-spacing:.3em;text-align:center;padding-left:1.1em}
.recovery{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
button{min-height:3rem;width:100%;padding:.625rem 1.25rem;font:inherit;font-weight:600;color:var(--on);background:var(--deep);
border:1px solid transparent;border-radius:.625rem;cursor:pointer}
button:hover{background:var(--deeper)}
button.plain{color:var(--ink);background:transparent;border-color:var(--edge)}
button.plain:hover{background:var(--tint)}
button.link{min-height:2.75rem;margin-top:.5rem;margin-bottom:-.75rem;padding:.25rem;font-size:.875rem;font-weight:500;color:var(--deep);background:none}
button.link:hover{text-decoration:underline}
:focus-visible{outline:3px solid var(--deep);outline-offset:2px}
input:focus-visible{outline-width:2px;outline-offset:-1px}
.choice{display:flex;gap:.75rem}
.scopes{padding:0;list-style:none;border-top:1px solid var(--line)}
.scopes li{padding:.625rem 0 .625rem 1.75rem;border-bottom:1px solid var(--line);position:relative}
.scopes li::before{content:"";position:absolute;left:.375rem;top:1.125rem;width:.5rem;height:.5rem;border-radius:50%;background:var(--deep)}
.scopes code{display:block;font:.8125rem ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;color:var(--soft)}
details summary{cursor:pointer;color:var(--deep);font-weight:550;padding:.25rem 0;border-radius:.25rem}
details form{margin-top:.75rem}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
footer{max-width:26rem;text-wrap:balance;text-align:center;font-size:.875rem;color:var(--soft)}
@media (max-width:30rem){body{justify-content:flex-start;padding:1.5rem 1rem}main{padding:1.5rem 1.25rem}}
@media (forced-colors:active){.scopes li::before{background:CanvasText}}
`;

const styleHash = `'sha256-${createHash('sha256').update(style).digest('base64')}'`;

/**
 * The headers that belong to a page. `redirect` is where the answer to its form may send the browser on to: browsers hold the way
 * from a form to its end against the policy.
 */
export function pageHeaders(redirect?: string): Readonly<Record<string, string>> {
  const form = ["'self'", ...(redirect === undefined ? [] : formTarget(redirect))].join(' ');
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': `default-src 'none'; style-src ${styleHash}; form-action ${form}; frame-ancestors 'none'; base-uri 'none'`,
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    // Not `no-referrer`: a form would then be sent with the origin "null", which the guard refuses.
    'referrer-policy': 'same-origin',
    'cache-control': 'no-store',
  };
}

/** An address as a source of a policy. One with an IPv6 host cannot be written there, nor one of an app's own scheme: then the scheme is. */
function formTarget(redirect: string): string[] {
  if (!URL.canParse(redirect)) return [];
  const { protocol, origin, hostname } = new URL(redirect);
  const web = protocol === 'https:' || protocol === 'http:';
  return [web && !hostname.startsWith('[') ? origin : protocol];
}
