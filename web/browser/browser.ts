// One way to drive a real browser, whichever it is. Nothing here records network
// traffic: recorders keep request bodies, which slows uploads and bloats memory.

export interface Finished {
  readonly name: string;
  readonly state: 'completed' | 'canceled';
  readonly file: string;
}

export interface Page {
  /** What the page wrote to its console, and its uncaught errors. */
  readonly log: string[];
  /** Kinds of the dialogs that the browser opened; each was answered with yes. */
  readonly dialogs: string[];
  goto(url: string): Promise<void>;
  /** Evaluates an expression in the page, awaits it, and returns its JSON value. */
  eval<T>(expression: string): Promise<T>;
  /** Sets local files on an <input type="file">. */
  setFiles(selector: string, files: readonly string[]): Promise<void>;
  /** Presses and releases a key of the keyboard. */
  key(key: 'Tab' | 'Enter' | 'Escape'): Promise<void>;
  screenshot(): Promise<Buffer>;
  viewport(width: number, height: number): Promise<void>;
  /** Chromium only: as it does to pages in the background. */
  freeze?(): Promise<void>;
  close(): Promise<void>;
}

export interface Browser {
  readonly kind: 'chromium' | 'firefox' | 'webkit';
  readonly pid: number;
  readonly downloads: string;
  newPage(url?: string): Promise<Page>;
  /** Chromium only: as a person does in the browser's own list. */
  cancelDownload?(name: string): Promise<void>;
  waitDownload(name: string, timeoutMs?: number): Promise<Finished>;
  /** How the downloads under this name ended that began so far or begin within the grace; none may have begun. */
  settledDownloads(name: string, graceMs: number): Promise<string[]>;
  close(): Promise<void>;
}

export interface LaunchOptions {
  readonly dark?: boolean;
  /** A file in PEM form with an authority that the browser then knows. */
  readonly ca?: string;
  readonly args?: readonly string[];
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Waits until no state is "inProgress", and for a first one at most for the grace. Firefox does not say that a download
 * broke off: such a one is in progress for ever.
 */
export async function settle(states: () => string[], graceMs: number): Promise<void> {
  const grace = Date.now() + graceMs;
  while (states().length === 0 && Date.now() < grace) await pause(20);
  for (const end = Date.now() + 2000; Date.now() < end && states().includes('inProgress'); ) await pause(20);
}

/** Waits until an expression in the page is true. */
export async function until(page: Page, expression: string, timeoutMs = 30_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    if (await page.eval<boolean>(`Boolean(${expression})`)) return;
    if (Date.now() > end) {
      const text = await page.eval<string>('document.body.innerText');
      throw new Error(`not within ${timeoutMs} ms: ${expression}\n${text}\n${page.log.join('\n')}`);
    }
    await pause(50);
  }
}

/** Clicks the button whose text or label begins with the words. */
export async function press(page: Page, words: string): Promise<void> {
  const find = `[...document.querySelectorAll('button, summary')].find((b) => !b.disabled && [b.innerText.trim(), b.getAttribute('aria-label') ?? ''].some((t) => t.startsWith(${JSON.stringify(words)})))`;
  await until(page, find);
  await page.eval(`${find}.click()`);
}

/** Types into a field as an input event, the way frameworks notice. */
export async function fill(page: Page, selector: string, text: string): Promise<void> {
  const field = `document.querySelector(${JSON.stringify(selector)})`;
  await until(page, field);
  await page.eval(
    `(() => { const f = ${field}; f.value = ${JSON.stringify(text)}; f.dispatchEvent(new Event('input', { bubbles: true })); f.dispatchEvent(new Event('change', { bubbles: true })); })()`,
  );
}
