import { signal } from '@preact/signals';

/** On a phone the list lies below the map as a sheet: half the screen, or nearly all of it, or only its head. */
export type Sheet = 'half' | 'full' | 'peek';

export const sheet = signal<Sheet>('half');
