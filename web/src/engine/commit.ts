import { type BlobEntry, type LinkSpec, MAX_PAGE, type Page, type RevisionEntry } from '../api/types.gen.ts';
import { call } from './calls.ts';
import { EngineError } from './types.ts';
import type { Upload } from './upload.ts';

// Pages and the last call that makes everything visible (docs/protocol.md, Upload 6 and 7).

/** What a page may weigh; the rest of MAX_PAGE is for the link and the frame around. */
const PAGE_BUDGET = MAX_PAGE - 256 * 1024;

type FullPage = Required<Page>;
const emptyPage = (): FullPage => ({ blobs: [], receipts: [], revisions: [] });

/** Deals entries into pages by their weight, in order. At least one page comes out. */
export function makePages(
  blobs: readonly { entry: BlobEntry; receipts: readonly string[] }[],
  revisions: readonly RevisionEntry[],
  budget = PAGE_BUDGET,
): FullPage[] {
  const pages = [emptyPage()];
  let weight = 0;
  const room = (cost: number): FullPage => {
    if (weight > 0 && weight + cost > budget) {
      pages.push(emptyPage());
      weight = 0;
    }
    weight += cost;
    return pages[pages.length - 1] as FullPage;
  };
  for (const { entry, receipts } of blobs) {
    const page = room(100 + receipts.reduce((n, r) => n + r.length + 3, 0));
    page.blobs.push(entry);
    page.receipts.push(...receipts);
  }
  for (const revision of revisions) room(420 + revision.extents.length * 32).revisions.push(revision);
  return pages;
}

const TRIES = 6;

/** Stages all pages but the last and commits. A lost answer is asked for again: the server knows the request. */
export async function commit(upload: Upload, pages: readonly FullPage[], link: LinkSpec): Promise<{ expires: number }> {
  const last = pages.length - 1;
  for (const [index, page] of pages.entries()) {
    if (index === last) break;
    const path = { upload: upload.id, page: String(index) };
    await retried(upload.access.signal, () => call('stagePage', page, { ...upload.access, path }));
  }
  const request = { pages: last, page: pages[last] ?? emptyPage(), link };
  return retried(upload.access.signal, () => call('commitUpload', request, upload.access));
}

async function retried<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      const again = error instanceof EngineError && error.code === 'unreachable' && attempt < TRIES && !signal.aborted;
      if (!again) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
    }
  }
}
