import { join } from 'node:path';
import { build, type Rolldown } from 'vite';
import { it } from 'vitest';
import { startBare } from './bare.ts';
import type { Page } from './browser.ts';
import { alternate, MEASURED_BYTES } from './rounds.ts';
import { BROWSERS } from './steps.ts';

// Row C6: what sealing costs beside AES-GCM itself: the engine's way from plaintext in memory to the body of a blob, without
// its name, against WebCrypto alone over the same buffers, with segments of the same size and as many at once.

const PAGE = `<!doctype html><meta charset="utf-8"><title>sealing</title>
<script>
const worker = new Worker('/sealing.js', { type: 'module' });
const run = (what, bytes) => new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => (typeof data === 'number' ? resolve(data) : reject(new Error(data)));
  worker.onerror = ({ message }) => reject(new Error(message));
  worker.postMessage({ what, bytes });
});
</script>
`;

/** The worker as one script. */
async function script(): Promise<string> {
  const built = (await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      target: 'es2023',
      rolldownOptions: { input: join(import.meta.dirname, 'sealing.page.ts'), output: { codeSplitting: false } },
    },
  })) as Rolldown.RolldownOutput;
  return built.output[0].code;
}

it.each(BROWSERS)('%s', { timeout: 1_800_000 }, async (_, launch) => {
  const bare = await startBare({ 'sealing.html': PAGE, 'sealing.js': await script() });
  const browser = await launch();
  try {
    const page: Page = await browser.newPage(`${bare.url}/sealing.html`);
    const run = (what: string) => (): Promise<number> => page.eval<number>(`run('${what}', ${MEASURED_BYTES})`);
    await alternate('C6', browser, { holdfast: run('sealed'), WebCrypto: run('encrypted') });
  } finally {
    await browser.close();
    await bare.stop();
  }
});
