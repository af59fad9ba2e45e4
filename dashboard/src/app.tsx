import { useEffect, useState } from 'preact/hooks';
import { ConsoleContext, openConsole, type Console } from './console';
import { Header } from './header/Header';
import { VehicleList } from './list/VehicleList';
import { MapPane } from './map/MapPane';
import { session } from './session/session';
import { SignIn } from './session/SignIn';
import { TripPanel } from './trip/TripPanel';
import { sheet } from './ui/sheet';

export function App() {
  // Only who is signed in matters here: a renewed token must not rebuild the page.
  return session.value ? <SignedIn key={session.value.user.id} /> : <SignIn />;
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
      <Layout console={console} />
    </ConsoleContext.Provider>
  );
}

function Layout({ console }: { console: Console }) {
  const isOpen = console.view.value.vehicleId !== undefined;
  return (
    <div class="console" data-panel={isOpen ? 'open' : 'closed'} data-sheet={sheet.value}>
      <Header />
      <VehicleList />
      <MapPane />
      {isOpen && <TripPanel key={console.view.value.vehicleId} />}
    </div>
  );
}
