//! One day, audited: pure, from what the chain says and the bytes that were published.
//!
//! The day is rebuilt by the same `build_day` that made it, from what cannot be argued about: the
//! signed uptime, the holders folded from logs, the points by the rule, the day before. Each
//! published file is then held against the rebuilt one. So that one changed byte gives one
//! finding, a damaged file is replaced by what its committed hash proves it to have been, where
//! that can be found.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::keccak256;
use nodesys_core::bundle::{
    BUNDLE_JSON, Before, Bundle, DayBundle, DayInput, ProjectInfo, Snapshot, TREE_JSON, build_day,
};
use nodesys_core::files::{
    Difference, HolderRow, PointsRow, RewardRow, Row, UptimeRow, first_difference, parse_file,
    write_file,
};
use nodesys_core::holders::Holders;
use nodesys_core::ids::Amount;
use nodesys_core::message::{Domain, Message as _, RewardCommit, SignedCommit};
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};

use super::compare::{JSON, TABLE, json_difference, line_range, restore};
use super::report::{DayReport, Finding, line};
use crate::bundles::{COMMIT_JSON, commit_of};
use crate::day::holder_rows;

/// A commit that stands on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedCommit {
    /// Its day.
    pub day: UtcDay,
    /// Its revision.
    pub revision: u32,
    /// Struct hash of the commit before.
    pub previous: B256,
    /// Its root.
    pub root: B256,
    /// Its total.
    pub total: Amount,
    /// keccak256 of its `bundle.json`.
    pub data_hash: B256,
    /// Its struct hash.
    pub commit_hash: B256,
    /// When it becomes active, seconds since 1970.
    pub activates_at: u64,
    /// The block it was posted in.
    pub block_number: u64,
    /// The transaction that posted it.
    pub transaction: B256,
}

/// What the chain says of a day.
#[derive(Debug)]
pub struct DayFacts<'a> {
    /// Whose day.
    pub project: &'a ProjectInfo,
    /// The commit.
    pub posted: &'a PostedCommit,
    /// When it was posted, seconds since 1970.
    pub posted_secs: u64,
    /// First final block at or past the day's end.
    pub snapshot: Option<Snapshot>,
    /// Holders and rentals as of that block.
    pub holders: &'a Holders,
    /// The daily quotas in force between that block and the post, the newest last.
    pub quotas: Vec<Amount>,
    /// Receipt keys of the registry with their validity.
    pub receipt_keys: &'a BTreeMap<Address, (u64, u64)>,
    /// Collections that the project listed.
    pub collections: BTreeSet<Address>,
}

/// What became of it.
#[derive(Debug)]
pub struct DayOutcome {
    /// The day in a line.
    pub report: DayReport,
    /// What does not hold.
    pub findings: Vec<Finding>,
    /// What the next day builds on, where that is sure.
    pub after: Option<Before>,
}

/// The published files of a day, by name.
pub type Files = BTreeMap<&'static str, Vec<u8>>;

/// Audits one day. `before` is what it builds on, where that is known.
pub fn audit_day(facts: &DayFacts<'_>, files: &Files, before: Option<&Before>) -> DayOutcome {
    let mut audit = Audit { facts, day: facts.posted.day, files, findings: Vec::new() };
    let mut report = audit.empty_report();
    let after = audit.run(before, &mut report);
    DayOutcome { report, findings: audit.findings, after }
}

struct Audit<'a> {
    facts: &'a DayFacts<'a>,
    day: UtcDay,
    files: &'a Files,
    findings: Vec<Finding>,
}

/// A file's bytes as far as they are known, and whether they are what was committed.
struct Checked {
    bytes: Vec<u8>,
    committed: bool,
    expected: B256,
}

const CHANGED: &str = "it was changed after it was committed";

impl Audit<'_> {
    fn run(&mut self, before: Option<&Before>, report: &mut DayReport) -> Option<Before> {
        let json = self.checked_json()?;
        let bundle = match Bundle::parse(&json.bytes) {
            Ok(bundle) => bundle,
            Err(error) => {
                self.found(Some(BUNDLE_JSON), error.to_string());
                return None;
            }
        };
        let uptime_file = self.checked::<UptimeRow>(&bundle);
        // Nothing else says what the minutes were, so a changed byte has to be found and undone.
        let uptime_file = uptime_file.map(|file| self.restored::<UptimeRow>(file));
        let holders_file = self.checked::<HolderRow>(&bundle);
        let mut points_file = self.checked::<PointsRow>(&bundle);
        if bundle.terms.rule.counts_tasks() {
            // How many tasks were counted stands nowhere else.
            points_file = points_file.map(|file| self.restored::<PointsRow>(file));
        }
        let mut rewards_file = self.checked::<RewardRow>(&bundle);
        self.check_closed(&bundle);

        let uptime = uptime_file.as_ref().and_then(|file| self.parsed::<UptimeRow>(file));
        if let Some(rows) = &uptime {
            report.licenses = rows.len();
            report.minutes = rows.iter().map(|row| u64::from(row.minutes)).sum();
            self.check_collections(rows);
        }
        let trusted = uptime_file.as_ref().is_some_and(|file| file.committed);
        if let (Some(rows), false) = (&uptime, trusted) {
            self.blame_uptime(&bundle, rows, points_file.as_ref());
        }
        let rebuilt = match (&uptime, trusted, before) {
            (Some(rows), true, Some(before)) => {
                self.rebuild(&bundle, rows, before, points_file.as_ref())
            }
            _ => None,
        };
        match &rebuilt {
            Some(rebuilt) => {
                self.hold_against::<HolderRow>(rebuilt, holders_file.as_ref());
                self.hold_against::<PointsRow>(rebuilt, points_file.as_ref());
                self.hold_against::<RewardRow>(rebuilt, rewards_file.as_ref());
                self.hold_json(rebuilt, &json);
                self.check_tree(rebuilt);
                self.check_commit(&rebuilt.commit);
                report.accounts = rebuilt.rewards.len();
                report.allocated = Some(rebuilt.bundle.totals.allocated);
                report.carry_out = Some(rebuilt.bundle.carry_out);
            }
            None => {
                self.blame_unknown::<HolderRow>(holders_file);
                self.blame_unknown::<PointsRow>(points_file);
                rewards_file = self.blame_unknown::<RewardRow>(rewards_file);
                self.check_commit(&commit_of(&bundle, &json.bytes));
            }
        }
        self.check_signed_commit();
        self.after(rebuilt, &bundle, &json, rewards_file.as_ref())
    }

    /// `bundle.json` as the chain has it.
    fn checked_json(&mut self) -> Option<Checked> {
        let Some(given) = self.files.get(BUNDLE_JSON) else {
            self.found(Some(BUNDLE_JSON), "it is missing".to_owned());
            return None;
        };
        let (found, expected) = (keccak256(given), self.facts.posted.data_hash);
        if found == expected {
            return Some(Checked { bytes: given.clone(), committed: true, expected });
        }
        if let Some(restored) = restore(given, 0..given.len(), JSON, expected) {
            let difference = json_difference(BUNDLE_JSON, given, &restored);
            self.differs(CHANGED, difference);
            return Some(Checked { bytes: restored, committed: true, expected });
        }
        let problem = format!("its keccak256 is {found}, the chain has {expected}");
        self.found(Some(BUNDLE_JSON), problem);
        Some(Checked { bytes: given.clone(), committed: false, expected })
    }

    /// A file as published. Where it is not what was committed, the finding is left to whoever
    /// can tell the row.
    fn checked<R: Row>(&mut self, bundle: &Bundle) -> Option<Checked> {
        let Some(given) = self.files.get(R::FILE) else {
            self.found(Some(R::FILE), "it is missing".to_owned());
            return None;
        };
        let Some(&expected) = bundle.files.get(R::FILE) else {
            self.found(Some(BUNDLE_JSON), format!("it names no hash of {}", R::FILE));
            return None;
        };
        let committed = keccak256(given) == expected;
        Some(Checked { bytes: given.clone(), committed, expected })
    }

    /// The file as it was committed, where one changed byte can be found and undone; with the
    /// finding that names its row.
    fn restored<R: Row>(&mut self, file: Checked) -> Checked {
        if file.committed {
            return file;
        }
        let range = match parse_file::<R>(&file.bytes) {
            // A line before or after may be the broken one, if a line feed was hit.
            Err(error) => line_range(&file.bytes, error.line),
            Ok(_) => 0..file.bytes.len(),
        };
        match restore(&file.bytes, range, TABLE, file.expected) {
            None => file,
            Some(bytes) => {
                self.differs(CHANGED, first_difference(R::FILE, &file.bytes, &bytes));
                Checked { bytes, committed: true, expected: file.expected }
            }
        }
    }

    fn parsed<R: Row>(&mut self, file: &Checked) -> Option<Vec<R>> {
        match parse_file::<R>(&file.bytes) {
            Ok(rows) => Some(rows),
            Err(error) => {
                let text = String::from_utf8_lossy(&file.bytes);
                let given = text.split('\n').nth(error.line - 1).map(str::to_owned);
                let difference = line(R::FILE, R::HEADER, error.line, given, None);
                self.findings.push(Finding::row(self.day, error.problem, difference));
                None
            }
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
        let key = closed.receipt_key;
        let ends = self.day.end().secs();
        let recorded = self.facts.receipt_keys.get(&key);
        // Signed at some moment between the day's end and the post.
        if !recorded.is_some_and(|(from, until)| *from <= self.facts.posted_secs && *until > ends) {
            let problem = format!("its receipt key {key} is not recorded in the registry for then");
            self.found(Some(BUNDLE_JSON), problem);
        }
    }

    fn check_collections(&mut self, rows: &[UptimeRow]) {
        let foreign = rows
            .iter()
            .enumerate()
            .find(|(_, row)| !self.facts.collections.contains(&row.collection));
        if let Some((i, row)) = foreign {
            let given = Some(spelled(row));
            let difference = line(UptimeRow::FILE, UptimeRow::HEADER, i + 2, given, None);
            let problem = format!("the project does not list the collection {}", row.collection);
            self.findings.push(Finding::row(self.day, problem, difference));
        }
    }

    /// `uptime.csv` is not what was signed: the row whose minutes do not give its points is it.
    fn blame_uptime(&mut self, bundle: &Bundle, rows: &[UptimeRow], points: Option<&Checked>) {
        let points = points
            .filter(|file| file.committed)
            .and_then(|file| parse_file::<PointsRow>(&file.bytes).ok())
            .unwrap_or_default();
        let (rule, excused) = (&bundle.terms.rule, bundle.uptime.excused);
        let suspect = rows.iter().zip(&points).enumerate().find(|(_, (row, points))| {
            row.license != points.license
                || rule.points_of(row, excused).is_some_and(|computed| computed != points.points)
        });
        let problem = "its keccak256 is not the one that was signed and committed";
        match suspect {
            Some((i, (row, points))) => {
                let computed = format!("minutes that give license {} its points", points.license);
                let difference = line(
                    UptimeRow::FILE,
                    UptimeRow::HEADER,
                    i + 2,
                    Some(spelled(row)),
                    Some(format!("{computed}: {}", points.points)),
                );
                self.findings.push(Finding::row(self.day, problem, difference));
            }
            None => self.found(Some(UptimeRow::FILE), problem.to_owned()),
        }
    }

    fn rebuild(
        &mut self,
        bundle: &Bundle,
        uptime: &[UptimeRow],
        before: &Before,
        points_file: Option<&Checked>,
    ) -> Option<DayBundle> {
        let Some(snapshot) = self.facts.snapshot else {
            self.found(None, "the chain has no final block after the day's end".to_owned());
            return None;
        };
        let quota = self.facts.quotas.iter().find(|quota| **quota == bundle.daily_quota);
        let quota = quota.or(self.facts.quotas.last()).copied().unwrap_or(bundle.daily_quota);
        let points = match bundle.terms.rule.points(uptime, bundle.uptime.excused) {
            Some(points) => points,
            // The rule needs more than uptime: the file is all there is.
            None => self.parsed::<PointsRow>(points_file?)?,
        };
        let input = DayInput {
            project: self.facts.project.clone(),
            day: self.day,
            revision: self.facts.posted.revision,
            daily_quota: quota,
            terms: bundle.terms.clone(),
            snapshot,
            closed: bundle.uptime.clone(),
            holders: holder_rows(uptime, self.facts.holders, snapshot.block_secs),
            uptime: uptime.to_vec(),
            points,
            before: before.clone(),
        };
        match build_day(&input) {
            Ok(rebuilt) => Some(rebuilt),
            Err(error) => {
                self.found(None, format!("the day cannot be rebuilt: {error}"));
                None
            }
        }
    }

    fn hold_against<R: Row>(&mut self, rebuilt: &DayBundle, file: Option<&Checked>) {
        let Some(file) = file else { return };
        let problem = if file.committed { "it was committed, but it is wrong" } else { CHANGED };
        self.differs(problem, first_difference(R::FILE, &file.bytes, &rebuilt.files[R::FILE]));
    }

    fn hold_json(&mut self, rebuilt: &DayBundle, json: &Checked) {
        // Sums, hashes and root follow from rows that have their own findings.
        let follows = |difference: &Difference| {
            ["/carry_out", "/files", "/pool", "/root", "/totals"]
                .iter()
                .any(|part| difference.header.starts_with(part))
        };
        let difference = json_difference(BUNDLE_JSON, &json.bytes, &rebuilt.files[BUNDLE_JSON]);
        if difference.as_ref().is_some_and(follows) && !self.findings.is_empty() {
            return;
        }
        self.differs("it is not what the day's facts give", difference);
    }

    fn check_tree(&mut self, rebuilt: &DayBundle) {
        let Some(given) = self.files.get(TREE_JSON) else {
            self.found(Some(TREE_JSON), "it is missing".to_owned());
            return;
        };
        let mut computed = Vec::new();
        if rebuilt.tree.to_standard_v1(&mut computed).is_ok() {
            let problem = "it is not the tree of rewards.csv";
            self.differs(problem, json_difference(TREE_JSON, given, &computed));
        }
    }

    fn check_commit(&mut self, computed: &RewardCommit) {
        let posted = self.facts.posted;
        // With other findings, that the commit differs follows from them.
        if computed.struct_hash() != posted.commit_hash && self.findings.is_empty() {
            let problem = format!(
                "the files lead to commit {} (root {}, total {}), the chain has {} (root {}, total \
                 {})",
                computed.struct_hash(),
                computed.root,
                computed.total,
                posted.commit_hash,
                posted.root,
                posted.total
            );
            self.found(None, problem);
        }
    }

    /// `commit.json`, where it is published, is the commit that was posted.
    fn check_signed_commit(&mut self) {
        let Some(bytes) = self.files.get(COMMIT_JSON) else { return };
        match serde_json::from_slice::<SignedCommit>(bytes) {
            Err(error) => self.found(Some(COMMIT_JSON), format!("not a signed commit: {error}")),
            Ok(signed) => {
                let (found, posted) = (signed.commit.struct_hash(), self.facts.posted.commit_hash);
                if found != posted {
                    let problem = format!("it is commit {found}, the chain has {posted}");
                    self.found(Some(COMMIT_JSON), problem);
                }
            }
        }
    }

    /// A file that is not what was committed, when there is nothing to hold it against.
    fn blame_unknown<R: Row>(&mut self, file: Option<Checked>) -> Option<Checked> {
        let file = self.restored::<R>(file?);
        if !file.committed {
            let problem = "its keccak256 is not the committed one; its rows cannot be told apart \
                           without good uptime and the day before";
            self.found(Some(R::FILE), problem.to_owned());
        }
        Some(file)
    }

    fn after(
        &self,
        rebuilt: Option<DayBundle>,
        bundle: &Bundle,
        json: &Checked,
        rewards: Option<&Checked>,
    ) -> Option<Before> {
        let commit = self.facts.posted.commit_hash;
        if let Some(rebuilt) = rebuilt.filter(|day| day.commit.struct_hash() == commit) {
            return Some(rebuilt.after());
        }
        // Later days are judged by what was committed, even where that was wrong.
        let rewards = rewards.filter(|file| file.committed && json.committed)?;
        let rewards = parse_file::<RewardRow>(&rewards.bytes).ok()?;
        Some(Before { commit, rewards, carry: bundle.carry_out })
    }

    fn empty_report(&self) -> DayReport {
        let posted = self.facts.posted;
        DayReport {
            day: posted.day,
            commit_hash: posted.commit_hash,
            root: posted.root,
            transaction: posted.transaction,
            total: posted.total,
            licenses: 0,
            minutes: 0,
            accounts: 0,
            allocated: None,
            carry_out: None,
            active: false,
            holds: true,
        }
    }

    fn found(&mut self, file: Option<&str>, problem: String) {
        self.findings.push(Finding::new(self.day, file, problem));
    }

    fn differs(&mut self, problem: &str, difference: Option<Difference>) {
        if let Some(difference) = difference {
            self.findings.push(Finding::row(self.day, problem, difference));
        }
    }
}

fn spelled(row: &UptimeRow) -> String {
    let text = write_file(std::slice::from_ref(row));
    text.lines().nth(1).unwrap_or_default().to_owned()
}
