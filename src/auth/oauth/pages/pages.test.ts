import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { codePage } from './code.ts';
import { consentPage } from './consent.ts';
import { errorPage } from './error.ts';
import { signInPage } from './sign-in.ts';
import { pageHeaders } from './style.ts';

const form = { action: '/oauth/x?flow=1&a=2', csrf: 'token', redirect: '127.0.0.1:4000' };
const scopes = [{ name: 'viewer', summary: 'look at everything' }];
const named = (name: string, more: { uri?: string | null; verified?: boolean } = {}) => ({
  name,
  uri: null,
  verified: false,
  ...more,
});
/** Each page that shows a client, with everything that others choose set to this. */
const pagesOf = (name: string): string[] => {
  const client = named(name, { uri: name });
  return [
    signInPage({ ...form, client, name, problem: name }),
    codePage({ ...form, client, problem: name }),
    consentPage({ ...form, client, user: name, redirect: name.replaceAll(' ', ''), scopes: [{ name, summary: name }] }),
    errorPage({ title: name, message: name, fix: name }),
  ];
};
const signIn = (client: ReturnType<typeof named>, redirect = form.redirect): string =>
  signInPage({ ...form, client, redirect });
/** What a person reads. */
const seen = (page: string): string =>
  page
    .replace(/<style>[^]*<\/style>/, '')
    .replaceAll(/<title>[^]*<\/title>/g, '')
    .replaceAll(/<[^>]+>/g, '')
    .replaceAll(/\s+/g, ' ');

describe('what others choose', () => {
  it.each([
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)' autofocus x='",
    '</title></style></main><iframe src="https://evil.example">',
    'javascript:alert(1)',
    '` onmouseover=`alert(1)',
    '&lt;b&gt;',
    '<!--',
  ])('is never markup: %s', (text) => {
    const sound = pagesOf('sound').map(tagsOf);
    expect(pagesOf(text).map(tagsOf)).toEqual(sound);
    if (/[<>"'`&]/.test(text)) for (const page of pagesOf(text)) expect(page).not.toContain(text);
    for (const page of pagesOf(text)) expect(page).not.toMatch(/(?:href|src|action)="javascript:/i);
  });

  it('stands in the form as it was given', () => {
    const page = signInPage({ ...form, client: named('App'), name: 'a"b' });
    expect(page).toContain('value="a&quot;b"');
    expect(page).toContain('action="/oauth/x?flow=1&amp;a=2"');
  });
});

/** The tags of a page with the names of their attributes. */
function tagsOf(page: string): string[] {
  return [...page.matchAll(/<\/?[a-z][^\s/>]*(?:\s+[^\s=/>]+(?:="[^"]*")?)*\s*\/?>/gi)].map(([tag]) =>
    tag.replaceAll(/="[^"]*"/g, ''),
  );
}

describe('the name of a client', () => {
  it('that nobody has checked stands with the place that the answer goes to, one that was with its own', () => {
    expect(seen(signIn(named('Claude')))).toContain('Name not verified · goes back to 127.0.0.1:4000');
    const lies = named('Claude', { uri: 'https://claude.ai/' });
    expect(seen(signIn(lies))).not.toContain('claude.ai');
    expect(seen(consentPage({ ...form, client: lies, user: 'ada', scopes }))).toContain('Anybody can take this name');
    const checked = named('Claude', { uri: 'https://claude.ai/client', verified: true });
    expect(seen(signIn(checked))).toContain('From claude.ai');
    const consent = (redirect: string): string =>
      seen(consentPage({ ...form, redirect, client: checked, user: 'ada', scopes }));
    expect(consent('claude.ai')).not.toMatch(/Anybody|cannot tell/);
    expect(consent('com.example.app:')).toContain(
      'an app on this computer opens: the one for com.example.app: addresses',
    );
    // Any program on the computer can ask in the name of a client that is known.
    expect(consent('127.0.0.1:4000')).toContain('cannot tell');
  });

  it.each([
    ['a turned direction', 'Claude\u202Eedoc', 'U+202E'],
    ['an isolate', '\u2067Claude', 'U+2067'],
    ['a space without width', 'Clau\u200Bde', 'U+200B'],
    ['a letter without ink', 'Claude\u3164', 'U+3164'],
    ['a tag', 'Claude\u{E0041}', 'U+E0041'],
    ['a control', 'Claude\u0007', 'U+0007'],
    ['half a character', 'Claude\uD800', 'U+D800'],
    ['a line separator', 'Claude\u2028MAOS', 'U+2028'],
  ])('shows %s by its number', (_what, name, number) => {
    const page = signIn(named(name));
    expect(page).not.toContain(name);
    expect(seen(page)).toContain(number);
    expect(seen(page)).toContain('characters that cannot be seen');
    const title = /<title>(.*)<\/title>/.exec(consentPage({ ...form, client: named(name), user: 'ada', scopes }))?.[1];
    expect(title).toContain(`[${number}]`);
  });

  it.each([
    ['a Cyrillic letter among Latin ones', '\u0421laude', 'Cyrillic'],
    ['a Greek letter among Latin ones', 'M\u0391OS', 'Greek'],
    ['a word of Cyrillic twins', '\u041C\u0410\u041E\u0405', 'Cyrillic'],
    ['fullwidth letters', '\uFF23\uFF4C\uFF41\uFF55\uFF44\uFF45', 'only look like'],
    ['mathematical letters', '\u{1D402}laude', 'only look like'],
  ])('warns of %s', (_what, name, word) => {
    expect(seen(signIn(named(name)))).toContain(word);
  });

  it.each(['Claude Code', 'Café Zürich', 'Ассистент', 'アシスタント', 'مساعد', 'Αθήνα', 'App – 2.0 (beta)'])(
    'is left in peace when it is ordinary: %s',
    (name) => {
      expect(signIn(named(name))).toContain(name);
      expect(signIn(named(name))).not.toContain('class="note"');
    },
  );

  it('has no signs that could be ours, no piles of accents, and an end', () => {
    expect(seen(signIn(named('✅ Claude 🔒👩\u200d💻 ✓')))).toContain('ClaudeName not verified');
    expect(signIn(named(`a${'\u0323'.repeat(50)}`))).not.toContain('\u0323'.repeat(3));
    expect(seen(signIn(named('x'.repeat(5_000))))).toContain(`${'x'.repeat(48)}…`);
    expect(seen(signIn(named('x'.repeat(5_000))))).not.toContain('x'.repeat(49));
    expect(seen(signIn(named(' ✓ ')))).toContain('an app without a name');
  });

  it('shows a host of foreign letters as machines know it', () => {
    const page = signIn(named('Claude', { uri: 'https://cl\u0430ude.ai/', verified: true }));
    expect(seen(page)).toContain('xn--');
    expect(seen(signIn(named('Claude', { uri: 'javascript:alert(1)', verified: true })))).toContain('not verified');
  });
});

describe('a page', () => {
  const all = pagesOf('app');

  it('has one style, whose hash is in the policy, and nothing else that could be loaded or run', () => {
    const { 'content-security-policy': policy } = pageHeaders();
    for (const page of all) {
      const [, style = ''] = /<style>([^]*)<\/style>/.exec(page) ?? [];
      expect(policy).toContain(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}';`);
      expect(page.match(/<style/g)).toHaveLength(1);
      expect(page).not.toMatch(/<(?:script|link|img|iframe|object|base)\b|\son[a-z]+=|\sstyle=|url\(|@import/i);
    }
  });

  it('cannot be framed, kept, or sent elsewhere than to us and to where the answer goes', () => {
    const policyFor = (redirect?: string): string => pageHeaders(redirect)['content-security-policy'] ?? '';
    expect(policyFor()).toMatch(/^default-src 'none'; .*form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/);
    expect(policyFor('http://127.0.0.1:4000/cb?x=1')).toContain("form-action 'self' http://127.0.0.1:4000;");
    expect(policyFor('https://app.example/cb;script-src *')).toContain("form-action 'self' https://app.example;");
    expect(policyFor('http://[::1]:4000/cb')).toContain("form-action 'self' http:;");
    expect(policyFor('com.example.app:/cb')).toContain("form-action 'self' com.example.app:;");
    expect(pageHeaders()).toMatchObject({ 'x-frame-options': 'DENY', 'cache-control': 'no-store' });
  });

  it('says first in its title that there is a problem, and ties the problem to the fields', () => {
    const [page = ''] = pagesOf('wrong');
    expect(page).toContain('<title>Problem: Sign in · MAOS</title>');
    expect(page.match(/aria-invalid="true"\s+aria-describedby="problem"/g)).toHaveLength(2);
    expect(page).toMatch(/<p class="problem" id="problem" role="alert">/);
  });

  it('says plainly when everything is asked for', () => {
    const client = named('App');
    for (const name of ['*', 'admin']) {
      const page = consentPage({ ...form, client, user: 'ada', scopes: [...scopes, { name, summary: 'x' }] });
      expect(seen(page)).toContain('can do everything that you can');
    }
  });
});
