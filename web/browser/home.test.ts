import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Browser, fill, type Page, pause, press, until } from './browser.ts';
import type { ChromiumPage } from './chromium.ts';
import { makeFile, sha256 } from './files.ts';
import { Fleet } from './fleet.ts';
import { BROWSERS, choose, open, problem, received, seesProblem, send, sent } from './steps.ts';

// The home page as people use it: ways in, what is told on the way, and ways out.

let fleet: Fleet;
let small: string;
let large: string;
beforeAll(async () => {
  fleet = await Fleet.start();
  small = join(fleet.dir, 'files', 'small.bin');
  large = join(fleet.dir, 'files', 'large.bin');
  await makeFile(small, 5000);
  await makeFile(large, 60_000_000);
});
afterAll(() => fleet?.stop());

const chosen = `[...document.querySelectorAll('main li .name')].map((n) => n.innerText)`;

describe.each(BROWSERS)('%s', (name, launch) => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    page = await browser.newPage();
    await page.goto(fleet.url);
    await until(page, `document.querySelector('[data-testid=limits]')`);
  });
  afterEach(async () => {
    await page.close();
    fleet.honest();
  });

  /** An event with files that a script made; what the listeners get is the same. */
  const event = (type: string, files: string): Promise<unknown> =>
    page.eval(`(() => {
      const data = new DataTransfer();
      for (const [name, text] of ${files}) data.items.add(new File([text], name));
      const options = { bubbles: true, cancelable: true };
      const event = ${JSON.stringify(type)} === 'paste'
        ? Object.assign(new Event('paste', options), { clipboardData: data })
        : new DragEvent(${JSON.stringify(type)}, { ...options, dataTransfer: data });
      return !document.body.dispatchEvent(event);
    })()`);

  it('takes files that are dropped and pasted, and keeps two of one name', async () => {
    await event('dragenter', `[['a.txt', 'one']]`);
    await until(page, `document.body.innerText.includes('Let go to add')`);
    expect(await event('drop', `[['a.txt', 'one'], ['b.txt', 'two']]`)).toBe(true);
    await until(page, `${chosen}.length === 2`);
    await event('paste', `[['a.txt', 'another']]`);
    await until(page, `${chosen}.length === 3`);
    expect(await page.eval(chosen)).toEqual(['a.txt', 'b.txt', 'a (2).txt']);
    expect(await page.eval('document.body.innerText')).toContain('both are kept: a (2).txt');
    await press(page, 'Encrypt and get a link');
    const link = await sent(page);
    await open(page, link);
    const text = await page.eval<string>('document.body.innerText');
    for (const file of ['a.txt', 'b.txt', 'a (2).txt']) expect(text).toContain(file);
  });

  it('a drop that misses does not take the page away', async () => {
    const link = await send(page, fleet.url, [small]);
    expect(await event('dragover', `[['a.txt', 'one']]`), 'the browser would open it').toBe(true);
    expect(await event('drop', `[['a.txt', 'one']]`)).toBe(true);
    expect(await page.eval(`document.querySelector('[data-testid=sent] input').value`)).toBe(link);
  });

  it('copies the link, tells so, and its code scans', async () => {
    const link = await send(page, fleet.url, [small]);
    await page.eval(`navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }`);
    await press(page, 'Copy link');
    await until(page, `window.copied !== undefined`);
    expect(await page.eval('window.copied')).toBe(link);
    expect(await page.eval(`[...document.querySelectorAll('[role=status]')].map((s) => s.innerText)`)).toContain(
      'Copied',
    );
    await page.eval(`document.querySelector('svg[role=img]').scrollIntoView()`);
    const picture = join(fleet.dir, `${name}.png`);
    writeFileSync(picture, await page.screenshot());
    expect(execFileSync('zbarimg', ['--quiet', '--raw', picture], { encoding: 'utf8' }).trim()).toBe(link);
  });

  it('shows the stages, speed and time while it sends', async () => {
    fleet.node('DE').bytesPerSecond = fleet.node('NZ').bytesPerSecond = fleet.node('IS').bytesPerSecond = 30_000_000;
    await choose(page, fleet.url, [large]);
    await page.eval(`(() => { window.seen = new Set(); new MutationObserver(() => {
      const main = document.querySelector('main'); if (!main) return;
      for (const line of main.innerText.split('\\n')) window.seen.add(line.trim());
    }).observe(document.body, { subtree: true, childList: true, characterData: true }); })()`);
    await press(page, 'Encrypt and get a link');
    await sent(page);
    const seen = (await page.eval<string[]>('[...window.seen]')).join('\n');
    expect(seen).toMatch(/^Encrypting on your device$|^Sending$/m);
    for (const row of ['Encrypted', 'Sent', 'Stored 1 of 2', 'Stored 2 of 2']) expect(seen).toContain(row);
    expect(seen).toMatch(/\d (k|M)B\/s/);
    expect(seen).toMatch(/left/);
    const told = [...seen.matchAll(/^([\d.,]+ \w+) of /gm)].map((m) => m[1]);
    expect(new Set(told).size, `bytes are told as they move: ${seen}`).toBeGreaterThan(3);
  });

  it('cancels a send: the files are still chosen, and the nodes keep nothing', async () => {
    for (const country of ['DE', 'NZ', 'IS'] as const) fleet.node(country).bytesPerSecond = 5_000_000;
    await choose(page, fleet.url, [large]);
    const before = blobFiles();
    await press(page, 'Encrypt and get a link');
    await until(page, `[...document.querySelectorAll('dd')].some((d) => parseFloat(d.innerText) > 1)`);
    await press(page, 'Cancel');
    await until(page, `document.querySelector('main form')`);
    expect(await page.eval(chosen)).toEqual(['large.bin']);
    for (const end = Date.now() + 20_000; blobFiles() > before && Date.now() < end; ) await pause(100);
    expect(blobFiles()).toBe(before);
  });

  it('revokes later what this browser sent', async () => {
    const path = join(fleet.dir, 'files', `${name}-later.bin`);
    await makeFile(path, 100);
    const link = await send(page, fleet.url, [path]);
    await page.goto(fleet.url);
    const row = `[...document.querySelectorAll('section[aria-labelledby=my-sends] li')].find((r) => r.innerText.includes('later.bin'))`;
    await until(page, row);
    await page.eval(`${row}.querySelector('button').click()`);
    await until(page, `document.querySelector('dialog[open]')`);
    await page.eval(`[...document.querySelectorAll('dialog button')].find((b) => b.innerText === 'Revoke').click()`);
    await until(page, `document.body.innerText.includes('opens nothing any more')`);
    await seesProblem(page, link, 'revoked');
  });

  it('says before byte 1 what cannot be sent', async () => {
    await choose(page, fleet.url, [small], { password: 'family \u{1F468}\u200D\u{1F469}\u200D\u{1F467}' });
    await press(page, 'Encrypt and get a link');
    expect(await problem(page)).toBe('password-unusable');
    await press(page, 'Back to my files');
    await page.setFiles('[data-testid=files]', [large]);
    await fill(page, 'input[id$=title]', 'July 7/8');
    await press(page, 'Encrypt and get a link');
    expect(await problem(page)).toBe('bad-name');
    expect(await page.eval('document.body.innerText')).toContain('July 7/8');
  });

  it('is used with the keyboard alone', async () => {
    await page.setFiles('[data-testid=files]', [small]);
    await until(page, `${chosen}.length === 1`);
    await tabTo(page, 'Encrypt and get a link');
    await page.key('Enter');
    const link = await sent(page);
    expect(await page.eval('document.activeElement.tagName'), 'the reader is taken to what is new').toBe('H1');
    await tabTo(page, 'Revoke this link');
    await page.key('Enter');
    await until(page, `document.querySelector('dialog[open]')`);
    await page.key('Escape');
    await until(page, `!document.querySelector('dialog[open]')`);
    await open(page, link);
    await tabTo(page, 'Download');
    const gone = browser.waitDownload('small.bin');
    await page.key('Enter');
    expect(await sha256((await gone).file)).toBe(await sha256(small));
  });

  it('takes what is left when a link cannot be remembered', async () => {
    await page.eval(`(() => { indexedDB.open = () => { throw new DOMException('no', 'SecurityError'); }; })()`);
    await page.setFiles('[data-testid=files]', [small]);
    await press(page, 'Encrypt and get a link');
    const link = await sent(page);
    await until(page, `document.body.innerText.includes('keeps no data')`);
    await open(page, link);
    await received(browser, page, 'small.bin');
  });
});

/** Files that nodes hold for uploads, trash left out. */
function blobFiles(): number {
  let sum = 0;
  for (const country of ['DE', 'NZ', 'IS']) {
    const found = readdirSync(join(fleet.dir, `node-${country}`), {
      recursive: true,
      encoding: 'utf8',
      withFileTypes: true,
    });
    sum += found.filter((f) => f.isFile() && f.parentPath.includes('/store/blobs')).length;
  }
  return sum;
}

/** Walks with Tab until a button with these words has the focus. */
async function tabTo(page: Page, words: string): Promise<void> {
  for (let i = 0; i < 40; i++) {
    if (
      await page.eval<boolean>(
        `document.activeElement?.innerText?.trim().startsWith(${JSON.stringify(words)}) ?? false`,
      )
    )
      return;
    await page.key('Tab');
  }
  throw new Error(`Tab does not lead to ${words}`);
}

describe('Chromium alone can be given real drops and dialogs', () => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await (BROWSERS[0][1] as () => Promise<Browser>)();
    page = await browser.newPage();
  });
  afterAll(() => browser?.close());
  afterEach(() => fleet.honest());

  it('takes a folder that is dropped, empty ones in it included', async () => {
    const dir = join(fleet.dir, 'files', 'tree');
    await makeFile(join(dir, 'a', 'deep.bin'), 3000);
    await makeFile(join(dir, 'top.bin'), 10);
    mkdirSync(join(dir, 'empty'));
    await page.goto(fleet.url);
    await until(page, `document.querySelector('[data-testid=limits]')`);
    await (page as ChromiumPage).drop([dir]);
    await until(page, `${chosen}.length === 3`);
    expect((await page.eval<string[]>(chosen)).sort()).toEqual(['tree/a/deep.bin', 'tree/empty', 'tree/top.bin']);
    await press(page, 'Encrypt and get a link');
    await open(page, await sent(page));
    const zip = await received(browser, page, 'tree.zip', 'Download all as ZIP');
    const listed = execFileSync('/usr/bin/python3', ['-m', 'zipfile', '-l', zip], { encoding: 'utf8' });
    for (const path of ['tree/a/deep.bin', 'tree/empty/', 'tree/top.bin']) expect(listed).toContain(path);
  });

  it('warns before a send, or a link that was not copied, is lost', async () => {
    for (const country of ['DE', 'NZ', 'IS'] as const) fleet.node(country).bytesPerSecond = 5_000_000;
    await choose(page, fleet.url, [large]);
    page.dialogs.length = 0;
    await press(page, 'Encrypt and get a link');
    await until(page, `document.querySelector('[role=progressbar]')`);
    await page.goto('about:blank');
    expect(page.dialogs).toEqual(['beforeunload']);
    fleet.honest();
    await send(page, fleet.url, [small]);
    await page.goto('about:blank');
    expect(page.dialogs).toEqual(['beforeunload', 'beforeunload']);
    await send(page, fleet.url, [small]);
    await page.eval(`navigator.clipboard.writeText = () => Promise.resolve()`);
    await press(page, 'Copy link');
    await until(page, `document.body.innerText.includes('Copied')`);
    await page.goto('about:blank');
    expect(page.dialogs).toHaveLength(2);
  });
});
