import { useSignal } from '@preact/signals';
import { Check, Copy } from 'lucide-preact';
import { useEffect, useId, useRef } from 'preact/hooks';

const COPIED_FOR_MS = 4_000;

interface Props {
  label: string;
  value: string;
  /** Shown as lines instead of one line that scrolls. */
  lines?: boolean;
  testId?: string;
  /** In a dialog: what has the focus first. */
  first?: boolean;
}

/** Text to take elsewhere: selectable, and copied by a button. */
export function CopyField({ label, value, lines = false, testId, first = false }: Props) {
  const field = useRef<HTMLInputElement & HTMLTextAreaElement>(null);
  const copied = useSignal(false);
  const id = useId();
  useEffect(() => {
    if (!copied.value) return undefined;
    const timer = setTimeout(() => (copied.value = false), COPIED_FOR_MS);
    return () => clearTimeout(timer);
  }, [copied.value]);

  const copy = async () => {
    copied.value = field.current ? await copyText(value, field.current) : false;
  };
  const shared = { id, ref: field, value, readOnly: true, 'data-testid': testId, class: 'code' };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class={lines ? 'copy copy-lines' : 'copy'}>
        {lines ? <textarea {...shared} rows={value.split('\n').length + 1} /> : <input {...shared} />}
        <button type="button" class="button" aria-label={`Copy: ${label}`} autofocus={first} onClick={copy}>
          {copied.value ? <Check size={16} /> : <Copy size={16} />}
          {copied.value ? 'Copied' : 'Copy'}
        </button>
      </div>
      <span class="visually-hidden" role="status">
        {copied.value ? 'Copied' : ''}
      </span>
    </div>
  );
}

/** The clipboard's own interface is there for https pages only; the old way needs a selection. */
async function copyText(text: string, field: HTMLInputElement | HTMLTextAreaElement): Promise<boolean> {
  field.select();
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return document.execCommand('copy');
  }
}
