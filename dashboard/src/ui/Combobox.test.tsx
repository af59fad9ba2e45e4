import { cleanup, fireEvent, render, screen } from '@testing-library/preact';
import { afterEach, expect, it, vi } from 'vitest';
import { Combobox, useChoice, type ChoiceState } from './Combobox';

afterEach(cleanup);

const FLEET = ['Farai Dube', 'Tendai Moyo', 'Tendai Ncube'].map((name) => ({ id: name, name }));
const create = vi.fn(async (name: string) => ({ id: 'made', name }));
const search = vi.fn(async (query: string) =>
  FLEET.filter(({ name }) => name.toLowerCase().includes(query.toLowerCase())),
);

let state: ChoiceState;

function Field() {
  state = useChoice();
  return <Combobox label="Driver" noun="driver" {...{ state, search, create }} />;
}

async function opened(query: string): Promise<HTMLInputElement> {
  render(<Field />);
  const field = screen.getByRole<HTMLInputElement>('combobox');
  fireEvent.input(field, { target: { value: query } });
  await screen.findAllByRole('option');
  return field;
}

const press = (field: HTMLElement, key: string) => fireEvent.keyDown(field, { key });

it('chooses with the arrow keys and Enter, and sends no form', async () => {
  const field = await opened('tendai');
  await screen.findByText('Tendai Ncube');
  press(field, 'ArrowDown');
  const isLeftToTheForm = press(field, 'Enter');
  await vi.waitFor(() => expect(field.value).toBe('Tendai Ncube'));
  expect(isLeftToTheForm).toBe(false);
  expect(field.getAttribute('aria-expanded')).toBe('false');
});

it('names the option that Enter would choose', async () => {
  const field = await opened('farai');
  const option = await screen.findByText('Farai Dube');
  expect(field.getAttribute('aria-activedescendant')).toBe(option.id);
});

it('closes on Escape without closing what is around it', async () => {
  const field = await opened('farai');
  expect(press(field, 'Escape')).toBe(false);
  expect(field.getAttribute('aria-expanded')).toBe('false');
  expect(press(field, 'Escape')).toBe(true);
});

it('makes what is not there, once it is wished', async () => {
  await opened('Rudo');
  fireEvent.click(await screen.findByText('Add the driver “Rudo”'));
  await vi.waitFor(() => expect(state.choice.value).toEqual({ id: 'made', name: 'Rudo' }));
});

it('offers to make nothing that is there by that very name', async () => {
  await opened('farai dube');
  await screen.findByText('Farai Dube');
  expect(screen.queryByText(/Add the driver/)).toBeNull();
});

it('takes a choice back as soon as its text is changed', async () => {
  const field = await opened('farai');
  await screen.findByText('Farai Dube');
  press(field, 'Enter');
  await vi.waitFor(() => expect(field.value).toBe('Farai Dube'));
  fireEvent.input(field, { target: { value: 'Farai' } });
  expect(state.choice.value).toBeUndefined();
});

it('chooses what was typed whole when one goes on, and nothing that was typed in part', async () => {
  const field = await opened('farai dube');
  await screen.findByText('Farai Dube');
  fireEvent.blur(field);
  expect(state.choice.value?.name).toBe('Farai Dube');
  fireEvent.input(field, { target: { value: 'Tendai' } });
  await screen.findByText('Tendai Ncube');
  fireEvent.blur(field);
  expect(state.choice.value).toBeUndefined();
});
