import { describe, expect, it } from 'vitest';
import { FIRST_BYTE_MS, floorBeside, PATIENT_MS, Pace } from './pace.ts';

/** When a node that gives so many bytes every so often is left, in milliseconds; nothing if it gives for two minutes. */
function left(pace: Pace, every: number, bytes: number, from = 0): number | undefined {
  for (let now = 0; now < 120_000; now += 250) {
    if (now >= from && now % every === 0) pace.came(bytes, now);
    if (pace.tooSlow(now)) return now;
  }
  return undefined;
}
const first = (floor = 0): Pace => new Pace(0, FIRST_BYTE_MS, floor);
const patient = (): Pace => new Pace(0, PATIENT_MS, 0);

describe('a node is left', () => {
  it('without a first byte', () => {
    expect(left(first(), 1000, 9999, 200_000)).toBe(1750);
    expect(left(patient(), 1000, 9999, 200_000)).toBe(15_250);
    expect(left(patient(), 1000, 9999, 14_000)).toBeUndefined();
  });
  it('when it stalls', () => expect(left(patient(), 5000, 1 << 20)).toBe(4250));
  it('when a byte drips in before each stall, whatever others there are', () => {
    expect(left(first(32_768), 3750, 1)).toBe(3000);
    expect(left(patient(), 3750, 1)).toBe(30_000);
  });
  it('when it crawls, only while there are others', () => {
    expect(left(first(32_768), 250, 4096)).toBe(3000);
    expect(left(first(32_768), 250, 10_000)).toBeUndefined();
    expect(left(patient(), 250, 4096)).toBeUndefined();
    expect(left(patient(), 1000, 1024)).toBeUndefined();
  });
  it('also after a good beginning', () => {
    const pace = first(32_768);
    for (let now = 0; now <= 9000; now += 250) {
      pace.came(100_000, now);
      expect(pace.tooSlow(now)).toBe(false);
    }
    pace.came(1, 11_000);
    expect(pace.tooSlow(12_000)).toBe(true);
  });
});

describe('the floor', () => {
  it.each<[string, (number | undefined)[], number]>([
    ['is none without others', [], 0],
    ['is a crawl where nothing is known', [undefined], 32_768],
    ['is an eighth of what another one gave', [8_000_000, undefined], 1_000_000],
    ['is low where the other one is slow as well', [8000], 1000],
    ['is none where the other one gave nothing', [0], 0],
  ])('%s', (_, rates, floor) => expect(floorBeside(rates)).toBe(floor));
});
