import { utf8 } from '../format/bytes.ts';
import { MAX_ENTRIES, nameFault } from '../format/descriptor.ts';
import { EngineError, type SendItem } from './types.ts';

// What is chosen is checked before byte 1: a name that the format does not take would fail a send at its end.

/** docs/format.md §9. */
const MAX_PATH = 4096;

/** Throws EngineError with bad-name or over-limit, naming what is wrong. */
export function checkNames(items: readonly SendItem[], title: string | undefined): void {
  if (items.length > MAX_ENTRIES) throw new EngineError('over-limit', `more than ${MAX_ENTRIES} files and folders`);
  const folders = new Set<string>();
  for (const { path } of items) {
    const fault = pathFault(path);
    if (fault !== undefined) throw new EngineError('bad-name', `${path}: ${fault}`);
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const folder = path.slice(0, end);
      if (folders.has(folder)) break; // and so are those above it
      folders.add(folder);
    }
  }
  for (const item of items) {
    if ('file' in item && folders.has(item.path)) {
      throw new EngineError('bad-name', `${item.path}: a file and a folder have this name`);
    }
  }
  const fault = title === undefined ? undefined : (nameFault(title) ?? unicodeFault(title));
  if (fault !== undefined) throw new EngineError('bad-name', `${title}: ${fault}`);
}

function pathFault(path: string): string | undefined {
  if (utf8(path).length > MAX_PATH) return `a path of more than ${MAX_PATH} bytes`;
  for (const name of path.split('/')) {
    const fault = nameFault(name);
    if (fault !== undefined) return fault;
  }
  return unicodeFault(path);
}

/** Half of a surrogate pair is no character: systems that keep names as 16-bit units can have it. */
function unicodeFault(text: string): string | undefined {
  return /\p{Cs}/u.test(text) ? 'a character that is not Unicode' : undefined;
}
