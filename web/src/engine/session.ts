import { newKey, toText } from '../format/id.ts';

// The token of a link's download session. It is drawn here and kept for this tab before the server hears of it, so that
// a reload goes on within the same counted download.

const storageKey = (handle: string): string => `holdfast-session:${handle}`;
const drawn = new Map<string, string>();

/** The tab's token for a link, drawn when first asked for. */
export function sessionToken(handle: string): string {
  const known = drawn.get(handle) ?? kept(handle);
  const token = known ?? toText(newKey());
  drawn.set(handle, token);
  if (known === undefined) keep(handle, token);
  return token;
}

function kept(handle: string): string | undefined {
  try {
    return sessionStorage.getItem(storageKey(handle)) ?? undefined;
  } catch {
    return undefined; // storage is forbidden here: a reload starts anew
  }
}

function keep(handle: string, token: string): void {
  try {
    sessionStorage.setItem(storageKey(handle), token);
  } catch {
    // As above; the download itself does not need it.
  }
}
