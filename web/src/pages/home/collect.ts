// From drops, pickers and pastes to a list of items with paths. Folders are
// walked; empty ones are kept.
import type { SendItem } from '../../engine/types.ts';

export function fromPicker(files: FileList): SendItem[] {
  return Array.from(files, (file) => ({
    path: file.webkitRelativePath === '' ? file.name : file.webkitRelativePath,
    file,
  }));
}

/** Reads a drop or a paste. The browser empties the list after the event, so entries are taken at once. */
export async function fromTransfer(transfer: DataTransfer): Promise<SendItem[]> {
  const entries: FileSystemEntry[] = [];
  const plain: SendItem[] = [];
  for (const item of Array.from(transfer.items)) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry();
    if (entry) entries.push(entry);
    else {
      const file = item.getAsFile();
      if (file) plain.push({ path: file.name, file });
    }
  }
  const walked = await Promise.all(entries.map((entry) => walk(entry, entry.name)));
  return [...plain, ...walked.flat()];
}

async function walk(entry: FileSystemEntry, path: string): Promise<SendItem[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path, file }];
  }
  const items: SendItem[] = [];
  for (const child of await children(entry as FileSystemDirectoryEntry)) {
    items.push(...(await walk(child, `${path}/${child.name}`)));
  }
  return items.length > 0 ? items : [{ path, dir: true }];
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

/** Adds items; one with the path of an earlier one takes its place. */
export function merge(before: readonly SendItem[], added: readonly SendItem[]): SendItem[] {
  const byPath = new Map(before.map((item) => [item.path, item]));
  for (const item of added) byPath.set(item.path, item);
  return [...byPath.values()];
}

export function totalSize(items: readonly SendItem[]): number {
  return items.reduce((sum, item) => sum + ('file' in item ? item.file.size : 0), 0);
}
