// The link's key stands in the address only until it is read: it moves to this
// tab's session storage, so that a reload works and shoulders, screenshots and
// histories see no key.

export interface Address {
  readonly handle: string;
  readonly fragment: string;
}

const storageKey = (handle: string): string => `holdfast-key:${handle}`;

export function readAddress(): Address {
  const handle = location.pathname.replace(/^\/s\//, '').replace(/\/$/, '');
  const shown = location.hash.slice(1);
  if (shown !== '') {
    keepKey(handle, shown);
    history.replaceState(null, '', location.pathname);
    return { handle, fragment: shown };
  }
  return { handle, fragment: sessionStorage.getItem(storageKey(handle)) ?? '' };
}

export function keepKey(handle: string, fragment: string): void {
  sessionStorage.setItem(storageKey(handle), fragment);
}

/** A key as people paste it: alone, with "#", or inside the whole link. */
export function keyFromPaste(text: string): string {
  const trimmed = text.trim();
  const at = trimmed.indexOf('#');
  return at < 0 ? trimmed : trimmed.slice(at + 1);
}
