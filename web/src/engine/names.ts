import { utf8 } from '../format/bytes.ts';
import { listedPathFault, MAX_ENTRIES, MAX_FOLDERS, MAX_PATH, nameFault } from '../format/descriptor.ts';
import { EngineError, type SendItem } from './types.ts';

// What is chosen is checked before byte 1: a name that the format does not take would fail a send at its end.

/** Throws EngineError with bad-name or over-limit, naming what is wrong. */
export function checkNames(items: readonly SendItem[], title: string | undefined): void {
  if (items.length > MAX_ENTRIES) throw new EngineError('over-limit', `more than ${MAX_ENTRIES} files and folders`);
  if (items.length === 0) throw new EngineError('bad-name', 'nothing was chosen');
  const folders = new Set<string>();
  const paths = new Set<string>();
  for (const { path } of items) {
    const fault = listedPathFault(path) ?? lengthFault(path) ?? unicodeFault(path);
    if (fault !== undefined) throw new EngineError('bad-name', `${path}: ${fault}`);
    if (paths.has(path)) throw new EngineError('bad-name', `${path}: two of this name`);
    paths.add(path);
    addAbove(path, folders);
    if (folders.size > MAX_FOLDERS) throw new EngineError('over-limit', `more than ${MAX_FOLDERS} folders`);
  }
  for (const item of items) {
    if ('file' in item && folders.has(item.path)) {
      throw new EngineError('bad-name', `${item.path}: a file and a folder have this name`);
    }
  }
  const fault = title === undefined ? undefined : (nameFault(title) ?? unicodeFault(title));
  if (fault !== undefined) throw new EngineError('bad-name', `${title}: ${fault}`);
}

/** Adds the folders above a path. */
function addAbove(path: string, folders: Set<string>): void {
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
    const folder = path.slice(0, end);
    if (folders.has(folder)) return; // and so are those above it
    folders.add(folder);
  }
}

function lengthFault(path: string): string | undefined {
  return utf8(path).length > MAX_PATH ? `a path of more than ${MAX_PATH} bytes` : undefined;
}

/** Half of a surrogate pair is no character: systems that keep names as 16-bit units can have it. */
function unicodeFault(text: string): string | undefined {
  return /\p{Cs}/u.test(text) ? 'a character that is not Unicode' : undefined;
}
