// What kind of thing a file is, from its name: for icons and words only.
// Nothing is opened or run because of it.
import type { LinkEntry } from '../../engine/types.ts';
import type { IconName } from '../../ui/icons.ts';

const table: readonly (readonly [IconName, string, string])[] = [
  ['image', 'Image', 'jpg jpeg png gif webp avif heic svg tif tiff bmp'],
  ['video', 'Video', 'mp4 m4v mov mkv webm avi'],
  ['audio', 'Audio', 'mp3 m4a aac flac ogg opus wav'],
  ['archive', 'Archive', 'zip tar gz tgz xz zst 7z rar bz2'],
  ['text', 'Document', 'pdf doc docx odt txt md rtf csv xls xlsx ods ppt pptx odp html json xml'],
];

export function kindOf(entry: LinkEntry): { icon: IconName; word: string } {
  if (entry.kind === 'folder') return { icon: 'folder', word: 'Empty folder' };
  const ending = /\.([^./]+)$/.exec(entry.path)?.[1]?.toLowerCase() ?? '';
  const row = table.find(([, , endings]) => endings.split(' ').includes(ending));
  return row ? { icon: row[0], word: row[1] } : { icon: 'file', word: 'File' };
}
