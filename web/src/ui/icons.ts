// A handful of line icons, drawn for this product on a 24-unit grid.
export const paths = {
  upload: 'M12 16V4m0 0L7 9m5-5 5 5M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3',
  download: 'M12 4v12m0 0 5-5m-5 5-5-5M4 20h16',
  file: 'M6 3h8l5 5v12a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1Zm8 0v5h5',
  folder: 'M3 6a1 1 0 0 1 1-1h5l2 2h9a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1Z',
  image: 'M4 5h16v14H4Zm0 11 5-5 4 4 3-3 4 4M15.5 9.5h.01',
  video: 'M4 6h11v12H4Zm11 4 5-3v10l-5-3',
  audio: 'M9 18V6l10-2v12M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0Zm10-2a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0Z',
  text: 'M6 3h12v18H6Zm3 5h6m-6 4h6m-6 4h4',
  archive: 'M4 4h16v4H4Zm1 4v12h14V8m-9 4h4',
  lock: 'M6 11h12v9H6Zm2 0V8a4 4 0 0 1 8 0v3',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  copy: 'M9 9h11v11H9ZM5 15H4V4h11v1',
  close: 'M6 6l12 12M18 6 6 18',
  warning: 'M12 4 2.8 20h18.4Zm0 6v4m0 3h.01',
  clock: 'M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18Zm0 5v4l3 2',
  globe: 'M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18Zm-9 9h18M12 3c5 5 5 13 0 18-5-5-5-13 0-18Z',
  key: 'M14.5 4a5.5 5.5 0 1 1-4.3 8.9L4 19v1h3v-2h2v-2h1.5M16 8h.01',
  plus: 'M12 5v14M5 12h14',
} as const;

export type IconName = keyof typeof paths;
