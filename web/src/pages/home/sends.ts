// What this browser sent: handles and management secrets, so that a link can be
// revoked later. It stays in this browser; the key of the link is not kept.
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';

export interface Sent {
  readonly handle: string;
  readonly manageSecret: string;
  readonly title: string;
  readonly files: number;
  readonly bytes: number;
  /** Unix seconds. */
  readonly expires: number;
}

interface Schema extends DBSchema {
  sends: { key: string; value: Sent };
}

function open(): Promise<IDBPDatabase<Schema>> {
  return openDB<Schema>('holdfast', 1, {
    upgrade: (db) => void db.createObjectStore('sends', { keyPath: 'handle' }),
  });
}

/** Latest expiry first; those that are over are forgotten on the way. */
export async function listSends(now: number): Promise<Sent[]> {
  const db = await open();
  const all = await db.getAll('sends');
  for (const old of all.filter((s) => s.expires <= now)) await db.delete('sends', old.handle);
  return all.filter((s) => s.expires > now).sort((a, b) => b.expires - a.expires);
}

/** Keeps these fields and no others: what is given may hold the link with its key. */
export async function rememberSend({ handle, manageSecret, title, files, bytes, expires }: Sent): Promise<void> {
  await (await open()).put('sends', { handle, manageSecret, title, files, bytes, expires });
}

export async function forgetSend(handle: string): Promise<void> {
  await (await open()).delete('sends', handle);
}
