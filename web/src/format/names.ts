import { utf8 } from './bytes.ts';

// Names in descriptors are hostile. This is the one way to show them and to give them to whoever writes files: a
// browser's download, a ZIP. What is written avoids what any system takes for another file, because nobody here knows
// on which system the file will be.

const MAX_NAME = 255;
const SUBSTITUTE = '_';

// Characters without a shape of their own, or which change that of others. Joiners stay: Persian words and many emoji
// cannot be written without them.
const HIDDEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|\\(?=u\{)/gu;

/**
 * The name as it may be shown: control characters, those that turn the direction of text, line separators and invisible
 * ones are written as \u{202E}. Different names are shown differently. Show it as text, never as HTML.
 */
export function displayName(name: string): string {
  return name.replace(HIDDEN, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, '0')}}`);
}

// What stands in no written name: controls, what turns text, half surrogates, and what Windows reserves.
const UNWRITABLE = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Cs}<>:"/\\|?*]/gu;
// Windows looks at what stands before the first dot, and not at case or spaces around it.
const DEVICE = /^ *(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3]) *(?:\.|$)/iu;
// What Windows may generate for another file beside this one, such as PROGRA~1.TXT.
const SHORT_NAME = /^[^.]{1,6}~[0-9]{1,6}(?:\.[^.]{0,3})?$/u;
// How many bytes at the end of a name, dot included, are kept as its extension when it is shortened or numbered.
const MAX_EXTENSION = 16;

function splitName(name: string): [stem: string, extension: string] {
  const dot = name.lastIndexOf('.');
  if (dot <= 0 || utf8(name.slice(dot)).length > MAX_EXTENSION) return [name, ''];
  return [name.slice(0, dot), name.slice(dot)];
}

/** The name with `suffix` before its extension; the stem is cut between characters so that all has `most` bytes. */
function shorten(name: string, suffix: string, most: number): string {
  const [stem, extension] = splitName(name);
  const whole = stem + suffix + extension;
  if (utf8(whole).length <= most) return whole;
  const room = most - utf8(suffix + extension).length;
  let [kept, size] = ['', 0];
  for (const character of stem) {
    size += utf8(character).length;
    if (size > room) break;
    kept += character;
  }
  return kept + suffix + extension;
}

/**
 * The name under which a component of a path is saved: not empty, not "." or "..", of at most 255 bytes, and one that
 * Windows, too, takes for nothing else. Two names may come to one; planPaths keeps them apart.
 */
export function safeName(name: string): string {
  let safe = name.replace(UNWRITABLE, SUBSTITUTE);
  if (DEVICE.test(safe)) safe = SUBSTITUTE + safe;
  // Shortening may bring a dot or a space to the end: that is mended last.
  safe = shorten(safe, '', MAX_NAME).replace(/[. ]+$/, (end) => SUBSTITUTE.repeat(end.length));
  return (SHORT_NAME.test(safe) ? safe.replaceAll('~', SUBSTITUTE) : safe) || SUBSTITUTE;
}

/**
 * What file systems may compare names by. It takes more names for one than any of them does: case, composition of
 * letters and invisible characters do not count.
 */
export function foldedName(name: string): string {
  if (/^[ -~]*$/.test(name)) return name.toLowerCase(); // the same, faster
  const letters = name.normalize('NFD').replace(/\p{Cf}/gu, '');
  return letters.toUpperCase().toLowerCase().normalize('NFD');
}

/** The name with the number n before its extension, cut so that it may be a component of a path. */
export function numberedName(name: string, n: number): string {
  return shorten(name, ` (${n})`, MAX_NAME);
}

/** A folder to be written; its path is put together when somebody asks, not kept for each folder of a deep path. */
interface Folder {
  readonly above?: Folder;
  readonly local: string;
  readonly number: number;
}

const MAX_NUMBER = ' (262144)'.length;

/**
 * All folders and the names in them. What is known of a name stands under the number of its folder, a slash and the
 * name: one collection for all costs a folder with one entry, of which a hostile bundle has many, no more than others.
 */
class Planner {
  readonly root: Folder = { local: '', number: 0 };
  readonly #folders = new Map<string, Folder>();
  /** Local names taken, folded. */
  readonly #taken = new Set<string>();
  /** The last number given to names of one series. */
  readonly #numbers = new Map<string, number>();

  /** A free name in the folder: `name`, or `name` with a number. Hostile lists of like names cost no more than others. */
  take(folder: Folder, name: string): string {
    const most = MAX_NAME - MAX_NUMBER;
    const at = (local: string) => `${folder.number}/${foldedName(local)}`;
    let free = safeName(name);
    if (this.#taken.has(at(free))) {
      const [first, series] = [free, at(shorten(free, '', most))];
      let n = this.#numbers.get(series) ?? 1;
      do {
        const suffix = ` (${++n})`;
        free = shorten(first, suffix, most + suffix.length);
      } while (this.#taken.has(at(free)));
      this.#numbers.set(series, n);
    }
    this.#taken.add(at(free));
    return free;
  }

  open(above: Folder, name: string): Folder {
    const at = `${above.number}/${name}`;
    const known = this.#folders.get(at);
    if (known !== undefined) return known;
    const folder = { above, local: this.take(above, name), number: this.#folders.size + 1 };
    this.#folders.set(at, folder);
    return folder;
  }
}

/** The local path of what has that name in the folder. */
function localPath(folder: Folder, name: string): string {
  const names = [name];
  for (let at = folder; at.above !== undefined; at = at.above) names.push(at.local);
  return names.reverse().join('/');
}

/** An entry to be written: `folder` tells one from a file. */
export interface Planned {
  readonly path: string;
  readonly folder: boolean;
}

/**
 * The relative path, separated by slashes, under which each entry of a bundle is written, in the order given: safe
 * component by component, and no two the same on any file system. A bundle's paths are unique, and none is a file's and
 * the parent of another's; they are no deeper, and the folders no more, than descriptor.ts allows, which bounds what
 * planning costs.
 */
export function planPaths(entries: readonly Planned[]): string[] {
  const planner = new Planner();
  return entries.map(({ path, folder }) => {
    const names = path.split('/');
    const last = names.pop() ?? '';
    let above = planner.root;
    for (const name of names) above = planner.open(above, name);
    return localPath(above, folder ? planner.open(above, last).local : planner.take(above, last));
  });
}
