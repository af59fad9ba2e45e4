import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { ConfirmDialog } from '../ui/ConfirmDialog';
import { wishKeys } from '../ui/ids';
import { renewToken, type Device, type Given } from './devices';
import { TokenDialog } from './TokenDialog';

/** A second thought first, then the token, once. */
export function NewTokenDialog({ device, onClose }: { device: Device; onClose: () => void }) {
  const given = useSignal<Given | undefined>(undefined);
  const keyFor = useMemo(wishKeys, []);
  if (given.value) return <TokenDialog given={given.value} onClose={onClose} />;
  return (
    <ConfirmDialog
      title={`New token for ${device.name}?`}
      label="Make a new token"
      busyLabel="Making…"
      onConfirm={async () => {
        given.value = await renewToken(device.id, keyFor(device.id));
      }}
      onClose={onClose}
    >
      <p>
        For a phone that is set up anew. The old token goes on for 24 hours, so that the phone reports until
        it has the new one. If the old one may be in wrong hands, withdraw the device instead.
      </p>
    </ConfirmDialog>
  );
}
