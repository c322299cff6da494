// From drops, pickers and pastes to a list of items with paths. Folders are
// walked; empty ones are kept.
import { totalLength } from '../../engine/plan.ts';
import type { SendItem } from '../../engine/types.ts';

/** What came out of a drop or a paste, and the paths of what the browser could not read. */
export interface Collected {
  readonly items: SendItem[];
  readonly unreadable: string[];
}

export function fromPicker(files: FileList): SendItem[] {
  return Array.from(files, (file) => ({
    path: file.webkitRelativePath === '' ? file.name : file.webkitRelativePath,
    file,
  }));
}

/** Reads a drop or a paste. The browser empties the list after the event, so entries are taken at once. */
export async function fromTransfer(transfer: DataTransfer): Promise<Collected> {
  const entries: FileSystemEntry[] = [];
  const found: Collected = { items: [], unreadable: [] };
  for (const item of Array.from(transfer.items)) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry();
    if (entry) entries.push(entry);
    else {
      const file = item.getAsFile();
      if (file) found.items.push({ path: file.name, file });
    }
  }
  for (const entry of entries) await walk(entry, entry.name, found);
  return found;
}

async function walk(entry: FileSystemEntry, path: string, found: Collected): Promise<void> {
  try {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      found.items.push({ path, file });
      return;
    }
    const inside = await children(entry as FileSystemDirectoryEntry);
    if (inside.length === 0) found.items.push({ path, dir: true });
    for (const child of inside) await walk(child, `${path}/${child.name}`, found);
  } catch {
    found.unreadable.push(path); // named to the person; the rest is taken
  }
}

/** readEntries gives at most 100 at a time and says with an empty list that there are no more. */
async function children(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

export interface Merged {
  readonly items: SendItem[];
  /** The new paths of items that could not keep theirs. */
  readonly renamed: string[];
}

/** Adds items. Another file of the same path is kept beside the first under another name; the same one again is not. */
export function merge(before: readonly SendItem[], added: readonly SendItem[]): Merged {
  const byPath = new Map(before.map((item) => [item.path, item]));
  const renamed: string[] = [];
  for (const item of added) {
    const there = byPath.get(item.path);
    if (!there || isSame(there, item)) {
      byPath.set(item.path, item);
      continue;
    }
    if (!('file' in item)) continue; // an empty folder where something is
    const path = freePath(item.path, byPath);
    byPath.set(path, { path, file: item.file });
    renamed.push(path);
  }
  return { items: [...byPath.values()], renamed };
}

function isSame(a: SendItem, b: SendItem): boolean {
  if (!('file' in a && 'file' in b)) return 'dir' in a && 'dir' in b;
  return a.file.size === b.file.size && a.file.lastModified === b.file.lastModified;
}

/** "a/report (2).pdf" for "a/report.pdf". */
function freePath(path: string, taken: ReadonlyMap<string, SendItem>): string {
  const slash = path.lastIndexOf('/') + 1;
  const dot = path.lastIndexOf('.');
  const end = dot > slash ? dot : path.length; // a name that begins with its only dot has no ending
  for (let n = 2; ; n++) {
    const candidate = `${path.slice(0, end)} (${n})${path.slice(end)}`;
    if (!taken.has(candidate)) return candidate;
  }
}

export function totalSize(items: readonly SendItem[]): number {
  return items.reduce((sum, item) => sum + ('file' in item ? item.file.size : 0), 0);
}

/** What the service has to take: padded and sealed. The list of files, which a link to several has beside, is small. */
export function sealedSize(items: readonly SendItem[]): number {
  return totalLength(items.flatMap((item) => ('file' in item ? [item.file.size] : [])));
}
