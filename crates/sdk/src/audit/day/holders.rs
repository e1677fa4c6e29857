//! Who held the licenses of a day, as committed, held against the logs row by row.

use std::collections::BTreeMap;

use nodesys_core::bundle::{Bundle, Format};
use nodesys_core::files::{HolderRow, Row, UptimeRow};
use nodesys_core::holders::{DayHolders, UncountedRow};
use nodesys_core::ids::LicenseIndex;

use super::{Audit, COMMITTED, line, names, spelled};

impl Audit<'_> {
    /// Holders, renters and who is not counted, as committed, once each row is held against the chain.
    pub(super) fn holders(
        &mut self,
        bundle: &Bundle,
        uptime: Option<&[UptimeRow]>,
    ) -> Option<DayHolders> {
        let uptime = uptime?;
        let block_secs = bundle.snapshot.block_secs;
        let folded = self.facts.holders.of_day(uptime, block_secs, bundle.format);
        let rows = self.committed_rows(bundle, &folded.rows);
        let uncounted = match bundle.format {
            Format::One => Some(Vec::new()),
            Format::Two => self.committed_rows(bundle, &folded.uncounted),
        };
        let committed = DayHolders { rows: rows?, uncounted: uncounted? };
        if committed != folded {
            self.compare_holders(&committed, &folded, uptime);
        }
        Some(committed)
    }

    /// The rows of a file as they were committed: ours where they have its hash.
    fn committed_rows<R: Row + Clone>(&mut self, bundle: &Bundle, ours: &[R]) -> Option<Vec<R>> {
        if names(bundle, ours) {
            return Some(ours.to_vec());
        }
        let rows = self.rows::<R>(bundle);
        if rows.is_none() && !self.has_finding(R::FILE) {
            if self.facts.doubtful.is_empty() {
                let problem = "its committed hash is not that of the holders on chain";
                self.found(Some(R::FILE), problem.to_owned());
            } else {
                self.withheld(R::FILE);
            }
        }
        rows
    }

    fn compare_holders(&mut self, committed: &DayHolders, ours: &DayHolders, uptime: &[UptimeRow]) {
        let (given_reasons, our_reasons) = (reasons(committed), reasons(ours));
        let mut reason: Option<String> = None;
        for (i, (row, uptime)) in ours.rows.iter().zip(uptime).enumerate() {
            let given = committed.rows.get(i);
            let (given_reason, our_reason) =
                (given_reasons.get(&row.license), our_reasons.get(&row.license));
            let same_reason = given_reason.map(|(_, row)| row) == our_reason.map(|(_, row)| row);
            if given == Some(row) && same_reason {
                continue;
            }
            if let Some(why) = self.facts.doubtful.get(&(uptime.collection, uptime.token_id)) {
                reason.get_or_insert_with(|| {
                    format!("the holder of license {} ({}): {why}", row.license, uptime.token_id)
                });
                continue;
            }
            let difference = if same_reason {
                let given = given.map(spelled);
                line(HolderRow::FILE, HolderRow::HEADER, i + 2, given, Some(spelled(row)))
            } else {
                let at = given_reason.or(our_reason).map_or(1, |(at, _)| *at);
                let text =
                    |found: Option<&(usize, &UncountedRow)>| found.map(|(_, row)| spelled(*row));
                let (given, computed) = (text(given_reason), text(our_reason));
                line(UncountedRow::FILE, UncountedRow::HEADER, at, given, computed)
            };
            self.differs(COMMITTED, Some(difference));
            // One proof is enough, and a shifted file would differ in each row.
            break;
        }
        if let Some(extra) = committed.rows.get(ours.rows.len()) {
            let at = ours.rows.len() + 2;
            let difference =
                line(HolderRow::FILE, HolderRow::HEADER, at, Some(spelled(extra)), None);
            self.differs("there is no such license in uptime.csv", Some(difference));
        }
        if let Some(reason) = reason {
            self.doubt(reason);
        }
    }
}

/// The rows of `uncounted.csv` with their lines, by license.
fn reasons(holders: &DayHolders) -> BTreeMap<LicenseIndex, (usize, &UncountedRow)> {
    holders.uncounted.iter().enumerate().map(|(i, row)| (row.license, (i + 2, row))).collect()
}
