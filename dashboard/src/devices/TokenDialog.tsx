import { now } from '../ui/clock';
import { CopyField } from '../ui/CopyField';
import { Dialog } from '../ui/Dialog';
import { Actions } from '../ui/form';
import { when } from '../ui/format';
import type { Given } from './devices';

/** A device's token and how to set the phone up with it: the server keeps only a hash, so this is the one time. */
export function TokenDialog({ given, onClose }: { given: Given; onClose: () => void }) {
  return (
    <Dialog title={`Set up ${given.name}`} onClose={onClose} testId="token-dialog" sticky>
      <div class="dialog-form">
        <div class="dialog-text">
          <p>
            Copy this to the phone of {given.driverName ?? 'the driver'} now: the token{' '}
            <b>is not shown again</b>. Whoever has it can report as this device.
          </p>
          {given.oldTokenUntil && (
            <p>The old token still works until {when(given.oldTokenUntil, now.value)}.</p>
          )}
        </div>
        <CopyField label="Token" value={given.token} testId="device-token" first />
        <CopyField label="How to set it up" value={given.setup.text} lines testId="device-setup" />
        <Actions>
          <button type="button" class="button primary" onClick={onClose}>
            Done
          </button>
        </Actions>
      </div>
    </Dialog>
  );
}
