/** The map's colours are the page's design tokens (tokens.css), so light and dark have one source. */
const TOKENS = {
  water: '--map-water',
  land: '--map-land',
  border: '--map-border',
  grid: '--map-grid',
  street: '--map-street',
  streetCasing: '--map-street-casing',
  label: '--map-label',
  halo: '--map-halo',
  outline: '--map-outline',
  moving: '--moving',
  stopped: '--stopped',
  silent: '--silent',
  accent: '--accent',
} as const;

export type Palette = Record<keyof typeof TOKENS, string>;

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const entries = Object.entries(TOKENS).map(([name, token]) => [name, style.getPropertyValue(token).trim()]);
  return Object.fromEntries(entries) as Palette;
}
