import { ConfirmDialog } from '../ui/ConfirmDialog';
import { withdrawDevice, type Device } from './devices';

interface Props {
  device: Device;
  onWithdrawn: (device: Device) => void;
  onClose: () => void;
}

export function WithdrawDialog({ device, onWithdrawn, onClose }: Props) {
  return (
    <ConfirmDialog
      title={`Withdraw ${device.name}?`}
      label={`Withdraw ${device.name}`}
      busyLabel="Withdrawing…"
      danger
      onConfirm={async () => onWithdrawn(await withdrawDevice(device.id))}
      onClose={onClose}
    >
      <p>
        Its token stops working within seconds, and the phone of {device.driverName ?? 'its driver'} no longer
        reports. What it has reported stays. To use the phone again, give it as a new device.
      </p>
    </ConfirmDialog>
  );
}
