import { useSignal } from '@preact/signals';
import { Check, Plus } from 'lucide-preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { explain } from './explain';
import { describedBy, Under } from './form';
import { afterPress } from './press';

const TYPING_MS = 200;

export interface Choice {
  id: string;
  name: string;
}

/** What is in the field, and which choice that is; undefined while the text stands for none. */
export function useChoice(initial?: Choice) {
  const choice = useSignal(initial);
  const text = useSignal(initial?.name ?? '');
  const set = (next: Choice | undefined) => {
    choice.value = next;
    text.value = next?.name ?? '';
  };
  return { choice, text, set };
}

export type ChoiceState = ReturnType<typeof useChoice>;

interface Props {
  label: string;
  state: ChoiceState;
  /** The choices whose names hold `query`; the first of them for an empty one. */
  search: (query: string, signal: AbortSignal) => Promise<Choice[]>;
  /** Makes a choice that is not there yet; without it only what is there can be chosen. */
  create?: (name: string) => Promise<Choice>;
  /** What a choice is called: "driver". */
  noun: string;
  error?: string | undefined;
  hint?: string;
  testId?: string;
}

/** A select that the server searches, after the ARIA pattern "editable combobox with list autocomplete". */
export function Combobox(props: Props) {
  const { label, state, noun, error, hint, testId } = props;
  const id = useId();
  const box = useCombobox(props);
  const { options, isOpen, active } = box;
  const value = state.choice.value;
  return (
    <div class="field combobox" data-testid={testId}>
      <label for={id}>{label}</label>
      <input
        id={id}
        role="combobox"
        autocomplete="off"
        spellcheck={false}
        placeholder={`Search, or type a name`}
        aria-expanded={isOpen.value}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={
          isOpen.value && options.value[active.value] ? `${id}-${active.value}` : undefined
        }
        aria-invalid={error ? true : undefined}
        aria-describedby={describedBy(id, error, hint)}
        value={state.text.value}
        onInput={(event) => box.type(event.currentTarget.value)}
        onClick={() => box.open()}
        onKeyDown={box.onKeyDown}
        onBlur={box.leave}
      />
      <ul class="listbox" id={`${id}-list`} role="listbox" aria-label={label} hidden={!isOpen.value}>
        {options.value.map((option, index) => (
          <li
            key={option.id}
            id={`${id}-${index}`}
            class="listbox-option"
            role="option"
            aria-selected={option.id === value?.id}
            data-active={index === active.value}
            onMouseDown={(event) => event.preventDefault()} // the field keeps the focus
            onClick={() => void box.choose(option)}
          >
            {option.id === NEW ? <Plus size={16} /> : option.id === value?.id && <Check size={16} />}
            {option.id === NEW ? `Add the ${noun} “${option.name}”` : option.name}
          </li>
        ))}
        {options.value.length === 0 && (
          <li class="listbox-note" role="option" aria-disabled="true" aria-selected={false}>
            {box.note.value}
          </li>
        )}
      </ul>
      <Under id={id} error={error ?? box.failure.value} hint={hint} />
    </div>
  );
}

const NEW = 'new';

function useCombobox({ state, search, create, noun }: Props) {
  const { choice, text, set } = state;
  const options = useSignal<Choice[]>([]);
  const isOpen = useSignal(false);
  const active = useSignal(0);
  const note = useSignal('');
  const failure = useSignal<string | undefined>(undefined);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const abort = useRef(new AbortController());
  useEffect(() => () => (clearTimeout(timer.current), abort.current.abort()), []);

  const look = async (query: string) => {
    abort.current.abort();
    const { signal } = (abort.current = new AbortController());
    note.value = 'Searching…';
    try {
      const found = await search(query, signal);
      if (signal.aborted) return;
      const isThere = found.some(({ name }) => name.toLowerCase() === query.toLowerCase());
      options.value = create && query && !isThere ? [...found, { id: NEW, name: query }] : found;
      active.value = 0;
      note.value = query ? `No ${noun} of that name` : `No ${noun} yet: type a name`;
    } catch (error) {
      if (!signal.aborted) [options.value, note.value] = [[], explain(error)];
    }
  };
  const open = () => {
    if (isOpen.value) return;
    isOpen.value = true;
    void look(choice.value ? '' : text.value.trim());
  };
  const type = (typed: string) => {
    text.value = typed;
    failure.value = undefined;
    choice.value = undefined;
    isOpen.value = true;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void look(typed.trim()), TYPING_MS);
  };
  const choose = async (option: Choice) => {
    isOpen.value = false;
    try {
      set(option.id === NEW && create ? await create(option.name) : option);
    } catch (error) {
      failure.value = explain(error);
    }
  };
  /** Whoever has typed a whole name has chosen it. */
  const leave = () => {
    afterPress(() => (isOpen.value = false));
    const typed = text.value.trim().toLowerCase();
    const named = options.value.find(({ id, name }) => id !== NEW && name.toLowerCase() === typed);
    if (!choice.value && named) set(named);
  };
  const move = (step: number) => {
    const { length } = options.value;
    if (!isOpen.value) open();
    else if (length > 0) active.value = (active.value + step + length) % length;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const option = options.value[active.value];
    if (event.key === 'ArrowDown') move(1);
    else if (event.key === 'ArrowUp') move(-1);
    else if (event.key === 'Enter' && isOpen.value && option) void choose(option);
    else if (event.key === 'Escape' && isOpen.value) isOpen.value = false;
    else return;
    event.preventDefault(); // Escape closes the list only, Enter sends nothing
  };
  return { options, isOpen, active, note, failure, open, type, choose, leave, onKeyDown };
}
