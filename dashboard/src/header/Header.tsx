import { LogOut } from 'lucide-preact';
import { SkipLink } from '../nav/heading';
import { Nav } from '../nav/Nav';
import { isMapShown, route } from '../nav/route';
import { mayWatch } from '../session/roles';
import { signOut } from '../session/session';
import { session } from '../session/store';
import { ThemeToggle } from '../theme/ThemeToggle';
import { Logo } from '../ui/Logo';
import { ConnectionPill } from './ConnectionPill';
import { Figures } from './Figures';

export function Header() {
  const user = session.value?.user;
  const who = user?.name ?? user?.email ?? user?.phone ?? 'Signed in';
  return (
    <header class="header">
      <SkipLink page={route.value.page} />
      <div class="brand">
        <Logo />
        <span class="brand-name">Waypost</span>
      </div>
      <Nav />
      {isMapShown.value && mayWatch() && <Figures />}
      <div class="header-end">
        {mayWatch() && <ConnectionPill />}
        <div class="who">
          <span class="who-name">{who}</span>
          {user?.orgName && <span class="who-org">{user.orgName}</span>}
        </div>
        <ThemeToggle />
        <button
          type="button"
          class="icon-button"
          data-testid="sign-out"
          aria-label="Sign out"
          title={`Sign out ${who}`}
          onClick={() => void signOut()}
        >
          <LogOut size={18} />
        </button>
      </div>
    </header>
  );
}
