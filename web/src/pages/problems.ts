// What people are told when something does not work: what happened, what is
// safe, what to do. One row a code; nothing here depends on secrets.
import { EngineError, type EngineErrorCode } from '../engine/types.ts';
import type { IconName } from '../ui/icons.ts';

export interface Words {
  readonly title: string;
  readonly text: string;
  readonly icon: IconName;
  /** Whether trying the same again can help. */
  readonly again?: boolean;
}

const table: Record<EngineErrorCode, Words> = {
  'no-key': {
    title: 'This link comes without its key',
    text: 'The sender gave the key separately. Paste it here to open the files. Nobody else, and no server, has it.',
    icon: 'key',
  },
  cut: {
    title: 'This link was cut off',
    text: 'The end of the link is missing or damaged, as happens in chats and e-mails that break long lines. Copy the whole link and open it again. Nothing is lost: the files are where they were.',
    icon: 'warning',
  },
  'unknown-link': {
    title: 'This link was made by a newer Holdfast',
    text: 'This page is too old to open it. Reload the page; if that does not help, ask the sender which version made it.',
    icon: 'warning',
    again: true,
  },
  'folder-link': {
    title: 'This link opens a folder, and this page cannot show folders yet',
    text: 'Links to single files and to what was sent together open here; a folder of somebody’s drive does not, so far. Nothing is wrong with the link, and no download was counted: open it with the program “holdfast receive” and the whole link.',
    icon: 'warning',
  },
  checksum: {
    title: 'The key in this link does not fit',
    text: 'A character of the link was changed, or the key belongs to another link. Copy the link again from where you got it.',
    icon: 'key',
  },
  'not-found': {
    title: 'There is nothing at this link',
    text: 'The address is mistyped, or the link ended so long ago that no trace of it is kept. Check it with the person who sent it.',
    icon: 'warning',
  },
  'wrong-key': {
    title: 'This key does not open the link',
    text: 'The link exists, but its key is another one. Copy the whole link again, or ask the sender for it.',
    icon: 'key',
  },
  'wrong-password': {
    title: 'That password is not right',
    text: 'Check capital letters and spaces and try again. After several wrong tries there is a pause between tries.',
    icon: 'lock',
  },
  'password-unusable': {
    title: 'That password cannot be used',
    text: 'Some characters look the same and are not, so that a password with them might never be typed again. Choose another one. Nothing was sent.',
    icon: 'lock',
  },
  expired: {
    title: 'This link has expired',
    text: 'The sender set a day until which it works. The files can no longer be opened with it; ask the sender for a new link.',
    icon: 'clock',
  },
  'used-up': {
    title: 'This link has been used up',
    text: 'The sender allowed a number of downloads, and all of them have been made. Ask the sender for a new link.',
    icon: 'download',
  },
  revoked: {
    title: 'The sender has revoked this link',
    text: 'The files can no longer be opened with it. If you still need them, ask the sender.',
    icon: 'close',
  },
  'rate-limited': {
    title: 'Too many tries',
    text: 'To protect the files and the service there is a pause between tries now. Wait a little and try again.',
    icon: 'clock',
    again: true,
  },
  unreachable: {
    title: 'The service does not answer',
    text: 'Either this device is offline or the service is away. Your files are safe; try again in a moment.',
    icon: 'globe',
    again: true,
  },
  'no-placement': {
    title: 'The service cannot keep two copies right now',
    text: 'Too few independent storage servers are reachable, and one copy is not enough for us to say “stored”. Nothing was kept. Try again later.',
    icon: 'globe',
    again: true,
  },
  'no-capacity': {
    title: 'The service is full at the moment',
    text: 'There is no room for this much now. Try again later, or send less.',
    icon: 'archive',
    again: true,
  },
  'over-limit': {
    title: 'That is more than this service takes',
    text: 'Send fewer or smaller files, or choose a shorter time.',
    icon: 'archive',
  },
  'nodes-away': {
    title: 'The storage servers do not answer',
    text: 'The files are kept in several places, and none of them can be reached from here now. They are safe. Try again in a moment.',
    icon: 'globe',
    again: true,
  },
  integrity: {
    title: 'The files arrived damaged',
    text: 'A check failed on every copy, so nothing was opened or kept. Try again; if it stays like this, tell the sender and the service.',
    icon: 'warning',
    again: true,
  },
  'file-changed': {
    title: 'A file changed while it was being read',
    text: 'No link was made. Close the program that writes to it, choose it again, and send.',
    icon: 'file',
    again: true,
  },
  'file-unreadable': {
    title: 'A file cannot be read',
    text: 'It was changed, moved or deleted since it was chosen, or the browser may not read it. No link was made. Remove it from the list, or choose it again.',
    icon: 'file',
  },
  'bad-name': {
    title: 'A file’s name cannot be used',
    text: 'Rename it and send again.',
    icon: 'file',
  },
  untrusted: {
    title: 'The service gave an answer that does not hold',
    text: 'A receipt or a ticket is not signed as it must be. Your files are safe and no link was made. Try again; if it stays like this, tell the service.',
    icon: 'warning',
    again: true,
  },
  cancelled: { title: 'Cancelled', text: 'Nothing was kept.', icon: 'close' },
  stopped: {
    title: 'The browser stopped this download',
    text: 'It was cancelled in the browser’s own list, or there is no room on the disk, or the browser ended the part of this page that saves files. Look for room and try again.',
    icon: 'warning',
    again: true,
  },
  'session-ended': {
    title: 'This download took longer than a day',
    text: 'Its right to read has ended. Download again; that counts as another download.',
    icon: 'clock',
    again: true,
  },
  unsupported: {
    title: 'This browser cannot do it',
    text: 'Holdfast needs a current browser, outside private windows that switch off service workers. Open the link in Firefox, Chrome, Edge or Safari, or use the command line: holdfast receive.',
    icon: 'warning',
  },
  'out-of-date': {
    title: 'This page is older than the service',
    text: 'The service was changed since it was loaded. Reload the page and go on.',
    icon: 'clock',
    again: true,
  },
  internal: {
    title: 'Something went wrong',
    text: 'This is our fault, not yours. Try again; if it stays like this, tell the service.',
    icon: 'warning',
    again: true,
  },
};

export interface Told extends Words {
  readonly code: EngineErrorCode;
  readonly detail: string;
}

export function tell(error: unknown): Told {
  const known =
    error instanceof EngineError ? error : new EngineError('internal', error instanceof Error ? error.name : '');
  const words = table[known.code];
  const wait = known.retryAfter === undefined ? '' : ` (${Math.ceil(known.retryAfter)} s)`;
  return { ...words, text: words.text + wait, code: known.code, detail: known.detail };
}
