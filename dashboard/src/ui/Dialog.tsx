import type { ComponentChildren } from 'preact';
import { X } from 'lucide-preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { focusHeading } from '../nav/heading';
import { route } from '../nav/route';

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  testId?: string;
  /** Escape must not close it: it shows what cannot be shown again. */
  sticky?: boolean;
}

/** The focus goes back to what opened the dialog; when that is gone, as a removed row is, to the page's heading. */
function keepFocus(): void {
  if (document.activeElement === document.body) focusHeading(route.value.page);
}

/** A modal of the browser's own: it keeps the focus inside and gives it back when it closes. */
export function Dialog({ title, onClose, children, testId, sticky = false }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const isGone = useRef(false);
  const heading = useId();
  useEffect(() => {
    element.current?.showModal();
    return () => {
      isGone.current = true;
      element.current?.close();
      setTimeout(keepFocus);
    };
  }, []);
  return (
    <dialog
      ref={element}
      class="dialog"
      data-testid={testId}
      aria-labelledby={heading}
      onCancel={(event) => sticky && event.preventDefault()}
      onClose={() => isGone.current || onClose()}
    >
      <header class="dialog-head">
        <h2 id={heading}>{title}</h2>
        {!sticky && (
          <button type="button" class="icon-button" aria-label="Close" title="Close (Esc)" onClick={onClose}>
            <X size={18} />
          </button>
        )}
      </header>
      {children}
    </dialog>
  );
}
