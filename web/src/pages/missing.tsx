import { PageHead } from '../ui/bits.js';
import { Link, useTitle } from '../router.js';

/** No page has this address. */
export function MissingPage() {
  useTitle('No such page');
  return (
    <>
      <PageHead kind="404" title="There is no such page" />
      <p>The address may have been cut off. Look it up above, or go to <Link to="/">the start</Link>.</p>
    </>
  );
}

/** The address of a page names something that cannot be. */
export function Unreadable({ kind, problem, advice }: { kind: string; problem: string; advice: string }) {
  useTitle(`Not a ${kind.toLowerCase()}`);
  return (
    <>
      <PageHead kind={kind} title={`This is no ${kind.toLowerCase()}`} />
      <div className="failed" role="alert">
        <p className="empty-title">{problem}</p>
        <p>{advice}</p>
      </div>
    </>
  );
}
