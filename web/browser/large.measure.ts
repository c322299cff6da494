import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Browser, pause, press, until } from './browser.ts';
import { launchChromium } from './chromium.ts';
import { makeFile, sha256 } from './files.ts';
import { launchFirefox } from './firefox.ts';
import { idlePss, watchPss } from './memory.ts';
import { type Service, startService } from './service.ts';

// Row C3: memory of the whole browser above idle while a large file goes up and comes down. One line of JSON each
// goes to the file named by HOLDFAST_RESULTS. Bytes are pseudo-random, hashes compared.

const GiB = 2 ** 30;
const size = Number(process.env['HOLDFAST_MEASURE_BYTES'] ?? 5 * GiB);
const results = process.env['HOLDFAST_RESULTS'];
const bounds = { up: 300, down: 150 };

let work: string;
let path: string;
let hash: string;
beforeAll(async () => {
  work = mkdtempSync(join(process.env['HOLDFAST_MEASURE_DIR'] ?? tmpdir(), 'holdfast-large-'));
  path = join(work, 'large.bin');
  hash = await makeFile(path, size);
}, 600_000);
afterAll(() => rmSync(work, { recursive: true, force: true }));

interface Run {
  readonly direction: 'up' | 'down';
  readonly peakMiB: number;
  readonly seconds: number;
}

/** Runs something and reports how far memory rose above the idle level before it. */
async function measured(browser: Browser, direction: Run['direction'], run: () => Promise<void>): Promise<Run> {
  await pause(4000);
  const idle = await idlePss(browser.pid);
  const stop = watchPss(browser.pid);
  const begin = Date.now();
  await run();
  const seconds = (Date.now() - begin) / 1000;
  return { direction, peakMiB: Math.round(stop() - idle), seconds };
}

function note(browser: Browser, { direction, peakMiB, seconds }: Run): void {
  const line = JSON.stringify({
    row: 'C3',
    commit: process.env['HOLDFAST_COMMIT'],
    browser: browser.kind,
    direction,
    bytes: size,
    peakMiB,
    seconds,
    mbPerSecond: Math.round(size / 1e6 / seconds),
  });
  process.stdout.write(`${line}\n`);
  if (results !== undefined) appendFileSync(results, `${line}\n`);
}

it.each([
  ['chromium', launchChromium],
  ['firefox', launchFirefox],
])('%s', { timeout: 1_800_000 }, async (_, launch) => {
  const service: Service = await startService();
  try {
    let browser = await launch();
    let page = await browser.newPage(service.url);
    await until(page, `document.querySelector('[data-testid=limits]')`);
    const up = await measured(browser, 'up', async () => {
      await page.setFiles('[data-testid=files]', [path]);
      await press(page, 'Encrypt and get a link');
      await until(page, `document.querySelector('[data-testid=sent], [data-problem]')`, 900_000);
    });
    const link = await page.eval<string>(`document.querySelector('[data-testid=sent] input').value`);
    note(browser, up);
    await browser.close();
    // A new browser, as a receiver has: nothing of the upload is in its idle level.
    browser = await launch();
    page = await browser.newPage(link);
    await until(page, `document.querySelector('[data-testid=opened]')`);
    const down = await measured(browser, 'down', async () => {
      await press(page, 'Download');
      const done = await browser.waitDownload('large.bin', 900_000);
      expect(done.state).toBe('completed');
      await until(page, `document.querySelector('[data-testid=done]')`);
      expect(await sha256(done.file)).toBe(hash);
    });
    note(browser, down);
    await browser.close();
    expect(up.peakMiB).toBeLessThanOrEqual(bounds.up);
    expect(down.peakMiB).toBeLessThanOrEqual(bounds.down);
  } finally {
    await service.stop();
  }
});
