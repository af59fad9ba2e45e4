import { expect, it } from 'vitest';
import { Motion, turn } from './motion';

const place = (longitude: number, headingDeg = 0) => ({ longitude, latitude: 30, headingDeg });

it('goes from fix to fix in the time that lay between them', () => {
  const motion = new Motion();
  motion.aim('a', place(0), 0, true);
  motion.aim('a', place(0.01), 2_000, true);
  expect(motion.at('a', 3_000)?.longitude).toBeCloseTo(0.005);
  expect(motion.isMoving(3_000)).toBe(true);
  expect(motion.at('a', 4_000)).toEqual(place(0.01));
  expect(motion.isMoving(4_000)).toBe(false);
});

it('starts the next move from where the marker is', () => {
  const motion = new Motion();
  motion.aim('a', place(0), 0, true);
  motion.aim('a', place(0.01), 2_000, true);
  motion.aim('a', place(0.02), 3_000, true);
  expect(motion.at('a', 3_000)?.longitude).toBeCloseTo(0.005);
});

it('takes at most five seconds, so that no marker trails far behind', () => {
  const motion = new Motion();
  motion.aim('a', place(0), 0, true);
  motion.aim('a', place(0.01), 120_000, true);
  expect(motion.at('a', 125_000)).toEqual(place(0.01));
});

it('jumps where there can be no drive, and where movement is not wanted', () => {
  const motion = new Motion();
  motion.aim('a', place(0), 0, true);
  motion.aim('a', place(5), 2_000, true);
  expect(motion.at('a', 2_000)).toEqual(place(5));
  motion.aim('a', place(5.001), 4_000, false);
  expect(motion.at('a', 4_000)).toEqual(place(5.001));
});

it('turns the short way round', () => {
  expect(turn(350, 10, 0.5)).toBeCloseTo(0);
  expect(turn(10, 350, 0.25)).toBeCloseTo(5);
});
