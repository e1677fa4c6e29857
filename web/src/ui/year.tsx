/** A license's year: a cell for each day. Loaded after its page. */

import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

import type { LicenseView } from '../../../sdk-ts/src/api/views.js';
import { queries } from '../api/backend.js';
import { count, DAY_MILLIS, daysDown, dayStart, dayText, percent } from '../lib/format.js';
import { countCell } from '../lib/minutes.js';
import { Card, Failed, Loading } from './bits.js';
import { HeatMap } from './heat.js';

const YEAR = 365;

export function Year({ id, firstDay, today, chosen, choose }: {
  id: LicenseView['license']; firstDay: string; today: string; chosen: string; choose: (day: string) => void;
}) {
  const year = useMemo(() => daysDown(dayText(dayStart(today) - (YEAR - 1) * DAY_MILLIS), today, YEAR).toReversed(), [today]);
  const { data, error, refetch } = useQuery(queries.licenseDays(id.collection, id.token_id, year[0] ?? today, today));
  const cells = useMemo(() => {
    const known = new Map(data?.days.map((one) => [one.day, one]));
    return year.map((day) => countCell(day, firstDay, known.get(day)));
  }, [data, year, firstDay]);
  const [due, met] = cells.reduce(([all, up], one) => [all + one.due, up + one.minutes], [0, 0]);
  return (
    <Card title="Days" says="backend" tools={data !== undefined && <span className="quiet">{percent(met, due)} of {count(due)} due minutes</span>}>
      {data === undefined
        ? error === null ? <Loading what="the days" lines={5} /> : <Failed error={error} what="the days" again={() => void refetch()} />
        : <HeatMap cells={cells} chosen={chosen} choose={choose} />}
      {firstDay > (year[0] ?? '') && <p className="quiet">Before {firstDay}, the project’s first day, no day counts yet.</p>}
    </Card>
  );
}
