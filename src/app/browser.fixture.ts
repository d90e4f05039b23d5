import { existsSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, chromium, type Page } from 'playwright-core';

/** The Chromium of this machine: what MAOS_TEST_CHROMIUM names, or Debian's; null when there is none, and then it says so. */
export function findChromium(): string | null {
  const named = process.env['MAOS_TEST_CHROMIUM'] ?? '';
  const path = named === '' ? '/usr/bin/chromium' : named;
  if (named !== '' || existsSync(path)) return path;
  process.stderr.write(
    '\nSKIPPED: the tests of the pages need Chromium. Install it (apt-get install chromium), or name it in MAOS_TEST_CHROMIUM.\n\n',
  );
  return null;
}

/** Starts it without a window. Whoever starts it closes it. */
export function openChromium(executablePath: string): Promise<Browser> {
  // No sandbox: it is not to be had for root and in most containers, and the tests open our own pages only.
  return chromium.launch({ executablePath, chromiumSandbox: false, args: ['--disable-dev-shm-usage'] });
}

/** What somebody with a screen reader, a keyboard or weak eyes would stumble over in a page, in words. */
export async function stumbles(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page })
    .setLegacyMode(true)
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .analyze();
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`);
}
