import { Monitor, Moon, Sun } from 'lucide-preact';
import { chooseTheme, nextChoice, themeChoice, type ThemeChoice } from './theme';

const LABELS: Record<ThemeChoice, string> = { system: 'System', light: 'Light', dark: 'Dark' };
const ICONS = { system: Monitor, light: Sun, dark: Moon };

/** Goes round System, Light, Dark. */
export function ThemeToggle() {
  const Icon = ICONS[themeChoice.value];
  const label = `Theme: ${LABELS[themeChoice.value]}`;
  return (
    <button
      type="button"
      class="icon-button"
      data-testid="theme-toggle"
      aria-label={`${label}. Change`}
      title={label}
      onClick={() => chooseTheme(nextChoice(themeChoice.value))}
    >
      <Icon size={18} />
    </button>
  );
}
