import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Browser, fill, type Page, press, until } from './browser.ts';
import { launchChromium } from './chromium.ts';
import { makeFile, sha256 } from './files.ts';
import { launchFirefox } from './firefox.ts';
import { holdfast, type Service, startService } from './service.ts';

// From a dropped file to the same bytes elsewhere, in both browsers, against the built program.

let service: Service;
let work: string;

beforeAll(async () => {
  service = await startService();
  work = mkdtempSync(join(tmpdir(), 'holdfast-journeys-'));
});
afterAll(async () => {
  await service?.stop();
  rmSync(work, { recursive: true, force: true });
});

interface SendOptions {
  readonly password?: string;
  readonly downloads?: number;
}

async function send(page: Page, files: readonly string[], options: SendOptions = {}): Promise<string> {
  await page.goto(service.url);
  await until(page, `document.querySelector('[data-testid=limits]')`);
  await page.setFiles('[data-testid=files]', files);
  if (options.password !== undefined) await fill(page, 'input[type=password]', options.password);
  if (options.downloads !== undefined) await fill(page, 'select[id$=downloads]', String(options.downloads));
  await press(page, 'Encrypt and get a link');
  await until(page, `document.querySelector('[data-testid=sent], [data-problem]')`, 90_000);
  expect(await page.eval('document.querySelector("[data-problem]")?.innerText ?? ""')).toBe('');
  return page.eval<string>(`document.querySelector('[data-testid=sent] input').value`);
}

async function open(page: Page, link: string): Promise<void> {
  await page.goto(link);
  await until(page, `document.querySelector('[data-testid=opened], [data-problem], [data-testid=ask-password]')`);
}

const problem = (page: Page): Promise<string | null> =>
  page.eval(`document.querySelector('[data-problem]')?.dataset.problem ?? null`);

async function seesProblem(page: Page, link: string, code: string): Promise<void> {
  await open(page, link);
  await until(page, `document.querySelector('[data-problem]')`);
  expect(await problem(page)).toBe(code);
}

describe.each([
  ['Chromium', launchChromium],
  ['Firefox', launchFirefox],
])('%s', (name, launch) => {
  let browser: Browser;
  let page: Page;
  const home = (): string => join(work, `${name}-home`);
  beforeAll(async () => {
    browser = await launch();
    page = await browser.newPage();
  });
  afterAll(() => browser?.close());

  async function received(file: string, start: string): Promise<string> {
    await press(page, start);
    const done = await browser.waitDownload(file);
    expect(done.state).toBe('completed');
    await until(page, `document.querySelector('[data-testid=done]')`);
    return done.file;
  }

  it('sends a file and receives the same bytes', async () => {
    const path = join(work, name, 'holiday film.bin');
    const want = await makeFile(path, 20_000_000);
    const link = await send(page, [path]);
    expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/s\/[\w-]{22}#[\w-]{51}$/);
    const places = await page.eval<string>(`document.querySelector('[data-testid=places]').innerText`);
    expect(places).toMatch(/^Stored in (Germany|New Zealand|Iceland) and (Germany|New Zealand|Iceland)$/);
    await open(page, link);
    expect(await page.eval('location.hash')).toBe('');
    expect(await page.eval('document.querySelector("h1").innerText')).toBe('holiday film.bin');
    expect(await sha256(await received('holiday film.bin', 'Download'))).toBe(want);
  });

  it('opens with the command line what the page sent, and the other way round', async () => {
    const path = join(work, name, 'both ways.bin');
    const want = await makeFile(path, 3_000_001);
    const link = await send(page, [path]);
    const out = join(work, name, 'from page.bin');
    await holdfast(home(), ['receive', link, '-o', out]);
    expect(await sha256(out)).toBe(want);
    const back = await holdfast(home(), ['send', '--server', service.url, path]);
    await open(page, back);
    expect(await sha256(await received('both ways.bin', 'Download'))).toBe(want);
  });

  it('receives many files as one ZIP', async () => {
    const dir = join(work, name, 'tree');
    const sizes: Record<string, number> = {
      'a.txt': 0,
      'b/c.bin': 5,
      'b/grüße 🙂.bin': 300_000,
      'd/large.bin': 9_000_000,
    };
    const want = new Map<string, string>();
    for (const [path, size] of Object.entries(sizes)) want.set(path, await makeFile(join(dir, path), size));
    mkdirSync(join(dir, 'empty'), { recursive: true });
    const link = await holdfast(home(), ['send', '--server', service.url, dir]);
    await open(page, link);
    expect(await page.eval(`document.body.innerText.includes('grüße 🙂.bin')`)).toBe(true);
    const title = await page.eval<string>('document.querySelector("h1").innerText');
    const zip = await received(`${title === '4 files' ? 'holdfast' : title}.zip`, 'Download all as ZIP');
    const into = join(work, name, 'unzipped');
    execFileSync('/usr/bin/python3', ['-m', 'zipfile', '-e', zip, into]);
    const root = title === '4 files' || !execFileSync('ls', [into]).includes('tree') ? into : join(into, 'tree');
    for (const [path, hash] of want) expect(await sha256(join(root, path)), path).toBe(hash);
  });

  it('sends several files as one link and receives one of them', async () => {
    const paths = ['one.bin', 'two.bin', 'three.bin'].map((f) => join(work, name, 'several', f));
    const hashes: string[] = [];
    for (const [i, path] of paths.entries()) hashes.push(await makeFile(path, 1000 * (i + 1)));
    const link = await send(page, paths);
    await open(page, link);
    await page.eval(`document.querySelector('[aria-label="Download two.bin"]').click()`);
    const done = await browser.waitDownload('two.bin');
    expect(done.state).toBe('completed');
    expect(await sha256(done.file)).toBe(hashes[1]);
  });

  it('asks for a password, refuses a wrong one, and opens with the right one', async () => {
    const path = join(work, name, 'secret.bin');
    const want = await makeFile(path, 1234);
    const link = await send(page, [path], { password: 'correct horse' });
    await open(page, link);
    expect(await page.eval(`Boolean(document.querySelector('[data-testid=ask-password]'))`)).toBe(true);
    await fill(page, 'input[type=password]', 'wrong');
    await press(page, 'Open');
    await until(page, `document.querySelector('[data-problem]')`);
    expect(await problem(page)).toBe('wrong-password');
    await fill(page, 'input[type=password]', 'correct horse');
    await press(page, 'Open');
    await until(page, `document.querySelector('[data-testid=opened]')`);
    expect(await sha256(await received('secret.bin', 'Download'))).toBe(want);
  });

  it('says of each broken link what is wrong with it', async () => {
    const path = join(work, name, 'small.bin');
    await makeFile(path, 100);
    const link = await holdfast(home(), ['send', '--server', service.url, path]);
    const [address = '', key = ''] = link.split('#');
    const flip = (s: string, i: number): string => s.slice(0, i) + (s[i] === 'A' ? 'B' : 'A') + s.slice(i + 1);
    await seesProblem(page, link.slice(0, -5), 'cut');
    await seesProblem(page, `${address}#${flip(key, 20)}`, 'checksum');
    await seesProblem(page, `${address}#${flip(key, 0)}`, 'unknown-link');
    await page.eval('sessionStorage.clear()');
    await seesProblem(page, address, 'no-key');
    await fill(page, 'input', `#${key}`);
    await press(page, 'Open');
    await until(page, `document.querySelector('[data-testid=opened]')`);
    const stranger = await holdfast(home(), ['send', '--server', service.url, path]);
    await seesProblem(page, `${address}#${stranger.split('#')[1]}`, 'checksum');
    await holdfast(home(), ['unsend', link]);
    await seesProblem(page, link, 'revoked');
    await seesProblem(page, `${service.url}/s/AAAAAAAAAAAAAAAAAAAAAA#${key}`, 'checksum');
  });

  it('counts downloads and says when they are used up', async () => {
    const path = join(work, name, 'once.bin');
    await makeFile(path, 2000);
    const link = await send(page, [path], { downloads: 1 });
    await open(page, link);
    await received('once.bin', 'Download');
    const other = await browser.newPage();
    await seesProblem(other, link, 'used-up');
    await other.close();
  });

  it('lists what it sent and revokes it', async () => {
    const path = join(work, name, 'revocable.bin');
    await makeFile(path, 2000);
    const link = await send(page, [path]);
    await press(page, 'Revoke this link');
    await until(page, `document.querySelector('dialog[open]')`);
    await page.eval(`[...document.querySelectorAll('dialog button')].find((b) => b.innerText === 'Revoke').click()`);
    await until(page, `document.body.innerText.includes('opens nothing any more')`);
    await seesProblem(page, link, 'revoked');
  });

  it('tells no error to the console', () => {
    expect(page.log.filter((line) => !/HTTP|status of 4|beforeunload|Failed to load resource/.test(line))).toEqual([]);
  });
});
