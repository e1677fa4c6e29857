//! Rows of `uptime_count`: the minutes of every license on a closed day as numbers, so that a year of one license
//! is read by offset instead of out of a year of files.

use nodesys_core::api::MinuteCounts;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::time::UtcDay;
use sqlx::PgConnection;

use super::column;

/// Numbers of every license by its index, 6 bytes each: zeros where it has no row in the day's files.
#[derive(Debug, Default)]
pub(crate) struct Counts(Vec<u8>);

const BYTES: usize = 6;

impl Counts {
    pub(crate) fn set(
        &mut self,
        license: LicenseIndex,
        counts: MinuteCounts,
    ) -> anyhow::Result<()> {
        let at = usize::try_from(license.0)? * BYTES;
        if self.0.len() < at + BYTES {
            self.0.resize(at + BYTES, 0);
        }
        let numbers = [counts.minutes, counts.expected, counts.excused];
        for (place, number) in self.0[at..at + BYTES].chunks_exact_mut(2).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        Ok(())
    }
}

/// Of a slice of a row: empty beyond its end.
fn parse(bytes: &[u8]) -> MinuteCounts {
    match bytes {
        [a, b, c, d, e, f] => MinuteCounts {
            minutes: u16::from_be_bytes([*a, *b]),
            expected: u16::from_be_bytes([*c, *d]),
            excused: u16::from_be_bytes([*e, *f]),
        },
        _ => MinuteCounts::default(),
    }
}

/// The newest closed day from `first` on that is not counted.
pub(crate) async fn next_uncounted(
    conn: &mut PgConnection,
    first: UtcDay,
) -> anyhow::Result<Option<UtcDay>> {
    let day = sqlx::query_scalar!(
        "select max(d.day) from day d where d.closed_at is not null and d.day >= $1
            and not exists (select from uptime_count c where c.day = d.day)",
        column::day_number(first)?
    )
    .fetch_one(conn)
    .await?;
    day.map(column::day).transpose()
}

/// Stores a day's counts. Whoever counts a closed day counts the same.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    day: UtcDay,
    counts: &Counts,
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into uptime_count (day, counts) values ($1, $2) on conflict do nothing",
        column::day_number(day)?,
        counts.0.as_slice()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets days before one.
pub(crate) async fn forget(conn: &mut PgConnection, before: UtcDay) -> anyhow::Result<()> {
    sqlx::query!("delete from uptime_count where day < $1", column::day_number(before)?)
        .execute(conn)
        .await?;
    Ok(())
}

/// A license's closed days from `first` to `last`, in rising order; none where a day is not counted yet.
pub(crate) async fn of_license(
    conn: &mut PgConnection,
    license: LicenseIndex,
    first: UtcDay,
    last: UtcDay,
) -> anyhow::Result<Vec<(UtcDay, Option<MinuteCounts>)>> {
    let from = usize::try_from(license.0)? * BYTES + 1;
    let rows = sqlx::query!(
        r#"select d.day, substring(c.counts from $3 for $4) as counts
           from day d left join uptime_count c on c.day = d.day
           where d.day between $1 and $2 and d.closed_at is not null order by d.day"#,
        column::day_number(first)?,
        column::day_number(last)?,
        i32::try_from(from)?,
        i32::try_from(BYTES)?
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((column::day(row.day)?, row.counts.as_deref().map(parse))))
        .collect()
}
