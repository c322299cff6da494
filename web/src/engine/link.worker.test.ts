import { afterEach, expect, it, vi } from 'vitest';
import { pattern } from '../format/vectors/case.kit.ts';
import type { FromLink, ToLink } from './messages.ts';
import { World } from './world.kit.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('starts a session once for each link, and again when the server has forgotten it', async () => {
  vi.useFakeTimers({ toFake: ['setInterval'] });
  const world = await World.make([['note.txt', pattern(10)]]);
  const waiting: ((answer: FromLink) => void)[] = [];
  const self = Object.assign(new EventTarget(), {
    postMessage: (m: FromLink) => void waiting.shift()?.(m),
  });
  vi.stubGlobal('self', self);
  vi.stubGlobal('fetch', world.fetch);
  await import('./link.worker.ts');
  const ask = (data: ToLink): Promise<FromLink> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      self.dispatchEvent(Object.assign(new Event('message'), { data }));
    });
  const { handle, fragment } = world;
  expect(await ask({ id: 1, kind: 'look', handle, fragment, password: null, session: 's' })).toMatchObject({
    kind: 'view',
  });
  const started = (): number => world.requests.filter((url) => url.endsWith('/sessions')).length;
  for (const [renew, count] of [
    [false, 1],
    [false, 1],
    [true, 2],
    [false, 2],
  ] as const) {
    expect(await ask({ id: 2, kind: 'prepare', view: handle, what: 0, renew })).toMatchObject({ kind: 'prepared' });
    expect(started()).toBe(count);
  }
});
