import { useConsole } from '../console';
import { VehicleList } from '../list/VehicleList';
import { TripPanel } from '../trip/TripPanel';
import { sheet } from '../ui/sheet';
import { MapPane } from './MapPane';

/** The live map, the list in step with it, and the panel of the selected vehicle. */
export function MapPage({ hidden }: { hidden: boolean }) {
  const { view } = useConsole();
  const vehicleId = view.value.vehicleId;
  return (
    <div
      class="console"
      hidden={hidden}
      data-panel={vehicleId === undefined ? 'closed' : 'open'}
      data-sheet={sheet.value}
    >
      <VehicleList />
      <MapPane />
      {vehicleId !== undefined && <TripPanel key={vehicleId} />}
    </div>
  );
}
