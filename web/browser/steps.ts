// What people do on the pages, step by step.
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Browser, fill, type Page, press, until } from './browser.ts';
import { launchChromium } from './chromium.ts';
import { sha256 } from './files.ts';
import { launchFirefox } from './firefox.ts';

export const BROWSERS = [
  ['Chromium', launchChromium],
  ['Firefox', launchFirefox],
] as const;

/** Opens a link as a click in another program does: from an empty page, so that everything is loaded. */
export async function open(page: Page, link: string): Promise<void> {
  await page.goto('about:blank');
  await page.goto(link);
  await until(page, `document.querySelector('[data-testid=opened], [data-problem], [data-testid=ask-password]')`);
}

/** The code of the problem that the page shows. */
export async function problem(page: Page, timeoutMs = 30_000): Promise<string> {
  await until(page, `document.querySelector('[data-problem]')`, timeoutMs);
  return page.eval<string>(`document.querySelector('[data-problem]').dataset.problem`);
}

export async function seesProblem(page: Page, link: string, code: string): Promise<void> {
  await open(page, link);
  expect(await problem(page)).toBe(code);
}

export interface Choice {
  readonly password?: string;
  readonly downloads?: number;
}

export async function choose(page: Page, home: string, files: readonly string[], options: Choice = {}): Promise<void> {
  await page.goto('about:blank');
  await page.goto(home);
  await until(page, `document.querySelector('[data-testid=limits]')`);
  await page.setFiles('[data-testid=files]', files);
  if (options.password !== undefined) await fill(page, 'input[type=password]', options.password);
  if (options.downloads !== undefined) await fill(page, 'select[id$=downloads]', String(options.downloads));
}

export async function sent(page: Page, timeoutMs = 90_000): Promise<string> {
  await until(page, `document.querySelector('[data-testid=sent], [data-problem]')`, timeoutMs);
  expect(await page.eval('document.querySelector("[data-problem]")?.innerText ?? ""')).toBe('');
  return page.eval<string>(`document.querySelector('[data-testid=sent] input').value`);
}

export async function send(page: Page, home: string, files: readonly string[], options: Choice = {}): Promise<string> {
  await choose(page, home, files, options);
  await press(page, 'Encrypt and get a link');
  return sent(page);
}

/** Earlier files of the same name would have later ones renamed. */
export function clear(browser: Browser): void {
  for (const file of readdirSync(browser.downloads)) rmSync(join(browser.downloads, file), { recursive: true });
}

/** Downloads, and returns the path of a file that browser and page both call complete. */
export async function received(browser: Browser, page: Page, file: string, start = 'Download'): Promise<string> {
  clear(browser);
  await press(page, start);
  const done = await browser.waitDownload(file);
  expect(done.state).toBe('completed');
  await until(page, `document.querySelector('[data-testid=done]')`);
  return done.file;
}

/** Downloads what must fail: the page names the problem, and the browser has no complete file. */
export async function refused(
  browser: Browser,
  page: Page,
  name: string,
  want: string,
  start = 'Download',
): Promise<string> {
  clear(browser);
  await press(page, start);
  await until(page, `document.querySelector('[data-problem], [data-testid=done]')`);
  const code = await page.eval<string>(`document.querySelector('[data-problem]')?.dataset.problem ?? 'done'`);
  const states = await browser.settledDownloads(name, 300);
  expect(states).not.toContain('completed');
  if (browser.kind === 'chromium') expect(states).not.toContain('inProgress');
  for (const file of readdirSync(browser.downloads)) {
    const path = join(browser.downloads, file);
    if (statSync(path).isFile()) expect(await sha256(path), `${file} is complete`).not.toBe(want);
  }
  return code;
}
