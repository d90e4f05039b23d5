import { describe, expect, it } from 'vitest';
import { redirectFault, redirectFits, redirectTo, shownRedirect } from './redirect.ts';

describe('an address for answers', () => {
  it.each([
    'https://app.example/callback?keep=1',
    'http://127.0.0.1/callback',
    'http://127.0.0.1:7777/callback',
    'http://[::1]:7777/',
    'http://localhost:3000/a/b',
    'com.example.app:/callback',
    'cursor://anysphere.cursor-retrieval/oauth/callback',
    'vscode://ext/callback',
  ])('can be %s', (uri) => {
    expect(redirectFault(uri)).toBeUndefined();
    expect(redirectFits([uri], uri)).toBe(true);
  });

  it.each([
    '',
    'callback',
    '//app.example/callback',
    'http://app.example/callback',
    'http://127.0.0.1.evil.example/',
    'http://127.0.0.1@evil.example/',
    'https://a:b@app.example/',
    'https://app.example/#',
    'https://app.example/a b',
    'https://app.example\\@evil.example/',
    'https://app.example/\r\nlocation:x',
    'https://äpp.example/',
    'javascript:alert(1)',
    'JavaScript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'ms-msdt:/id',
    'shell:x',
    `https://app.example/${'x'.repeat(2_000)}`,
  ])('cannot be %j', (uri) => {
    expect(redirectFault(uri)).toBeDefined();
    expect(redirectFits([uri], uri)).toBe(false);
  });

  it('fits letter by letter, but for the port of this machine', () => {
    const registered = ['http://127.0.0.1:7777/callback', 'https://app.example/callback', 'http://localhost/x?a=1'];
    for (const uri of ['http://127.0.0.1/callback', 'http://127.0.0.1:1/callback', 'http://localhost:65535/x?a=1'])
      expect(redirectFits(registered, uri), uri).toBe(true);
    for (const uri of [
      'http://127.0.0.1:7777/callback/',
      'http://127.0.0.1:7777/Callback',
      'http://127.0.0.1:7777/callback?x=1',
      'http://127.0.0.1:7777@evil.example/callback',
      'http://127.0.0.1:77777/callback',
      'http://127.0.0.2:7777/callback',
      'http://localhost:7777/callback',
      'https://127.0.0.1:7777/callback',
      'https://app.example:444/callback',
      'https://APP.example/callback',
      'https://app.example/callback/../callback',
      'https://app.example/%63allback',
    ])
      expect(redirectFits(registered, uri), uri).toBe(false);
  });

  it('keeps what it has when the answer is added, and nobody writes into it', () => {
    const answer = { code: 'a&b=c', state: 'x#y\r\n', iss: undefined };
    expect(redirectTo('https://app.example/cb?keep=1', answer)).toBe(
      'https://app.example/cb?keep=1&code=a%26b%3Dc&state=x%23y%0D%0A',
    );
    expect(redirectTo('com.example.app:/cb', { error: 'access_denied' })).toBe(
      'com.example.app:/cb?error=access_denied',
    );
  });

  it('is shown by its host, or by its scheme', () => {
    expect(shownRedirect('http://127.0.0.1:7777/cb')).toBe('127.0.0.1:7777');
    expect(shownRedirect('com.example.app:/cb')).toBe('com.example.app:');
    expect(shownRedirect('evil.app://claude.ai/cb')).toBe('evil.app:');
  });
});
