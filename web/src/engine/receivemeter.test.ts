import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ReceiveMeter } from './receivemeter.ts';
import type { DownloadProgress } from './types.ts';

let told: DownloadProgress[];
let meter: ReceiveMeter;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  told = [];
  meter = new ReceiveMeter(1000, (p) => told.push(p));
});
afterEach(() => vi.useRealTimers());

describe('the progress of a download', () => {
  it('is thinned', () => {
    for (let i = 0; i < 100; i++) {
      meter.received(1);
      vi.advanceTimersByTime(10);
    }
    expect(told.length).toBeGreaterThan(3);
    expect(told.length).toBeLessThan(7);
  });

  it('tells of a failover at once, however soon the end comes', () => {
    meter.received(500);
    meter.note({ kind: 'failover' });
    meter.received(500);
    meter.end();
    expect(told.map((p) => p.note?.kind)).toEqual([undefined, 'failover', 'failover']);
    expect(told.at(-1)).toMatchObject({ doneBytes: 1000, totalBytes: 1000, secondsLeft: 0 });
  });

  it('forgets a failover after some good seconds, and not before', () => {
    meter.note({ kind: 'failover' });
    vi.advanceTimersByTime(4000);
    meter.received(1);
    expect(told.at(-1)?.note).toEqual({ kind: 'failover' });
    vi.advanceTimersByTime(2000);
    meter.received(1);
    expect(told.at(-1)).not.toHaveProperty('note');
  });

  it('keeps a wait on the page until it is over', () => {
    meter.note({ kind: 'retrying', seconds: 3 });
    vi.advanceTimersByTime(60_000);
    meter.received(1);
    expect(told.at(-1)?.note).toEqual({ kind: 'retrying', seconds: 3 });
    meter.note(undefined);
    expect(told.at(-1)).not.toHaveProperty('note');
  });
});
