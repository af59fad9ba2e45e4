import { LogOut } from 'lucide-preact';
import { session, signOut } from '../session/session';
import { ThemeToggle } from '../theme/ThemeToggle';
import { Logo } from '../ui/Logo';
import { ConnectionPill } from './ConnectionPill';
import { Figures } from './Figures';

export function Header() {
  const user = session.value?.user;
  const who = user?.name ?? user?.email ?? user?.phone ?? 'Signed in';
  return (
    <header class="header">
      <h1 class="brand">
        <Logo />
        <span class="brand-name">Waypost</span>
      </h1>
      <Figures />
      <div class="header-end">
        <ConnectionPill />
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
          title="Sign out"
          onClick={signOut}
        >
          <LogOut size={18} />
        </button>
      </div>
    </header>
  );
}
