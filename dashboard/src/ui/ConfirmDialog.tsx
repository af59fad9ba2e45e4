import type { ComponentChildren } from 'preact';
import { Dialog } from './Dialog';
import { Actions, FormError, Submit, useSubmit } from './form';

interface Props {
  title: string;
  children: ComponentChildren;
  /** The verb on the button. */
  label: string;
  busyLabel: string;
  danger?: boolean;
  words?: Record<string, string>;
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

/** Asks before something that cannot simply be undone. Cancel has the focus: Enter alone does no harm. */
export function ConfirmDialog(props: Props) {
  const { title, children, label, busyLabel, danger = false, words = {}, onConfirm, onClose } = props;
  const { busy, problem, run } = useSubmit();
  return (
    <Dialog title={title} onClose={onClose} testId="confirm">
      <form
        class="dialog-form"
        onSubmit={(event) => {
          event.preventDefault();
          void run(onConfirm);
        }}
      >
        <div class="dialog-text">{children}</div>
        <FormError problem={problem.value} words={words} />
        <Actions>
          <button type="button" class="button" autofocus onClick={onClose}>
            Cancel
          </button>
          <Submit busy={busy.value} label={label} busyLabel={busyLabel} danger={danger} />
        </Actions>
      </form>
    </Dialog>
  );
}
