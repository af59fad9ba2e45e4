import { VEHICLE_STATES, type Row, type VehicleState } from './vehicle';

export interface Filter {
  query: string;
  state: VehicleState | 'all';
}

export const NO_FILTER: Filter = { query: '', state: 'all' };

/** The rows whose words hold every word of the query, in the state asked for. Keeps their order. */
export function matching(rows: readonly Row[], filter: Filter): Row[] {
  const words = filter.query.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (filter.state !== 'all' && row.state !== filter.state) return false;
    const text = words.length === 0 ? '' : searchText(row);
    return words.every((word) => text.includes(word));
  });
}

export function countByState(rows: readonly Row[]): Record<VehicleState | 'all', number> {
  const counts = { all: rows.length, moving: 0, stopped: 0, silent: 0 };
  for (const row of rows) counts[row.state] += 1;
  return counts;
}

function searchText({ name, trip }: Row): string {
  return [name, trip?.reference, trip?.driverName, trip?.truckName, trip?.customerName, trip?.destination]
    .filter(Boolean)
    .join(' ')
    .toLowerCase();
}

/** What the address bar keeps, so that a view can be reloaded and shared. */
export interface View extends Filter {
  vehicleId: string | undefined;
}

export function viewFromSearch(search: string): View {
  const params = new URLSearchParams(search);
  const state = params.get('state');
  return {
    query: params.get('q') ?? '',
    state: VEHICLE_STATES.find((each) => each === state) ?? 'all',
    vehicleId: params.get('vehicle') ?? undefined,
  };
}

/** Leaves parameters alone that are not the view's. */
export function searchWithView(search: string, view: View): string {
  const params = new URLSearchParams(search);
  const put = (name: string, value: string | undefined) =>
    value ? params.set(name, value) : params.delete(name);
  put('q', view.query);
  put('state', view.state === 'all' ? undefined : view.state);
  put('vehicle', view.vehicleId);
  const text = params.toString();
  return text ? `?${text}` : '';
}
