// WebKit over WebDriver: WebKitGTK's own small browser on a display that nobody sees.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { resolve as absolute, join } from 'node:path';
import { type Browser, type Page, pause, settle } from './browser.ts';

/** Debian's webkit2gtk-driver drives the browser that libwebkit2gtk-4.1-0 brings along. */
const BINARY = '/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser';
/** The name under which WebDriver hands out elements (W3C WebDriver §12.1). */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

type Call = <T>(method: string, path: string, body?: unknown) => Promise<T>;

/** Calls of one driver. An answer other than 200 is an error with a message. */
function caller(port: number): Call {
  return async <T>(method: string, path: string, body?: unknown) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const { value } = (await response.json()) as { value: T & { message?: string } };
    if (response.status !== 200) throw new Error(`${method} ${path}: ${value.message ?? response.status}`);
    return value;
  };
}

class WebKitPage implements Page {
  readonly log: string[] = [];
  readonly dialogs: string[] = [];
  readonly #call: Call;
  readonly #session: string;

  constructor(call: Call, session: string) {
    this.#call = call;
    this.#session = session;
  }

  async goto(url: string): Promise<void> {
    await this.#call('POST', `${this.#session}/url`, { url });
  }

  async eval<T>(expression: string): Promise<T> {
    const script = `const done = arguments[0];
      (async () => JSON.stringify(await (${expression})))().then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const answer = await this.#call<{ value?: string; error?: string }>('POST', `${this.#session}/execute/async`, {
      script,
      args: [],
    });
    if (answer.error !== undefined) throw new Error(answer.error);
    return (answer.value == null ? undefined : JSON.parse(answer.value)) as T;
  }

  async setFiles(selector: string, files: readonly string[]): Promise<void> {
    const found = await this.#call<Record<string, string>>('POST', `${this.#session}/element`, {
      using: 'css selector',
      value: selector,
    });
    const text = files.map((f) => absolute(f)).join('\n');
    await this.#call('POST', `${this.#session}/element/${found[ELEMENT]}/value`, { text });
  }

  async key(key: 'Tab' | 'Enter' | 'Escape'): Promise<void> {
    const value = { Tab: '\uE004', Enter: '\uE007', Escape: '\uE00C' }[key];
    const actions = [
      { type: 'keyDown', value },
      { type: 'keyUp', value },
    ];
    await this.#call('POST', `${this.#session}/actions`, { actions: [{ type: 'key', id: 'keyboard', actions }] });
  }

  async screenshot(): Promise<Buffer> {
    return Buffer.from(await this.#call<string>('GET', `${this.#session}/screenshot`), 'base64');
  }

  async viewport(width: number, height: number): Promise<void> {
    await this.#call('POST', `${this.#session}/window/rect`, { width, height });
  }

  async close(): Promise<void> {
    await this.#call('DELETE', `${this.#session}/window`);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** A display server, which names the display that it took. */
async function display(): Promise<{ child: ChildProcess; name: string }> {
  const child = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const number = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`Xvfb ended with ${code}`)));
    child.stdio[3]?.once('data', (chunk: Buffer) => resolve(String(chunk).trim()));
  });
  return { child, name: `:${number}` };
}

/** A home of its own, whose folder of downloads is known. */
function makeHome(): { home: string; downloads: string; env: Record<string, string> } {
  const home = mkdtempSync(join(tmpdir(), 'holdfast-webkit-'));
  const downloads = join(home, 'downloads');
  const config = join(home, 'config');
  for (const dir of [downloads, config]) mkdirSync(dir);
  writeFileSync(join(config, 'user-dirs.dirs'), `XDG_DOWNLOAD_DIR="${downloads}"\n`);
  const env = {
    HOME: home,
    XDG_CONFIG_HOME: config,
    XDG_CACHE_HOME: join(home, 'cache'),
    XDG_DATA_HOME: join(home, 'data'),
    XDG_RUNTIME_DIR: home,
    LIBGL_ALWAYS_SOFTWARE: '1',
    MESA_SHADER_CACHE_DISABLE: 'true',
    NO_AT_BRIDGE: '1',
  };
  return { home, downloads, env };
}

/** A download under way has this ending until it is whole. */
const PARTIAL = '.wkdownload';

function states(downloads: string, name: string): string[] {
  if (existsSync(join(downloads, name + PARTIAL))) return ['inProgress'];
  return existsSync(join(downloads, name)) ? ['completed'] : [];
}

async function openSession(call: Call): Promise<string> {
  const alwaysMatch = { 'webkitgtk:browserOptions': { binary: BINARY, args: ['--automation'] } };
  for (const end = Date.now() + 30_000; ; await pause(100)) {
    try {
      const { sessionId } = await call<{ sessionId: string }>('POST', '/session', { capabilities: { alwaysMatch } });
      await call('POST', `/session/${sessionId}/timeouts`, { script: 120_000 });
      return `/session/${sessionId}`;
    } catch (error) {
      if (!(error instanceof TypeError) || Date.now() > end) throw error; // TypeError: it does not listen yet
    }
  }
}

export async function launchWebKit(): Promise<Browser> {
  const { home, downloads, env } = makeHome();
  const screen = await display();
  const port = await freePort();
  const driver = spawn('WebKitWebDriver', [`--port=${port}`, '--host=127.0.0.1'], {
    stdio: 'ignore',
    env: { ...process.env, ...env, DISPLAY: screen.name },
  });
  const call = caller(port);
  const session = await openSession(call);
  return {
    kind: 'webkit',
    pid: driver.pid as number,
    downloads,
    newPage: async (url) => {
      const page = new WebKitPage(call, session);
      if (url !== undefined) await page.goto(url);
      return page;
    },
    async settledDownloads(name, graceMs) {
      await settle(() => states(downloads, name), graceMs);
      return states(downloads, name);
    },
    async waitDownload(name, timeoutMs = 60_000) {
      for (const end = Date.now() + timeoutMs; Date.now() < end; await pause(100))
        if (states(downloads, name)[0] === 'completed')
          return { name, state: 'completed', file: join(downloads, name) };
      throw new Error(`no download of ${name}, but ${readdirSync(downloads)}`);
    },
    async close() {
      await call('DELETE', session);
      for (const child of [driver, screen.child]) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill();
        await ended;
      }
      // Its helpers end a little later than it does, and write until then.
      rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}
