import { useEffect, useRef, useState } from 'preact/hooks';
import { ConsoleContext, openConsole, type Console } from './console';
import { DevicesPage } from './devices/DevicesPage';
import { Header } from './header/Header';
import { InvitePage } from './invite/InvitePage';
import { MapPage } from './map/MapPage';
import { DevicePage } from './quality/DevicePage';
import { MembersPage } from './members/MembersPage';
import { useArrival } from './nav/heading';
import { route } from './nav/route';
import { DriverPage } from './nav/DriverPage';
import { UnknownPage } from './nav/UnknownPage';
import { mayWatch } from './session/roles';
import { SignIn } from './session/SignIn';
import { session } from './session/store';
import { Toast } from './ui/toast';

export function App() {
  const where = route.value;
  if (where.page === 'invite') return <InvitePage key={where.token} token={where.token} />;
  const user = session.value?.user;
  // Only who is signed in matters here: a renewed token must not rebuild the page.
  return user ? <SignedIn key={`${user.id} ${user.orgId} ${mayWatch()}`} /> : <SignIn />;
}

function SignedIn() {
  const [console, setConsole] = useState<Console>();
  useEffect(() => {
    const opened = openConsole();
    setConsole(opened);
    return () => {
      opened.close();
      delete document.body.dataset['ready'];
    };
  }, []);
  if (!console) return null;
  return (
    <ConsoleContext.Provider value={console}>
      <Shell />
    </ConsoleContext.Provider>
  );
}

function Shell() {
  const where = route.value;
  useArrival(where.page);
  // The map's code is loaded with the first visit; from then on the map stays, out of sight, with all that it shows.
  const wasOnMap = useRef(false);
  wasOnMap.current ||= where.page === 'map';
  const watches = mayWatch();
  return (
    <div class="shell">
      <Header />
      {wasOnMap.current && watches && <MapPage hidden={where.page !== 'map'} />}
      {where.page === 'map' && !watches && <DriverPage />}
      {where.page === 'members' && <MembersPage />}
      {where.page === 'devices' && <DevicesPage filter={where.state} />}
      {where.page === 'device' && <DevicePage deviceId={where.id} />}
      {where.page === 'unknown' && <UnknownPage />}
      <Toast />
    </div>
  );
}
