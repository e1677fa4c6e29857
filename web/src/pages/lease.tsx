import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';

import type { Hash } from '../../../sdk-ts/src/parse.js';
import { queries } from '../api/backend.js';
import { Empty, Failed, Loading, PageHead } from '../ui/bits.js';
import { go, useTitle } from '../router.js';
import { Unreadable } from './missing.js';

/** A license by its hash, as signed messages name it: leads to the license's page. */
export function LeasePage({ params }: { params: Record<string, string> }) {
  const text = (params['license'] ?? '').toLowerCase();
  if (!/^0x[0-9a-f]{64}$/.test(text)) {
    return <Unreadable kind="License" problem="This is no hash of a license." advice="A hash is 0x and 64 hex digits." />;
  }
  return <Lease hash={text as Hash} />;
}

function Lease({ hash }: { hash: Hash }) {
  useTitle('License');
  const { data, error, refetch } = useQuery(queries.lease(hash));
  useEffect(() => {
    if (data) go(`/licenses/${data.license.collection}/${data.license.token_id}`, { replace: true });
  }, [data]);
  return (
    <>
      <PageHead kind="License" title={<code className="whole">{hash}</code>} />
      {data === undefined && (error === null ? <Loading what="the license" /> : <Failed error={error} what="the license" again={() => void refetch()} />)}
      {data === null && (
        <Empty title="No license with this hash was ever leased here.">
          A license that nobody ran is found by its collection’s address and number: 0x…/1. A transaction’s hash leads nowhere here.
        </Empty>
      )}
    </>
  );
}
