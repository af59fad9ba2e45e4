import { signal } from '@preact/signals';

const SHOWN_MS = 6_000;

const text = signal('');
let timer: ReturnType<typeof setTimeout> | undefined;

/** Say what was done, where the thing itself can no longer say it. */
export function say(words: string): void {
  clearTimeout(timer);
  text.value = words;
  timer = setTimeout(() => (text.value = ''), SHOWN_MS);
}

/** Always in the page, so that a screen reader hears what appears in it. */
export function Toast() {
  return (
    <div class="toast-place" role="status" data-testid="toast">
      {text.value && <p class="toast">{text.value}</p>}
    </div>
  );
}
