import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, it } from 'vitest';
import { type Browser, type Page, press, until } from './browser.ts';
import { launchChromium } from './chromium.ts';
import { makeFile } from './files.ts';
import { type Service, startService } from './service.ts';

// The README's pictures, taken of the running product: `go run ./dev pictures`.

const out = join(import.meta.dirname, '..', '..', 'docs', 'pictures');
let service: Service;
let work: string;
beforeAll(async () => {
  mkdirSync(out, { recursive: true });
  service = await startService();
  work = mkdtempSync(join(tmpdir(), 'holdfast-pictures-'));
}, 60_000);
afterAll(async () => {
  await service?.stop();
  rmSync(work, { recursive: true, force: true });
});

async function shoot(page: Page, name: string): Promise<void> {
  writeFileSync(join(out, `${name}.png`), await page.screenshot());
}

async function sendAndOpen(browser: Browser, suffix: string, width: number, height: number): Promise<void> {
  const page = await browser.newPage();
  await page.viewport(width, height);
  await page.goto(service.url);
  await until(page, `document.querySelector('[data-testid=limits]')`);
  await shoot(page, `home-${suffix}`);
  const files = ['Alps, first day.jpg', 'Alps, second day.jpg', 'Route.pdf', 'Summit.mp4'].map((f) => join(work, f));
  for (const [i, file] of files.entries()) await makeFile(file, 700_000 * (i * i + 1));
  await page.setFiles('[data-testid=files]', files);
  await press(page, 'Encrypt and get a link');
  await until(page, `document.querySelector('[data-testid=sent]')`);
  await shoot(page, `sent-${suffix}`);
  const link = await page.eval<string>(`document.querySelector('[data-testid=sent] input').value`);
  await page.goto('about:blank');
  await page.goto(link);
  await until(page, `document.querySelector('[data-testid=opened]')`);
  await shoot(page, `opened-${suffix}`);
  await page.close();
}

it.each([
  ['light', false, 1100, 720],
  ['dark', true, 1100, 720],
  ['phone', false, 360, 740],
])('%s', { timeout: 120_000 }, async (name, dark, width, height) => {
  const browser = await launchChromium({ dark });
  try {
    await sendAndOpen(browser, name, width, height);
  } finally {
    await browser.close();
  }
});
