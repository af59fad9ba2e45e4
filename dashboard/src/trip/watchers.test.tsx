import { cleanup, render, screen } from '@testing-library/preact';
import { afterEach, describe, expect, it } from 'vitest';
import { initials, watchersOf } from './watching';
import { Watchers } from './Watchers';

afterEach(cleanup);

const people = (...names: string[]) => names.map((name, at) => ({ userId: `u${at}`, name }));
const shown = () => screen.getAllByRole('listitem').map((item) => item.firstElementChild?.textContent);

it('takes the first letters of the first and the last name', () => {
  expect(['Tendai Moyo', ' rudo ', 'Anna Maria de Souza', ''].map(initials)).toEqual(['TM', 'R', 'AS', '']);
});

it('takes nothing of another trip, and nothing odd', () => {
  const watchers = people('Rudo');
  expect(watchersOf({ tripId: 't', watchers }, 't')).toBe(watchers);
  expect([undefined, null, {}, { tripId: 't' }].map((told) => watchersOf(told, 't'))).toEqual(
    Array.from({ length: 4 }),
  );
  expect(watchersOf({ tripId: 'other', watchers }, 't')).toBeUndefined();
});

describe('the row of who else is watching', () => {
  it('is not there where nobody is', () => {
    const { container } = render(<Watchers others={[]} />);
    expect(container.childElementCount).toBe(0);
  });

  it('names everybody to who cannot see it', () => {
    render(<Watchers others={people('Tendai Moyo', 'Rudo')} />);
    const list = screen.getByRole('list', { name: 'Also watching' });
    expect(list.textContent).toBe('TMTendai MoyoRRudo');
  });

  it('counts those that it has no room for', () => {
    render(<Watchers others={people('A', 'B', 'C', 'D')} />);
    expect(shown()).toEqual(['A', 'B', 'C', 'D']);
    cleanup();
    render(<Watchers others={people('A', 'B', 'C', 'D', 'E')} />);
    expect(shown()).toEqual(['A', 'B', 'C', '+2']);
  });
});
