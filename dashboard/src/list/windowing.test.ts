import { expect, it } from 'vitest';
import { scrollToShow, windowOf } from './windowing';

it('holds the rows in sight and a few around them', () => {
  expect(windowOf(1_000, 50, 0, 500)).toEqual({ first: 0, end: 16 });
  expect(windowOf(1_000, 50, 5_000, 500)).toEqual({ first: 94, end: 116 });
  expect(windowOf(3, 50, 9_000, 500)).toEqual({ first: 3, end: 3 });
});

it('scrolls only as far as a row needs to be seen', () => {
  expect(scrollToShow(3, 50, 0, 500)).toBe(0);
  expect(scrollToShow(20, 50, 0, 500)).toBe(550);
  expect(scrollToShow(2, 50, 400, 500)).toBe(100);
});
