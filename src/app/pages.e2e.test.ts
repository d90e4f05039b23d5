import { createServer, type Server } from 'node:http';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codePage } from '../auth/oauth/pages/code.ts';
import { consentPage } from '../auth/oauth/pages/consent.ts';
import { errorPage } from '../auth/oauth/pages/error.ts';
import { signInPage } from '../auth/oauth/pages/sign-in.ts';
import { pageHeaders } from '../auth/oauth/pages/style.ts';
import { findChromium, openChromium, stumbles } from './browser.fixture.ts';

const chromium = findChromium();
const patience = 120_000;
const long = `${'Ünbreakable'.repeat(8)}\u202e`;
const client = { name: 'Claude Code', uri: 'https://claude.example/client', verified: true };
const stranger = { name: long, uri: null, verified: false };
const redirect = '127.0.0.1:33418';
const form = { action: '/posted', csrf: 'token', redirect };
const scopes = [
  { name: 'coordinator', summary: 'plan and direct: runs, tasks, agents and their places' },
  { name: 'monitor', summary: 'watch everything and touch nothing' },
];
const pages: Readonly<Record<string, string>> = {
  '/sign-in': signInPage({ ...form, client }),
  '/sign-in-again': signInPage({
    ...form,
    client: stranger,
    name: 'ada',
    problem: 'The name or the password is wrong.',
  }),
  '/code': codePage({ ...form, client }),
  '/code-again': codePage({ ...form, client: stranger, problem: 'The code is wrong.' }),
  '/consent': consentPage({ ...form, client, user: 'ada', scopes }),
  '/consent-stranger': consentPage({ ...form, client: stranger, user: 'ada', scopes: [{ name: '*', summary: '' }] }),
  '/error': errorPage({ title: 'This request cannot be used', message: `It names ${long}.`, fix: 'Start again.' }),
};

describe.skipIf(chromium === null)('the pages in Chromium', { timeout: patience }, () => {
  let browser: Browser;
  let server: Server;
  let url: string;
  const posted: string[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.method === 'POST')
        request.on('data', (data: Buffer) => posted.push(`${request.url ?? ''} ${data.toString()}`));
      for (const [name, value] of Object.entries(pageHeaders(`http://${redirect}/cb`))) response.setHeader(name, value);
      const framing = `<!doctype html><title>x</title><iframe src="/sign-in"></iframe>`;
      if (request.url === '/framing') response.removeHeader('content-security-policy');
      response.end(pages[request.url ?? ''] ?? framing);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
    browser = await openChromium(chromium ?? '');
  }, patience);

  afterAll(async () => {
    await browser.close();
    server.close();
  });

  const open = async (path: string): Promise<Page> => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${url}${path}`);
    return page;
  };

  it.each([
    ['a phone by day', 320, 'light'],
    ['a desktop by night', 1280, 'dark'],
  ] as const)('can be used by everybody on %s', async (_what, width, colorScheme) => {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 844 } });
    const page = await context.newPage();
    // What the policy refuses, a style that is not ours for example, is told there.
    const told: string[] = [];
    page.on('console', (message) => told.push(message.text()));
    for (const path of Object.keys(pages)) {
      await page.goto(`${url}${path}`);
      expect(await stumbles(page), path).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth'), path).toBe(width);
      expect(await page.evaluate('getComputedStyle(document.querySelector("main")).borderRadius')).toBe('16px');
    }
    expect(told).toEqual([]);
    await context.close();
  });

  it('a sample with faults is found faulty', async () => {
    const page = await browser.newPage();
    await page.setContent('<html><input><p style="color:#ccc;background:#fff">pale</p></html>');
    expect((await stumbles(page)).map((stumble) => stumble.replace(/:.*/s, ''))).toEqual(
      expect.arrayContaining(['label', 'color-contrast', 'html-has-lang']),
    );
    await page.close();
  });

  it('are filled in with the keyboard alone', async () => {
    const page = await open('/sign-in');
    await page.keyboard.type('ada');
    await page.keyboard.press('Tab');
    await page.keyboard.type('secret');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/posted');
    expect(posted).toContain('/posted csrf=token&name=ada&password=secret');
    await page.goto(`${url}/consent`);
    const focused = (): Promise<unknown> => page.evaluate('document.activeElement.textContent.trim()');
    const order: unknown[] = [];
    for (let press = 0; press < 3; press += 1) {
      await page.keyboard.press('Tab');
      order.push(await focused());
    }
    expect(order).toEqual(['Deny', 'Allow', expect.stringContaining('Sign in as somebody else')]);
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await expect.poll(() => posted).toContain('/posted csrf=token&decision=allow');
    await page.context().close();
  });

  it('take a recovery code in place of the digits', async () => {
    const page = await open('/code');
    await page.getByText('Use a recovery code').click();
    await page.getByLabel('Recovery code').fill('0123456789-abcdef0123');
    await page.getByRole('button', { name: 'Continue with it' }).click();
    await expect.poll(() => posted).toContain('/posted csrf=token&code=0123456789-abcdef0123');
    await page.context().close();
  });

  it('cannot be framed, run nothing, and send nothing elsewhere', async () => {
    const page = await open('/framing');
    await expect.poll(() => page.frames().map((frame) => frame.url())).toContain('chrome-error://chromewebdata/');
    await page.goto(`${url}/consent`);
    await page.evaluate('document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=document.title=1>")');
    expect(await page.title()).toBe('Let Claude Code in? · MAOS');
    posted.length = 0;
    for (const action of [`${url.replace('127.0.0.1', 'localhost')}/elsewhere`, `${url}/posted`]) {
      await page.evaluate(`document.querySelector('form').action = '${action}'`);
      await page.evaluate(`document.querySelector('[value=allow]').click()`);
    }
    await page.waitForURL('**/posted');
    expect(posted).toEqual(['/posted csrf=token&decision=allow']);
    await page.context().close();
  });
});
