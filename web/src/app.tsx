/** The frame around every page, and which page an address shows. */

import { useQuery } from '@tanstack/react-query';
import { type ComponentType, lazy, Suspense, useEffect, useRef } from 'react';

import { queries } from './api/backend.js';
import { Hash, Loading } from './ui/bits.js';
import { Stale } from './ui/fresh.js';
import { Search } from './ui/search.js';
import { ThemeButton } from './ui/theme.js';
import { Home } from './pages/home.js';
import { Link, matched, usePath } from './router.js';

type Params = Record<string, string>;
type Page = ComponentType<{ params: Params }>;
const page = (load: () => Promise<Page>) => lazy(async () => ({ default: await load() }));

const PAGES: [pattern: string, page: Page][] = [
  ['', Home],
  ['/projects/:project', page(async () => (await import('./pages/project.js')).ProjectPage)],
  ['/projects/:project/days/:day', page(async () => (await import('./pages/day.js')).DayPage)],
  ['/nodes/:key', page(async () => (await import('./pages/node.js')).NodePage)],
  ['/licenses/:collection/:token', page(async () => (await import('./pages/license.js')).LicensePage)],
  ['/leases/:license', page(async () => (await import('./pages/lease.js')).LeasePage)],
  ['/accounts/:address', page(async () => (await import('./pages/account.js')).AccountPage)],
  ['/accounts/:address/rewards/:project', page(async () => (await import('./pages/reward.js')).RewardPage)],
  ['/operators/:address', page(async () => (await import('./pages/fleet.js')).FleetPage)],
  ['/pair/:pairing', page(async () => (await import('./pages/pair.js')).PairPage)],
  ['/status', page(async () => (await import('./pages/status.js')).StatusPage)],
];
const Missing = page(async () => (await import('./pages/missing.js')).MissingPage);

export function App() {
  const path = usePath();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    // After a step a screen reader goes on at the new page, not at the link that is gone.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [path]);
  const found = PAGES.map(([pattern, Shown]) => ({ Shown, params: matched(pattern, path) })).find(({ params }) => params);
  const Shown = found?.Shown ?? Missing;
  return (
    <>
      <a className="skip" href="#main">Skip to the page</a>
      <header className="top">
        <div className="wide">
          <Link to="/" className="logo">
            <svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
              <path fill="currentColor" d="M4 4h4v16H4zm6 6h4v10h-4zm6 4h4v6h-4z" />
            </svg>
            Node System
          </Link>
          {path !== '/' && <Search />}
          <nav aria-label="Pages">
            <Link to="/status" aria-current={path === '/status' ? 'page' : undefined}>Status</Link>
            <ThemeButton />
          </nav>
        </div>
      </header>
      <main id="main" tabIndex={-1} ref={main} className="wide">
        <Stale />
        <Suspense fallback={<Loading what="the page" lines={6} />}>
          <Shown key={path} params={found?.params ?? {}} />
        </Suspense>
      </main>
      <Foot />
    </>
  );
}

function Foot() {
  const { data } = useQuery(queries.network());
  return (
    <footer className="wide foot">
      <p>
        All times are UTC; a pointer on a time shows yours. What is public needs no login, and no third party is asked.
      </p>
      {data !== undefined && (
        <p>
          Chain {`${data.chain_id}`} · registry <Hash hash={data.registry} /> · backend {data.version.slice(0, 40)} · <a href="/v1/openapi.json">API</a>
        </p>
      )}
    </footer>
  );
}
