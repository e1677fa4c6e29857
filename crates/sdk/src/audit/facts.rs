//! Fetching for the verdict on one day: the committed files from any place, and the chain's facts.

use std::collections::{BTreeMap, BTreeSet};

use alloy::eips::BlockNumberOrTag;
use nodesys_chain::listing::last_listing;
use nodesys_chain::ownership::ownership_of;
use nodesys_chain::project::receipt_key_validity;
use nodesys_chain::{ChainError, Provider};
use nodesys_core::bundle::{BUNDLE_JSON, Bundle, Format, PreviousDay, Snapshot};
use nodesys_core::files::{HolderRow, PointsRow, RewardRow, Row, UptimeRow, parse_file};
use nodesys_core::holders::{DayHolders, Holders, Uncounted, UncountedRow};
use nodesys_core::ids::LicenseIndex;
use nodesys_core::license::LicenseId;
use nodesys_core::listing::{IsListed, is_listed};
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_core::{Address, U256};

use super::day::{DayFacts, DayFiles, DoubtfulTokens, Fact, audit_day, names};
use super::history::History;
use super::posted::PostedCommit;
use super::report::{DayReport, Doubt, Finding, Verdict};
use crate::bundles::{PassedOver, Places};

/// A day with its verdict.
#[derive(Debug)]
pub struct Judged {
    /// The day in a line.
    pub report: DayReport,
    /// What is proven not to hold.
    pub findings: Vec<Finding>,
    /// What cannot be told.
    pub doubts: Vec<Doubt>,
    /// Places that failed or gave other bytes.
    pub passed_over: Vec<PassedOver>,
    /// What the next day builds on, where that is sure.
    pub after: Option<PreviousDay>,
}

/// Judges the days of one project, each over the chain and the places it was given.
#[derive(Debug)]
pub struct Auditor<'a> {
    provider: &'a Provider,
    history: &'a History,
    places: Places,
    finality_depth: u64,
    /// Holders up to the last snapshot, and how many logs they took: days mostly come in order.
    holders: Holders,
    folded: usize,
}

fn told<T>(answer: Result<T, ChainError>) -> Fact<T> {
    answer.map_err(|error| error.to_string())
}

impl<'a> Auditor<'a> {
    /// Over these places; one that did not answer is not asked again (see [`Places::fresh`]).
    pub fn new(
        provider: &'a Provider,
        history: &'a History,
        places: &Places,
        finality_depth: u64,
    ) -> Self {
        let (holders, places) = (Holders::default(), places.clone());
        Self { provider, history, places, finality_depth, holders, folded: 0 }
    }

    /// What a day builds on: nothing, or what its places have of the commit before it.
    ///
    /// # Errors
    ///
    /// In words: why it cannot be told.
    pub async fn before(&self, commit: &PostedCommit) -> Fact<PreviousDay> {
        let previous = commit.commit.previous;
        if previous.is_zero() {
            return Ok(PreviousDay::default());
        }
        let day = commit.day.previous().ok_or("there is no day before it")?;
        let found = self.places.after(self.history.project.distributor, day, Some(previous)).await;
        found.map(|(_, before)| before).map_err(|error| error.to_string())
    }

    /// The verdict on one day.
    pub async fn judge(&mut self, commit: &PostedCommit, before: Fact<&PreviousDay>) -> Judged {
        let files = self.files(commit).await;
        let bundle =
            files.get(BUNDLE_JSON).and_then(|file| Bundle::parse(file.bytes.as_deref()?).ok());
        let uptime = files
            .get(UptimeRow::FILE)
            .and_then(|file| parse_file::<UptimeRow>(file.bytes.as_deref()?).ok());
        let snapshot = self.snapshot(commit).await;
        let posted_secs = self.posted_secs(commit).await;
        let receipt_key = match &bundle {
            Some(bundle) => {
                let project = &self.history.project;
                let (own, key) = (Some(project.distributor), bundle.uptime.receipt_key);
                told(receipt_key_validity(self.provider, project.registry, own, key).await)
            }
            None => Err("its bundle is not known".to_owned()),
        };
        let up_to = snapshot.as_ref().map_or(0, |snapshot| snapshot.block_number);
        self.fold(up_to);
        let rows = uptime.as_deref().unwrap_or_default();
        let facts = DayFacts {
            project: &self.history.project,
            posted: commit,
            posted_secs,
            receipt_key,
            listed: self.listed(rows, commit.day).await,
            quotas: match &snapshot {
                Ok(_) => self.history.quotas(commit.commit.epoch, up_to, commit.block_number),
                Err(reason) => Err(reason.clone()),
            },
            doubtful: self.doubtful(&files, bundle.as_ref(), rows, &snapshot).await,
            snapshot,
            holders: &self.holders,
        };
        let outcome = audit_day(&facts, &files, before);
        let mut report = outcome.report;
        report.active = commit.activates_at <= self.history.newest.secs;
        report.verdict = Verdict::of(!outcome.findings.is_empty(), !outcome.doubts.is_empty());
        Judged {
            report,
            findings: outcome.findings,
            doubts: outcome.doubts,
            passed_over: files.into_values().flat_map(|file| file.passed_over).collect(),
            after: outcome.after,
        }
    }

    /// The committed files of a day, as far as places give them.
    async fn files(&self, commit: &PostedCommit) -> DayFiles {
        let (project, day) = (self.history.project.distributor, commit.day);
        let json = self.places.committed(project, day, BUNDLE_JSON, commit.commit.data_hash).await;
        let bundle = json.bytes.as_deref().and_then(|bytes| Bundle::parse(bytes).ok());
        let mut files = DayFiles::from([(BUNDLE_JSON, json)]);
        let Some(bundle) = bundle else { return files };
        let tables = [
            UptimeRow::FILE,
            HolderRow::FILE,
            UncountedRow::FILE,
            PointsRow::FILE,
            RewardRow::FILE,
        ];
        for name in tables {
            if let Some(&expected) = bundle.files.get(name) {
                files.insert(name, self.places.committed(project, day, name, expected).await);
            }
        }
        files
    }

    async fn snapshot(&self, commit: &PostedCommit) -> Fact<Snapshot> {
        let secs = commit.day.end().secs();
        let found = self.provider.first_block_at_or_after(secs, self.finality_depth).await;
        let missing = || format!("no final block at or after {} yet", Timestamp::from_secs(secs));
        told(found)?.map(Into::into).ok_or_else(missing)
    }

    async fn posted_secs(&self, commit: &PostedCommit) -> Fact<u64> {
        let found = self.provider.block(BlockNumberOrTag::Number(commit.block_number)).await;
        let missing = || format!("the RPC has no block {}", commit.block_number);
        told(found)?.map(|block| block.secs).ok_or_else(missing)
    }

    /// Holders as of a block.
    fn fold(&mut self, up_to: u64) {
        let logs = &self.history.license_logs;
        // A day before the last one: folding cannot be undone, so it begins anew.
        if self.folded.checked_sub(1).is_some_and(|last| logs[last].block_number > up_to) {
            (self.holders, self.folded) = (Holders::default(), 0);
        }
        while let Some(log) = logs.get(self.folded).filter(|log| log.block_number <= up_to) {
            self.holders.apply(log.event);
            self.folded += 1;
        }
    }

    /// Whether each collection was the project's on the day.
    async fn listed(&self, rows: &[UptimeRow], day: UtcDay) -> BTreeMap<Address, Fact<bool>> {
        let collections: BTreeSet<Address> = rows.iter().map(|row| row.collection).collect();
        let mut listed = BTreeMap::new();
        for collection in collections {
            listed.insert(collection, self.is_listed(collection, day).await);
        }
        listed
    }

    async fn is_listed(&self, collection: Address, day: UtcDay) -> Fact<bool> {
        let project = &self.history.project;
        let last = told(last_listing(self.provider, project.registry, collection).await)?;
        let logged = &self.history.listings;
        match is_listed(project.distributor, collection, day, last.as_ref(), logged) {
            IsListed::Yes => Ok(true),
            IsListed::No => Ok(false),
            IsListed::CannotTell => {
                Err(format!("the RPC has no logs of a listing of {collection} on {day}"))
            }
        }
    }

    /// Tokens whose holder by the logs is not the committed one, and where the logs may be at fault.
    async fn doubtful(
        &self,
        files: &DayFiles,
        bundle: Option<&Bundle>,
        rows: &[UptimeRow],
        snapshot: &Fact<Snapshot>,
    ) -> DoubtfulTokens {
        let Some(bundle) = bundle else { return DoubtfulTokens::new() };
        let folded = self.holders.of_day(rows, bundle.snapshot.block_secs, bundle.format);
        // Mostly so, and then no call has to be made.
        if is_committed(bundle, &folded) {
            return DoubtfulTokens::new();
        }
        let committed = committed(files, bundle.format);
        let ours = by_license(&folded);
        let theirs = committed.as_ref().map(by_license);
        let differs = |row: &UptimeRow| {
            theirs.as_ref().is_none_or(|theirs| theirs.get(&row.license) != ours.get(&row.license))
        };
        let suspects: Vec<(Address, U256)> = rows
            .iter()
            .filter(|row| differs(row))
            .map(|row| (row.collection, row.token_id))
            .collect();
        let all = |reason: String| suspects.iter().map(|one| (*one, reason.clone())).collect();
        if let Err(reason) = snapshot {
            return all(reason.clone());
        }
        if let Some(reason) = self.history.doubt() {
            return all(reason);
        }
        self.contradicted(&suspects).await.unwrap_or_else(all)
    }

    /// Tokens whose logs contradict themselves, or the holder that the chain's state has now.
    async fn contradicted(&self, suspects: &[(Address, U256)]) -> Fact<DoubtfulTokens> {
        let newest = self.history.newest;
        let chain_id = self.history.project.chain_id;
        let license = |&(collection, token_id): &(Address, U256)| LicenseId {
            chain_id,
            collection,
            token_id,
        };
        let licenses: Vec<LicenseId> = suspects.iter().map(license).collect();
        let at = BlockNumberOrTag::Number(newest.number);
        let called = told(ownership_of(self.provider, &licenses, at).await)?;
        let mut doubtful = DoubtfulTokens::new();
        for (&(collection, token_id), called) in suspects.iter().zip(called.facts) {
            let now = self.history.holders_now();
            let reason = match now.counted_at(collection, token_id, newest.secs) {
                // As complete logs would have it too, where nobody ever held it.
                Err(Uncounted::NoTransfer) if called.holder.is_none() => continue,
                Err(reason) => format!("by its logs at the RPC, {reason}: they may not be all"),
                Ok(folded) if folded == called => continue,
                Ok(_) => "logs and calls of the RPC disagree about who holds it now".to_owned(),
            };
            doubtful.insert((collection, token_id), reason);
        }
        Ok(doubtful)
    }
}

/// Whether the bundle names these rows' files by their hash.
fn is_committed(bundle: &Bundle, holders: &DayHolders) -> bool {
    names::<HolderRow>(bundle, &holders.rows)
        && (bundle.format == Format::One || names::<UncountedRow>(bundle, &holders.uncounted))
}

/// The committed rows, where a place gave them and they can be read.
fn committed(files: &DayFiles, format: Format) -> Option<DayHolders> {
    let bytes = |file: &str| files.get(file)?.bytes.as_deref();
    let rows = parse_file::<HolderRow>(bytes(HolderRow::FILE)?).ok()?;
    let uncounted = match format {
        Format::One => Vec::new(),
        Format::Two => parse_file::<UncountedRow>(bytes(UncountedRow::FILE)?).ok()?,
    };
    Some(DayHolders { rows, uncounted })
}

/// Holder, renter and the reason not to count it, of each license.
fn by_license(
    holders: &DayHolders,
) -> BTreeMap<LicenseIndex, (Address, Address, Option<Uncounted>)> {
    let row = |row: &HolderRow| (row.license, (row.holder, row.renter, None));
    let mut by_license: BTreeMap<_, _> = holders.rows.iter().map(row).collect();
    for one in &holders.uncounted {
        by_license.entry(one.license).or_default().2 = Some(one.reason);
    }
    by_license
}
