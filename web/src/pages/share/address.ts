// The link's key stands in the address only until it is read: it moves to this
// tab's session storage, so that a reload works and shoulders, screenshots and
// histories see no key.

export interface Address {
  readonly handle: string;
  readonly fragment: string;
}

/** The keys of this page, for browsers that forbid storage: a reload then asks for the whole link again. */
const here = new Map<string, string>();

const storageKey = (handle: string): string => `holdfast-key:${handle}`;

export function readAddress(): Address {
  const handle = location.pathname.replace(/^\/s\//, '').replace(/\/$/, '');
  const shown = location.hash.slice(1);
  if (shown !== '') {
    keepKey(handle, shown);
    history.replaceState(null, '', location.pathname);
    return { handle, fragment: shown };
  }
  return { handle, fragment: here.get(handle) ?? kept(handle) };
}

function kept(handle: string): string {
  try {
    return sessionStorage.getItem(storageKey(handle)) ?? '';
  } catch {
    return '';
  }
}

export function keepKey(handle: string, fragment: string): void {
  here.set(handle, fragment);
  try {
    sessionStorage.setItem(storageKey(handle), fragment);
  } catch {
    // As above.
  }
}

/** A key as people paste it: alone, with "#", or inside the whole link. */
export function keyFromPaste(text: string): string {
  const trimmed = text.trim();
  const at = trimmed.indexOf('#');
  return at < 0 ? trimmed : trimmed.slice(at + 1);
}
