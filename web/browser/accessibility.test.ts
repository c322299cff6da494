import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Browser, type Page, press, until } from './browser.ts';
import { makeFile } from './files.ts';
import { type Service, startService } from './service.ts';
import { BROWSERS, choose, open, problem, sent } from './steps.ts';

// Every page by axe, light and dark, wide and narrow, and nothing wider than a phone's screen. axe comes in through the
// debugger, which the pages' policy does not bind.

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

async function faults(page: Page): Promise<string[]> {
  if (!(await page.eval<boolean>('typeof axe === "object"'))) await page.eval(`(() => { ${axe}; return 1; })()`);
  const { violations } = await page.eval<{ violations: Violation[] }>(
    `axe.run(document, { resultTypes: ['violations'], iframes: false }).then((r) => ({ violations: r.violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })) })) }))`,
  );
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  return serious.flatMap(({ id, nodes }) => nodes.map((n) => `${id}: ${n.html} ${n.failureSummary}`));
}

const SIZES = [
  [1100, 800],
  [360, 740],
] as const;

let service: Service;
let path: string;
beforeAll(async () => {
  service = await startService();
  // A name without a place to break, as cameras and scripts make them.
  path = join(service.data, 'files', `${'a-very-long-name-'.repeat(9)}.bin`);
  mkdirSync(dirname(path));
  await makeFile(path, 5000);
});
afterAll(() => service?.stop());

describe.each(BROWSERS)('%s', (_, launch) => {
  describe.each([
    ['light', false],
    ['dark', true],
  ])('%s', (_, dark) => {
    let browser: Browser;
    let page: Page;
    let link: string;
    beforeAll(async () => {
      browser = await launch({ dark });
      page = await browser.newPage();
    });
    afterAll(() => browser?.close());

    async function look(): Promise<void> {
      for (const [width, height] of SIZES) {
        await page.viewport(width, height);
        expect(await faults(page), `${width} px`).toEqual([]);
        const wide = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
        expect(await page.eval<number>(wide), `${width} px: wider than the screen`).toBeLessThanOrEqual(0);
      }
    }

    it('shows the wanted colours', async () => {
      await page.goto(service.url);
      expect(await page.eval('matchMedia("(prefers-color-scheme: dark)").matches')).toBe(dark);
    });

    it('home', async () => {
      await until(page, `document.querySelector('[data-testid=limits]')`);
      await look();
    });

    it('chosen, and sent', async () => {
      await choose(page, service.url, [path, import.meta.filename], { password: 'correct horse' });
      await look();
      await press(page, 'Encrypt and get a link');
      link = await sent(page);
      await look();
      await press(page, 'Send link and key separately');
      await look();
      await press(page, 'Revoke this link');
      await until(page, 'document.querySelector("dialog[open]")');
      await look();
    });

    it('password, wrong password, opened', async () => {
      await open(page, link);
      await look();
      await page.eval(
        `(() => { const f = document.querySelector('input[type=password]'); f.value = 'wrong'; f.dispatchEvent(new Event('input', { bubbles: true })); })()`,
      );
      await press(page, 'Open');
      expect(await problem(page)).toBe('wrong-password');
      await look();
      await page.eval(
        `(() => { const f = document.querySelector('input[type=password]'); f.value = 'correct horse'; f.dispatchEvent(new Event('input', { bubbles: true })); })()`,
      );
      await press(page, 'Open');
      await until(page, `document.querySelector('[data-testid=opened]')`);
      await look();
    });

    it('problems, with and without a field for the key', async () => {
      await page.eval('sessionStorage.clear()');
      await open(page, link.split('#')[0] ?? '');
      expect(await problem(page)).toBe('no-key');
      await look();
      await open(page, `${service.url}/s/AAAAAAAAAAAAAAAAAAAAAA#short`);
      expect(await problem(page)).toBe('cut');
      await look();
    });
  });
});
