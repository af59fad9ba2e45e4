import { useSignal } from '@preact/signals';
import { Eye, EyeOff } from 'lucide-preact';
import { useId } from 'preact/hooks';
import { describedBy, Under } from './form';

interface Props {
  label: string;
  value: string;
  onInput: (value: string) => void;
  autocomplete: 'current-password' | 'new-password';
  hint?: string;
  error?: string | undefined;
}

export function PasswordField({ label, value, onInput, autocomplete, hint, error }: Props) {
  const shown = useSignal(false);
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="field-with-button">
        <input
          id={id}
          name="password"
          type={shown.value ? 'text' : 'password'}
          autocomplete={autocomplete}
          aria-invalid={error ? true : undefined}
          aria-describedby={describedBy(id, error, hint)}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
        <button
          type="button"
          class="icon-button"
          aria-label="Show password"
          aria-pressed={shown.value}
          onClick={() => (shown.value = !shown.value)}
        >
          {shown.value ? <EyeOff size={18} /> : <Eye size={18} />}
        </button>
      </div>
      <Under id={id} error={error} hint={hint} />
    </div>
  );
}
