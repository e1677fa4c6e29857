//! One day, judged: pure, from what the chain says and the bytes that were committed.
//!
//! A day *holds* when the rebuilt commit is the posted one and every fact that the bundle states is the
//! chain's. It *does not hold* when committed bytes and agreed facts contradict each other; one such
//! proof suffices, whatever else is unknown. Everything else is *cannot tell*, with the reason. A file
//! that nobody gives is rebuilt where the others determine it, and then the committed hash of it speaks.

use std::collections::BTreeMap;

use alloy::primitives::keccak256;
use nodesys_chain::project::KeyValidity;
use nodesys_core::bundle::{
    BUNDLE_JSON, Bundle, BundleError, DayBundle, DayInput, PreviousDay, ProjectInfo, Snapshot,
    build_day,
};
use nodesys_core::files::{
    Difference, PointsRow, RewardRow, Row, UptimeRow, first_difference, parse_file, write_file,
};
use nodesys_core::holders::{DayHolders, Holders};
use nodesys_core::ids::Amount;
use nodesys_core::message::{Domain, Message as _};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, U256};

use super::compare::json_difference;
use super::posted::PostedCommit;
use super::report::{DayReport, Doubt, Finding, line};
use crate::bundles::{Fetched, Reason, commit_of};

mod holders;

/// A fact of the chain, or why it cannot be told.
pub type Fact<T> = Result<T, String>;

/// Why the logs of a token cannot be complete, by collection and token.
pub type DoubtfulTokens = BTreeMap<(Address, U256), String>;

/// What the chain says of a day.
#[derive(Debug)]
pub struct DayFacts<'a> {
    /// Whose day.
    pub project: &'a ProjectInfo,
    /// The commit.
    pub posted: &'a PostedCommit,
    /// When it was posted, seconds since 1970.
    pub posted_secs: Fact<u64>,
    /// First final block at or past the day's end.
    pub snapshot: Fact<Snapshot>,
    /// When the bundle's receipt key counts for the project.
    pub receipt_key: Fact<KeyValidity>,
    /// Whether a collection was the project's on the day.
    pub listed: BTreeMap<Address, Fact<bool>>,
    /// The daily quotas in force between the snapshot and the post.
    pub quotas: Fact<Vec<Amount>>,
    /// Holders and rentals as of the snapshot, folded from logs.
    pub holders: &'a Holders,
    /// Tokens whose logs contradict themselves or the chain's state.
    pub doubtful: DoubtfulTokens,
}

/// The committed files of a day, by name, as far as places gave them.
pub type DayFiles = BTreeMap<&'static str, Fetched>;

/// What became of it.
#[derive(Debug)]
pub struct DayOutcome {
    /// The day in a line.
    pub report: DayReport,
    /// What is proven not to hold.
    pub findings: Vec<Finding>,
    /// What cannot be told.
    pub doubts: Vec<Doubt>,
    /// What the next day builds on, where that is sure.
    pub after: Option<PreviousDay>,
}

/// Judges one day. `before` is what it builds on, where that is known.
///
#[doc = include_str!("day/example.md")]
pub fn audit_day(facts: &DayFacts<'_>, files: &DayFiles, before: Fact<&PreviousDay>) -> DayOutcome {
    let day = facts.posted.day;
    let mut audit = Audit { facts, day, files, findings: Vec::new(), doubts: Vec::new() };
    let mut report = DayReport::of(facts.posted);
    let after = audit.run(before, &mut report);
    DayOutcome { report, findings: audit.findings, doubts: audit.doubts, after }
}

struct Audit<'a> {
    facts: &'a DayFacts<'a>,
    day: UtcDay,
    files: &'a DayFiles,
    findings: Vec<Finding>,
    doubts: Vec<Doubt>,
}

const COMMITTED: &str = "it was committed, but it is wrong";

impl<'a> Audit<'a> {
    fn run(&mut self, before: Fact<&PreviousDay>, report: &mut DayReport) -> Option<PreviousDay> {
        let Some(json) = self.bytes(BUNDLE_JSON) else {
            self.withheld(BUNDLE_JSON);
            return None;
        };
        let bundle = match Bundle::parse(json) {
            Ok(bundle) => bundle,
            Err(error) => {
                self.found(Some(BUNDLE_JSON), error.to_string());
                return None;
            }
        };
        self.check_commit(&bundle, json);
        self.check_closed(&bundle);
        self.check_snapshot(&bundle);
        self.check_quota(&bundle);

        let uptime = self.rows::<UptimeRow>(&bundle);
        if uptime.is_none() && !self.has_finding(UptimeRow::FILE) {
            self.withheld(UptimeRow::FILE);
        }
        if let Some(rows) = &uptime {
            report.licenses = rows.len();
            report.minutes = rows.iter().map(|row| u64::from(row.minutes)).sum();
            self.check_collections(rows);
        }
        let points = self.points(&bundle, uptime.as_deref());
        let holders = self.holders(&bundle, uptime.as_deref());
        let before = before.map_err(|reason| self.doubt(reason)).ok();
        let rebuilt = match (uptime, points, holders, before) {
            (Some(uptime), Some(points), Some(holders), Some(before)) => {
                self.rebuild(&bundle, json, uptime, points, holders, before)
            }
            _ => None,
        };
        if let Some(rebuilt) = &rebuilt {
            report.accounts = rebuilt.rewards.len();
            report.allocated = Some(rebuilt.bundle.totals.allocated);
            report.carry_out = Some(rebuilt.bundle.carry_out);
        }
        self.after(rebuilt, &bundle)
    }

    /// The bundle is of the commit that the chain has: its other fields are fixed by their hash.
    fn check_commit(&mut self, bundle: &Bundle, json: &[u8]) {
        let (given, posted) = (commit_of(bundle, json), &self.facts.posted.commit);
        let fields = [
            ("epoch", given.epoch.to_string(), posted.epoch.to_string()),
            ("revision", given.revision.to_string(), posted.revision.to_string()),
            ("previous", given.previous.to_string(), posted.previous.to_string()),
            ("root", given.root.to_string(), posted.root.to_string()),
            ("totals/cumulative", given.total.to_string(), posted.total.to_string()),
        ];
        for (field, given, posted) in fields {
            if given != posted {
                let pointer = format!("/{field}");
                let difference = line(BUNDLE_JSON, &pointer, 1, Some(given), Some(posted));
                self.differs("the commit on chain says otherwise", Some(difference));
            }
        }
        if bundle.project != *self.facts.project {
            let (given, ours) = (serde_json::to_value(&bundle.project), self.facts.project);
            let (given, ours) = (given.unwrap_or_default(), serde_json::to_value(ours));
            let of = |value: serde_json::Value| Some(value.to_string());
            let difference =
                line(BUNDLE_JSON, "/project", 1, of(given), of(ours.unwrap_or_default()));
            self.differs("it is of another project", Some(difference));
        }
    }

    /// The backend's word for the uptime file: signature, path, and a key that the registry has.
    fn check_closed(&mut self, bundle: &Bundle) {
        let ProjectInfo { chain_id, registry, distributor, .. } = *self.facts.project;
        let closed = &bundle.uptime;
        let domain = Domain::new(chain_id, registry);
        if let Err(error) = closed.verify(&domain, distributor, self.day) {
            self.found(Some(BUNDLE_JSON), format!("the closed day: {error}"));
        }
        if bundle.files.get(UptimeRow::FILE) != Some(&closed.uptime_csv) {
            let problem = format!("the closed day was signed for another {}", UptimeRow::FILE);
            self.found(Some(BUNDLE_JSON), problem);
        }
        let (key, ends) = (closed.receipt_key, self.day.end().secs());
        // Signed at some moment between the day's end and the post.
        let known = self.facts.posted_secs.clone();
        let recorded = known.and_then(|posted| Ok((posted, self.facts.receipt_key.clone()?)));
        match recorded {
            Ok((posted, valid))
                if valid.iter().any(|range| range.start <= posted && ends < range.end) => {}
            Ok(_) => {
                let problem =
                    format!("its receipt key {key} is not recorded in the registry for then");
                self.found(Some(BUNDLE_JSON), problem);
            }
            Err(reason) => self.doubt(format!("the receipt key {key}: {reason}")),
        }
    }

    fn check_snapshot(&mut self, bundle: &Bundle) {
        match &self.facts.snapshot {
            Ok(snapshot) if *snapshot == bundle.snapshot => {}
            Ok(snapshot) => {
                let json = |snapshot: &Snapshot| serde_json::to_vec(snapshot).unwrap_or_default();
                let difference =
                    json_difference(BUNDLE_JSON, &json(&bundle.snapshot), &json(snapshot));
                let difference = difference.map(|difference| Difference {
                    header: format!("/snapshot{}", difference.header),
                    ..difference
                });
                let problem = "it is not the first block past the day's end";
                self.differs(problem, difference);
            }
            Err(reason) => self.doubt(format!("the snapshot block: {reason}")),
        }
    }

    fn check_quota(&mut self, bundle: &Bundle) {
        match &self.facts.quotas {
            Ok(quotas) if quotas.contains(&bundle.daily_quota) => {}
            Ok(quotas) => {
                let computed = quotas.last().map(ToString::to_string);
                let given = Some(bundle.daily_quota.to_string());
                let difference = line(BUNDLE_JSON, "/daily_quota", 1, given, computed);
                self.differs("it was not the daily quota then", Some(difference));
            }
            Err(reason) => self.doubt(format!("the daily quota: {reason}")),
        }
    }

    fn check_collections(&mut self, rows: &[UptimeRow]) {
        let mut unknown: Option<String> = None;
        for (i, row) in rows.iter().enumerate() {
            match self.facts.listed.get(&row.collection) {
                Some(Ok(true)) => {}
                Some(Ok(false)) => {
                    let given = Some(spelled(row));
                    let difference = line(UptimeRow::FILE, UptimeRow::HEADER, i + 2, given, None);
                    let problem =
                        format!("the project does not list the collection {}", row.collection);
                    self.findings.push(Finding::row(self.day, problem, difference));
                    return;
                }
                Some(Err(reason)) => unknown = Some(reason.clone()),
                None => unknown = Some("it was not asked for".to_owned()),
            }
        }
        if let Some(reason) = unknown {
            self.doubt(format!("whether the project lists its collections: {reason}"));
        }
    }

    /// The day's points: by the rule where uptime decides them, else as they were committed.
    fn points(&mut self, bundle: &Bundle, uptime: Option<&[UptimeRow]>) -> Option<Vec<PointsRow>> {
        let uptime = uptime?;
        let Some(computed) = bundle.terms.rule.points(uptime, bundle.uptime.excused) else {
            // How many tasks were counted is in this file and nowhere else.
            let rows = self.rows::<PointsRow>(bundle);
            if rows.is_none() && !self.has_finding(PointsRow::FILE) {
                self.withheld(PointsRow::FILE);
            }
            return rows;
        };
        let csv = write_file(&computed).into_bytes();
        self.hold_against::<PointsRow>(bundle, &csv, "the rule gives other points");
        Some(computed)
    }

    /// The day by core's own function, from what was committed: what it gives must be what was.
    fn rebuild(
        &mut self,
        bundle: &Bundle,
        json: &[u8],
        uptime: Vec<UptimeRow>,
        points: Vec<PointsRow>,
        holders: DayHolders,
        before: &PreviousDay,
    ) -> Option<DayBundle> {
        let input = DayInput {
            project: self.facts.project.clone(),
            day: self.day,
            format: bundle.format,
            revision: self.facts.posted.commit.revision,
            daily_quota: bundle.daily_quota,
            terms: bundle.terms.clone(),
            snapshot: bundle.snapshot,
            closed: bundle.uptime.clone(),
            uptime,
            holders,
            points,
            before: before.clone(),
        };
        let rebuilt = match build_day(&input) {
            Ok(rebuilt) => rebuilt,
            Err(BundleError::Points { license, given, problem }) => {
                let row = input.points.iter().position(|row| row.license == license);
                let at = row.map_or(1, |i| i + 2);
                let given = Some(format!("{license},{given}"));
                let difference = line(PointsRow::FILE, PointsRow::HEADER, at, given, None);
                self.differs(&problem.to_string(), Some(difference));
                return None;
            }
            Err(error) => {
                self.found(None, format!("the day cannot be rebuilt: {error}"));
                return None;
            }
        };
        self.hold_against::<RewardRow>(bundle, &rebuilt.files[RewardRow::FILE], COMMITTED);
        // Only where nothing else was found: every other difference shows in bundle.json as well.
        if self.findings.is_empty() {
            let difference = json_difference(BUNDLE_JSON, json, &rebuilt.files[BUNDLE_JSON]);
            self.differs("it is not what the day's files give", difference);
        }
        Some(rebuilt)
    }

    /// A file that others determine: its committed hash must be that of the computed bytes. Where the
    /// committed bytes are known too, the row is named.
    fn hold_against<R: Row>(&mut self, bundle: &Bundle, computed: &[u8], problem: &str) {
        if bundle.files.get(R::FILE) == Some(&keccak256(computed)) {
            return;
        }
        match self.bytes(R::FILE) {
            Some(given) => self.differs(problem, first_difference(R::FILE, given, computed)),
            None => {
                let problem =
                    format!("{problem}: its committed hash is not that of the right file");
                self.found(Some(R::FILE), problem);
            }
        }
    }

    /// A committed file's rows, where its bytes are known and can be read.
    fn rows<R: Row>(&mut self, bundle: &Bundle) -> Option<Vec<R>> {
        if !bundle.files.contains_key(R::FILE) {
            self.found(Some(BUNDLE_JSON), format!("it names no hash of {}", R::FILE));
            return None;
        }
        let bytes = self.bytes(R::FILE)?;
        match parse_file::<R>(bytes) {
            Ok(rows) => Some(rows),
            Err(error) => {
                let text = String::from_utf8_lossy(bytes);
                let given = text.split('\n').nth(error.line - 1).map(str::to_owned);
                let difference = line(R::FILE, R::HEADER, error.line, given, None);
                self.findings.push(Finding::row(self.day, error.problem, difference));
                None
            }
        }
    }

    /// What the next day builds on: by what was committed, even where that was wrong.
    fn after(&self, rebuilt: Option<DayBundle>, bundle: &Bundle) -> Option<PreviousDay> {
        let commit = self.facts.posted.commit_hash;
        if let Some(rebuilt) = rebuilt.filter(|day| day.commit.struct_hash() == commit) {
            return Some(rebuilt.after());
        }
        let rewards = parse_file::<RewardRow>(self.bytes(RewardRow::FILE)?).ok()?;
        Some(PreviousDay { commit, rewards, carry: bundle.carry_out })
    }

    fn bytes(&self, file: &str) -> Option<&'a [u8]> {
        let files = self.files;
        files.get(file).and_then(|fetched| fetched.bytes.as_deref())
    }

    fn has_finding(&self, file: &str) -> bool {
        self.findings.iter().any(|finding| finding.file.as_deref() == Some(file))
    }

    /// Nobody gave the committed bytes of a file that nothing else determines.
    fn withheld(&mut self, file: &'static str) {
        let passed_over =
            self.files.get(file).map(|file| &file.passed_over[..]).unwrap_or_default();
        let words: Vec<String> =
            passed_over.iter().map(|one| format!("{}: {}", one.place, one.problem)).collect();
        let problem = match passed_over.iter().any(|one| one.reason == Reason::Altered) {
            true => "no place gave it as it was committed",
            false => "no place gave it",
        };
        let words =
            if words.is_empty() { String::new() } else { format!(" ({})", words.join("; ")) };
        self.doubts.push(Doubt {
            day: Some(self.day),
            file: Some(file.to_owned()),
            problem: format!("{problem}{words}"),
            fix: "name another place with --bundles, or ask the owner to publish it".to_owned(),
        });
    }

    fn found(&mut self, file: Option<&str>, problem: String) {
        self.findings.push(Finding::new(self.day, file, problem));
    }

    fn differs(&mut self, problem: &str, difference: Option<Difference>) {
        if let Some(difference) = difference {
            self.findings.push(Finding::row(self.day, problem, difference));
        }
    }

    fn doubt(&mut self, problem: String) {
        self.doubts.push(Doubt::of_the_chain(Some(self.day), problem));
    }
}

/// Whether the bundle names the file of these rows by its hash.
pub(super) fn names<R: Row>(bundle: &Bundle, rows: &[R]) -> bool {
    bundle.files.get(R::FILE) == Some(&keccak256(write_file(rows)))
}

fn spelled<R: Row>(row: &R) -> String {
    let text = write_file(std::slice::from_ref(row));
    text.lines().nth(1).unwrap_or_default().to_owned()
}
