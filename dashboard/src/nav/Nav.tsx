import { Map as MapIcon, Smartphone, Users } from 'lucide-preact';
import { maySeeRegisters } from '../session/roles';
import { PAGE_TITLES, route, type PageName } from './route';

const LINKS = [
  { page: 'map', href: '#/', label: 'Map', Icon: MapIcon },
  { page: 'members', href: '#/members', label: PAGE_TITLES.members, Icon: Users },
  { page: 'devices', href: '#/devices', label: PAGE_TITLES.devices, Icon: Smartphone },
] as const;

const isWithin = (page: PageName, current: PageName) => page === 'devices' && current === 'device';

/** For who may see no other page there is nothing to navigate. */
export function Nav() {
  if (!maySeeRegisters()) return null;
  const current: PageName = route.value.page;
  return (
    <nav class="nav" aria-label="Pages">
      {LINKS.map(({ page, href, label, Icon }) => (
        <a
          key={page}
          class="nav-link"
          data-testid={`nav-${page}`}
          href={href}
          aria-current={page === current ? 'page' : isWithin(page, current) ? 'true' : undefined}
        >
          <Icon size={16} aria-hidden="true" />
          {label}
        </a>
      ))}
    </nav>
  );
}
