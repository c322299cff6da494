import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { displayName, planPaths, safeName } from '../src/format/names.ts';
import type { Browser, Page } from './browser.ts';
import { Fleet } from './fleet.ts';
import { BROWSERS, open, received } from './steps.ts';

// Row 20: names and contents that want to be a script, a page, another file or another direction of text. Whoever runs
// sets a mark or reports to the console; nobody does.

const RUN = 'window.top.__ran=1;console.error("RAN")';
const html = `<!doctype html><script>${RUN}</script><img src=x onerror='${RUN}'>`;
const svg = `<svg xmlns="http://www.w3.org/2000/svg" onload='${RUN}'><script>${RUN}</script></svg>`;

const scripts = [
  `<script>${RUN}<\u2215script>`,
  '<img src=x onerror=top.__ran=1>',
  '"><svg onload=top.__ran=1>',
  "' onmouseover='top.__ran=1' x='",
  '<svg><animate onbegin=top.__ran=1 attributeName=x>',
  '<iframe srcdoc="<script>top.__ran=1">',
  '<details open ontoggle=top.__ran=1>',
  '<style>@import "x"',
  '<base href="javascript:top.__ran=1;">',
  '<a href="javascript:top.__ran=1">x',
  'javascript:top.__ran=1',
  'data:text,html;base64,PHNjcmlwdD4=',
  '{{constructor.constructor("top.__ran=1")()}}',
  `\${top.__ran=1}`,
  '{@html "<img src=x onerror=top.__ran=1>"}',
  '&lt;script&gt;top.__ran=1',
  '%3Cscript%3Etop.__ran=1',
  '<!--<script>top.__ran=1-->',
  ']]><script>top.__ran=1',
  '<math><mtext><script>top.__ran=1',
  '<noscript><p title="<img src=x onerror=top.__ran=1>">',
  '<template><script>top.__ran=1',
  '<meta http-equiv=refresh content="0;url=x">',
  '<form action=x><input autofocus onfocus=top.__ran=1>',
];
const tricks = [
  'invoice\u202Efdp.exe',
  '\u202Eevil\u202C.txt',
  '\u2066isolate\u2069.txt',
  '\u200Fright.txt',
  'שלום.txt',
  'مرحبا.pdf',
  '👩‍👩‍👧‍👦 family.jpg',
  'zero\u200Bwidth.txt',
  '\uFEFFbom.txt',
  'line\nbreak.txt',
  'return\rname.txt',
  'tab\tname.txt',
  'bell\x07.txt',
  'escape\x1B[31m.txt',
  'delete\x7F.txt',
  'para\u2029graph.txt',
  'nul\\0.txt',
  'back\\slash.txt',
  '..\\..\\windows.ini',
  '...',
  '.hidden',
  '-rf',
  '~root',
  'CON',
  'nul.txt',
  'COM1.log',
  'PROGRA~1.TXT',
  'trailing.',
  'trailing ',
  ' leading',
  'quote".txt',
  "apostrophe'.txt",
  'semi;colon.txt',
  'a:stream.txt',
  'star*?.txt',
  'pipe|x.txt',
  'percent%00.txt',
  'percent%2e%2e%2fup.txt',
  'filename="x".txt',
  "utf-8''x.txt",
  'caf\u00E9.txt',
  'e\u0301clair.txt',
  'ſtrange İ.txt',
  `${'long'.repeat(62)}.txt`,
  'desktop.ini',
  'autorun.inf',
  'shortcut.lnk',
];
const contents: Record<string, string> = {
  'page.html': html,
  'picture.svg': svg,
  'page.xhtml': `<html xmlns="http://www.w3.org/1999/xhtml"><script>${RUN}</script></html>`,
  'page.mhtml': `MIME-Version: 1.0\nContent-Type: text/html\n\n${html}`,
  'app.js': RUN,
  'sw.js': `self.addEventListener("fetch", () => {});${RUN}`,
  'style.css': '@import "javascript:top.__ran=1"; body { display: none }',
  'feed.xml': `<?xml-stylesheet href="x"?><x:script xmlns:x="http://www.w3.org/1999/xhtml">${RUN}</x:script>`,
  'paper.pdf': `%PDF-1.4\n1 0 obj<</OpenAction<</S/JavaScript/JS(${RUN})>>>>endobj\n${html}`,
  'gif-polyglot.gif': `GIF89a/*${html}*/=1;${RUN}`,
  'app.webmanifest': '{"start_url":"javascript:top.__ran=1"}',
  'program.hta': html,
};

let fleet: Fleet;
let link: string;
let names: string[];
beforeAll(async () => {
  fleet = await Fleet.start();
  const dir = join(fleet.dir, 'corpus');
  mkdirSync(dir);
  for (const name of [...scripts, ...tricks]) writeFileSync(join(dir, name.replaceAll('/', '\u2215')), html);
  for (const [name, content] of Object.entries(contents)) writeFileSync(join(dir, name), content);
  names = readdirSync(dir);
  link = await fleet.send(names.map((name) => join(dir, name)));
});
afterAll(() => fleet?.stop());

/** The files of a ZIP by its own central directory, names as the bytes say. */
function entriesOf(zip: string): string[] {
  const script =
    'import json, sys, zipfile\nprint(json.dumps([i.orig_filename for i in zipfile.ZipFile(sys.argv[1]).infolist()]))';
  return JSON.parse(String(execFileSync('/usr/bin/python3', ['-c', script, zip]))) as string[];
}

describe.each(BROWSERS)('%s', (_, launch) => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await launch();
    page = await browser.newPage();
  });
  afterAll(() => browser?.close());

  async function nothingRan(): Promise<void> {
    expect(await page.eval('typeof window.__ran')).toBe('undefined');
    expect(page.log.filter((line) => /RAN|Content.Security.Policy|uncaught/i.test(line))).toEqual([]);
    expect(await page.eval('location.origin')).toBe(fleet.url);
  }

  it('T20: shows every name as text and runs none', async () => {
    expect(names.length).toBeGreaterThanOrEqual(60);
    await open(page, link);
    const shown = await page.eval<string[]>(
      `[...document.querySelectorAll('ul[aria-label=Files] bdi')].map((n) => n.textContent)`,
    );
    expect(shown.toSorted()).toEqual(names.map(displayName).toSorted());
    expect(await page.eval(`document.querySelectorAll('ul[aria-label=Files] bdi *').length`)).toBe(0);
    // Nothing that turns or hides text is left in what is shown.
    expect(shown.filter((n) => /[\p{Cc}\p{Bidi_Control}]/u.test(n))).toEqual([]);
    const foreign = 'iframe, object, embed, base, form[action], meta[http-equiv=refresh], img, a[href^="javascript:"]';
    expect(await page.eval(`document.querySelectorAll('#app :is(${foreign})').length`)).toBe(0);
    await nothingRan();
  });

  it('T20: saves each kind as a file, under a name that is one everywhere', async () => {
    for (const name of [
      'page.html',
      'picture.svg',
      'invoice\u202Efdp.exe',
      'filename="x".txt',
      '<img src=x onerror=top.__ran=1>',
    ]) {
      const index = await page.eval<number>(
        `[...document.querySelectorAll('ul[aria-label=Files] li')].findIndex((li) => li.querySelector('bdi').textContent === ${JSON.stringify(displayName(name))})`,
      );
      await page.eval(`document.querySelectorAll('ul[aria-label=Files] li')[${index}].querySelector('button').click()`);
      const done = await browser.waitDownload(safeName(name));
      expect(done.state).toBe('completed');
      expect(String(readFileSync(done.file))).toBe(contents[name] ?? html);
      await nothingRan();
    }
  });

  it('T20: a ZIP holds safe names only, and every file', async () => {
    const title = await page.eval<string>('document.querySelector("h1").innerText');
    const name = /^\d+ files$/.test(title) ? 'holdfast.zip' : `${title}.zip`;
    const zip = await received(browser, page, name, 'Download all as ZIP');
    const entries = entriesOf(zip);
    expect(entries).toHaveLength(names.length);
    expect(new Set(entries.map((e) => e.normalize('NFC').toLowerCase())).size).toBe(names.length);
    for (const entry of entries) expect(entry.split('/').map(safeName).join('/'), entry).toBe(entry);
    expect(planPaths(names.map((path) => ({ path, folder: false }))).length).toBe(entries.length);
    await nothingRan();
  });

  it('T20: a download’s address shows nothing of its own', async () => {
    const version = await (await fetch(`${fleet.url}/sw/version`)).text();
    const address = `/sw/${version}/download/AAAAAAAAAAAAAAAAAAAAAA`;
    const answer = await page.eval<string>(
      `(async () => { const f = document.createElement('iframe'); f.src = '${address}'; document.body.append(f); await new Promise((r) => (f.onload = r)); try { return f.contentDocument?.body?.innerText ?? 'closed'; } finally { f.remove(); } })()`,
    );
    expect(answer).toMatch(/^(This download is over\.|closed|)$/);
    await page.goto(`${fleet.url}${address}`);
    expect(await page.eval<string>('document.documentElement.innerText')).not.toMatch(/script|RAN/);
    expect(await page.eval('document.querySelectorAll("script").length')).toBe(0);
  });
});
