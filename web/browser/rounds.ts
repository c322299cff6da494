// Rounds of measurements: what is compared takes turns in one run, so that whatever the machine does beside it meets both.
import { appendFileSync } from 'node:fs';
import type { Browser, Page } from './browser.ts';
import { press } from './browser.ts';

/** Bytes of the measured file. */
export const MEASURED_BYTES = Number(process.env['HOLDFAST_MEASURE_BYTES'] ?? 2 ** 30);
/** Rounds that count; one more before them does not. */
const ROUNDS = Number(process.env['HOLDFAST_MEASURE_ROUNDS'] ?? 5);
const results = process.env['HOLDFAST_RESULTS'];

/** What is measured, by name: runs once and returns how many seconds that took. */
export type Subjects = Readonly<Record<string, () => Promise<number>>>;

/** One line of JSON for each subject and round goes to the file named by HOLDFAST_RESULTS. */
export async function alternate(
  row: string,
  browser: Browser,
  subjects: Subjects,
  bytes = MEASURED_BYTES,
): Promise<void> {
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [subject, run] of Object.entries(subjects)) {
      const seconds = await run();
      if (round > 0)
        note({ row, commit: process.env['HOLDFAST_COMMIT'], subject, browser: browser.kind, round, bytes, seconds });
    }
  }
}

function note(result: object): void {
  const line = JSON.stringify(result);
  process.stdout.write(`${line}\n`);
  if (results !== undefined) appendFileSync(results, `${line}\n`);
}

/**
 * Clicks the button that begins with the words; the seconds from the click until the page shows what the selector finds.
 * The page itself notices it: nothing asks it meanwhile.
 */
export async function secondsTo(page: Page, words: string, selector: string): Promise<number> {
  await page.eval(`void (window.shown = new Promise((resolve, reject) => {
    addEventListener('click', () => {
      const begin = performance.now();
      const watch = new MutationObserver(() => {
        const problem = document.querySelector('[data-problem]');
        if (problem) reject(new Error(problem.innerText));
        else if (document.querySelector(${JSON.stringify(selector)})) resolve((performance.now() - begin) / 1000);
        else return;
        watch.disconnect();
      });
      watch.observe(document.body, { subtree: true, childList: true, attributes: true });
    }, { capture: true, once: true });
  }))`);
  await press(page, words);
  return page.eval<number>('window.shown');
}
