import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { ApiError } from '../api/http';
import { explain } from './explain';

/** Sending a form: once at a time, and what became of it. */
export function useSubmit() {
  const busy = useSignal(false);
  const problem = useSignal<unknown>(undefined);
  const run = async (work: () => Promise<void>) => {
    if (busy.value) return;
    busy.value = true;
    problem.value = undefined;
    try {
      await work();
    } catch (error) {
      problem.value = error;
    } finally {
      busy.value = false;
    }
  };
  return { busy, problem, run };
}

/** What each field still lacks: said from the first try to send on, and only for as long as it lacks it. */
export function useMissing<Name extends string>(rules: Record<Name, () => string | undefined>) {
  const tried = useSignal(false);
  return {
    of: (name: Name) => (tried.value ? rules[name]() : undefined),
    isAny: () => {
      tried.value = true;
      return Object.values<() => string | undefined>(rules).some((rule) => rule() !== undefined);
    },
  };
}

interface FieldProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  error?: string | undefined;
  hint?: string;
  name?: string;
  autocomplete?: string;
  inputMode?: 'email' | 'text';
  maxLength?: number;
}

/** A line of text with its label above and its error below. */
export function TextField({ label, value, onInput, error, hint, ...input }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        value={value}
        spellcheck={false}
        autocomplete="off"
        aria-invalid={error ? true : undefined}
        aria-describedby={describedBy(id, error, hint)}
        onInput={(event) => onInput(event.currentTarget.value)}
        {...input}
      />
      <Under id={id} error={error} hint={hint} />
    </div>
  );
}

export function describedBy(
  id: string,
  error: string | undefined,
  hint: string | undefined,
): string | undefined {
  if (error) return `${id}-error`;
  return hint ? `${id}-hint` : undefined;
}

/** What stands below a field: its error, else its hint. */
export function Under({
  id,
  error,
  hint,
}: {
  id: string;
  error: string | undefined;
  hint: string | undefined;
}) {
  if (error)
    return (
      <p class="field-error" id={`${id}-error`} role="alert">
        {error}
      </p>
    );
  return hint ? (
    <p class="field-hint" id={`${id}-hint`}>
      {hint}
    </p>
  ) : null;
}

interface FormErrorProps {
  problem: unknown;
  words?: Record<string, string>;
  /** Fields that show their own errors: those are not repeated here. */
  fields?: readonly string[];
}

/** What went wrong with the form as a whole. */
export function FormError({ problem, words = {}, fields = [] }: FormErrorProps) {
  if (problem === undefined || isShownAtFields(problem, fields)) return null;
  return (
    <p class="form-error" role="alert" data-testid="form-error">
      {explain(problem, words)}
    </p>
  );
}

function isShownAtFields(problem: unknown, fields: readonly string[]): boolean {
  const errors = problem instanceof ApiError ? (problem.problem.errors ?? []) : [];
  return errors.length > 0 && errors.every(({ field }) => fields.includes(field));
}

/** The buttons at a dialog's foot: the safe way out first in the reading order, the deed at the end. */
export function Actions({ children }: { children: ComponentChildren }) {
  return <div class="dialog-actions">{children}</div>;
}

interface SubmitProps {
  busy: boolean;
  label: string;
  busyLabel: string;
  danger?: boolean;
}

export function Submit({ busy, label, busyLabel, danger = false }: SubmitProps) {
  return (
    <button type="submit" class={danger ? 'button danger' : 'button primary'} aria-disabled={busy}>
      {busy ? busyLabel : label}
    </button>
  );
}
