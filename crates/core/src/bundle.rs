//! The day bundle: everything a day's root was made from, as public, immutable files.
//!
//! [`build_day`] is the one function that makes a day. The owner calls it to commit, the backend
//! to check, the auditor to recompute; equal input gives equal bytes. `bundle.json` is RFC 8785
//! canonical JSON and names the keccak256 of the other files; its own keccak256 is the commit's
//! `dataHash`.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, keccak256};
use serde::{Deserialize, Serialize};

use crate::allocation::{AllocationError, Budget, Share, accumulate, allocate};
pub use crate::files::Format;
use crate::files::{FileError, HolderRow, PointsRow, RewardRow, Row, UptimeRow, write_file};
use crate::holders::{DayHolders, UncountedRow};
use crate::ids::{Amount, LicenseIndex, Name, Points};
use crate::message::{Message, RewardCommit};
use crate::points::{BadPoints, BadRule, Rule};
use crate::time::UtcDay;
use crate::tree::{Leaf, RewardTree, TreeError};
use crate::uptime::ClosedUptime;

/// The bundle's index file.
pub const BUNDLE_JSON: &str = "bundle.json";
/// The tree as OpenZeppelin's `StandardMerkleTree.load` reads it; derived, so not hashed.
pub const TREE_JSON: &str = "tree.json";

/// Who a license's rewards go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Beneficiary {
    /// The renter while a rental runs, else the holder.
    #[default]
    Renter,
    /// Always the holder.
    Holder,
}

/// What a project decides of a day before it is allocated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What the project pays for the day, in wei.
    #[schema(value_type = String)]
    pub day_reward: Amount,
    /// How points come from uptime.
    pub rule: Rule,
    /// Who receives.
    pub beneficiary: Beneficiary,
    /// Addresses that count as 0 points, in rising order.
    #[schema(value_type = Vec<String>)]
    pub excluded: Vec<Address>,
}

impl Terms {
    /// keccak256 of the terms' canonical JSON.
    pub fn hash(&self) -> B256 {
        keccak256(canonical_json(self))
    }

    fn check(&self) -> Result<(), BundleError> {
        self.rule.check()?;
        // A set in one order: equal terms have equal hashes, and it can be searched by halves.
        if self.excluded.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(BundleError::Excluded) }
    }
}

/// The block at which holders and renters are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Snapshot {
    /// First block whose timestamp is at or past the day's end.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub block_number: u64,
    /// Its hash.
    #[schema(value_type = String)]
    pub block_hash: B256,
    /// Its timestamp, seconds since 1970.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub block_secs: u64,
}

/// What stands still from day to day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProjectInfo {
    /// The chain.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub chain_id: u64,
    /// `ProjectRegistry`.
    #[schema(value_type = String)]
    pub registry: Address,
    /// The project's `RewardDistributor`: the project's id.
    #[schema(value_type = String)]
    pub distributor: Address,
    /// The project's name in the registry.
    pub name: Name,
}

/// What the previous day left for the next: nothing, before the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreviousDay {
    /// Struct hash of the commit before, zero for the first.
    pub commit: B256,
    /// Its cumulative amounts.
    pub rewards: Vec<RewardRow>,
    /// Its remainder.
    pub carry: Amount,
}

/// All that a day is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayInput {
    /// Whose day.
    pub project: ProjectInfo,
    /// Which day.
    pub day: UtcDay,
    /// By which rules: [`Format::NEWEST`], or that of an old day.
    pub format: Format,
    /// The distributor's revision counter.
    pub revision: u32,
    /// The distributor's daily quota in wei.
    pub daily_quota: Amount,
    /// The project's decisions.
    pub terms: Terms,
    /// The snapshot block.
    pub snapshot: Snapshot,
    /// The backend's word for the uptime file.
    pub closed: ClosedUptime,
    /// Uptime of each license, by index.
    pub uptime: Vec<UptimeRow>,
    /// Holder and renter of each license, by index, and who is not counted.
    pub holders: DayHolders,
    /// Points of each license, by index.
    pub points: Vec<PointsRow>,
    /// The commit before.
    pub before: PreviousDay,
}

/// Sums over a day, for people and for cheap checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Totals {
    /// Rows of `uptime.csv`.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub licenses: u64,
    /// Credited minutes.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub minutes: u64,
    /// Points, before addresses are excluded; decimal.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub points: u128,
    /// Rows of `rewards.csv`.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub accounts: u64,
    /// What the day adds, in wei.
    #[schema(value_type = String)]
    pub allocated: Amount,
    /// Sum of all cumulative amounts, in wei.
    #[schema(value_type = String)]
    pub cumulative: Amount,
}

/// `bundle.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// By which rules it was built.
    pub format: Format,
    /// Whose day.
    pub project: ProjectInfo,
    /// The day's number.
    #[serde(with = "crate::message::decimal")]
    #[schema(value_type = String)]
    pub epoch: u64,
    /// The distributor's revision counter.
    pub revision: u32,
    /// Struct hash of the commit before.
    #[schema(value_type = String)]
    pub previous: B256,
    /// The project's decisions.
    pub terms: Terms,
    /// [`Terms::hash`], as the registry's `TermsAnnounced` has it; from [`Format::Two`] on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub terms_hash: Option<B256>,
    /// The snapshot block.
    pub snapshot: Snapshot,
    /// The distributor's daily quota, in wei.
    #[schema(value_type = String)]
    pub daily_quota: Amount,
    /// Remainder taken from the day before, in wei.
    #[schema(value_type = String)]
    pub carry_in: Amount,
    /// Remainder left for the next day, in wei.
    #[schema(value_type = String)]
    pub carry_out: Amount,
    /// What was divided, in wei.
    #[schema(value_type = String)]
    pub pool: Amount,
    /// keccak256 of each CSV file.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub files: BTreeMap<String, B256>,
    /// Sums.
    pub totals: Totals,
    /// The tree's root.
    #[schema(value_type = String)]
    pub root: B256,
    /// The signed day that `uptime.csv` belongs to.
    pub uptime: ClosedUptime,
}

/// A finished day: files, tree and the commit to sign.
#[derive(Debug, Clone)]
pub struct DayBundle {
    /// The parsed `bundle.json`.
    pub bundle: Bundle,
    /// The bytes of every hashed file and of `bundle.json`, by name.
    pub files: BTreeMap<&'static str, Vec<u8>>,
    /// Cumulative amounts, by account.
    pub rewards: Vec<RewardRow>,
    /// Points and amount of each license, in license order.
    pub shares: Vec<(Share, Amount)>,
    /// The tree over `rewards`.
    pub tree: RewardTree,
    /// The unsigned commit.
    pub commit: RewardCommit,
}

/// Why a day cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A rule's parameter.
    #[error(transparent)]
    Rule(#[from] BadRule),
    /// The excluded addresses.
    #[error("excluded addresses must rise and not repeat")]
    Excluded,
    /// A points row for a license that is not in the day's uptime.
    #[error("unknown license {0}: it has no row in uptime.csv")]
    UnknownLicense(LicenseIndex),
    /// A license without a points row.
    #[error("license {0} has no row in {1}")]
    MissingRow(LicenseIndex, &'static str),
    /// A license that is said not to be counted, and has a holder, or is of a day that counted all.
    #[error("license {0} is in uncounted.csv, and counted")]
    Uncounted(LicenseIndex),
    /// Points that the rule does not give.
    #[error("points of license {license}: given {given}, {problem}")]
    Points {
        /// The license.
        license: LicenseIndex,
        /// What the file says.
        given: Points,
        /// What the rule says.
        problem: BadPoints,
    },
    /// The uptime rows are not the file that the backend signed for.
    #[error("uptime.csv has keccak256 {found}, the closed day was signed for {expected}")]
    UptimeHash {
        /// Hash of the rows given.
        found: B256,
        /// Hash that was signed.
        expected: B256,
    },
    /// Amounts out of range.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// The tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file that does not parse.
    #[error(transparent)]
    File(#[from] FileError),
    /// `bundle.json` itself.
    #[error("bundle.json: {0}")]
    Json(String),
}

/// [RFC 8785](https://www.rfc-editor.org/rfc/rfc8785) canonical JSON of a value made of strings, small
/// integers, lists and objects.
///
/// # Examples
///
/// ```
/// use nodesys_core::bundle::canonical_json;
///
/// let value = serde_json::json!({ "total": "1000", "epoch": 20_484 });
/// assert_eq!(canonical_json(&value), br#"{"epoch":20484,"total":"1000"}"#);
/// ```
pub fn canonical_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value)
        .expect("strings, integers, lists and objects with text keys always serialise")
}

impl Bundle {
    /// Reads `bundle.json` strictly: canonical bytes (RFC 8785) of a format that we know.
    ///
    /// # Errors
    ///
    /// [`BundleError::Json`] where the bytes are not such a bundle. Whether the bundle's numbers are
    /// right is not looked at here: [`build_day`] recomputes them, and its example parses what it built.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let fail = |problem: String| BundleError::Json(problem);
        let bundle: Self = serde_json::from_slice(bytes).map_err(|e| fail(e.to_string()))?;
        if bundle.terms_hash != terms_hash(bundle.format, &bundle.terms) {
            return Err(fail("terms_hash is not the hash of the terms".to_owned()));
        }
        // A bundle has one spelling, as its hash stands in the commit.
        if canonical_json(&bundle) != bytes {
            return Err(fail("not RFC 8785 canonical".to_owned()));
        }
        Ok(bundle)
    }
}

/// Points row by row against the licenses of the day and what the rule can give.
fn check_points(input: &DayInput) -> Result<(), BundleError> {
    // Both rise by license, so one pass finds each row's license; what is missing is told below.
    let mut uptime = input.uptime.iter();
    for given in &input.points {
        let row = uptime
            .by_ref()
            .find(|row| row.license >= given.license)
            .filter(|row| row.license == given.license)
            .ok_or(BundleError::UnknownLicense(given.license))?;
        input.terms.rule.check_points(row, input.closed.excused, given.points).map_err(
            |problem| BundleError::Points { license: given.license, given: given.points, problem },
        )?;
    }
    same_licenses::<PointsRow>(&input.uptime, &input.points)
}

fn same_licenses<R: Row<Key = LicenseIndex>>(
    uptime: &[UptimeRow],
    rows: &[R],
) -> Result<(), BundleError> {
    for (i, row) in uptime.iter().enumerate() {
        match rows.get(i).map(Row::key) {
            Some(license) if license == row.license => {}
            // Both rise: a lower license has no uptime, a higher one has passed ours over.
            Some(license) if license < row.license => {
                return Err(BundleError::UnknownLicense(license));
            }
            _ => return Err(BundleError::MissingRow(row.license, R::FILE)),
        }
    }
    match rows.get(uptime.len()) {
        Some(extra) => Err(BundleError::UnknownLicense(extra.key())),
        None => Ok(()),
    }
}

/// What a bundle of this format says of its terms.
fn terms_hash(format: Format, terms: &Terms) -> Option<B256> {
    match format {
        Format::One => None,
        Format::Two => Some(terms.hash()),
    }
}

/// Licenses that count for nobody have their reason, and nobody in `holders.csv`.
fn check_holders(input: &DayInput) -> Result<(), BundleError> {
    let DayHolders { rows, uncounted } = &input.holders;
    same_licenses::<HolderRow>(&input.uptime, rows)?;
    let mut holders = rows.iter();
    for one in uncounted {
        let row = holders.by_ref().find(|row| row.license == one.license);
        let row = row.ok_or(BundleError::UnknownLicense(one.license))?;
        if input.format == Format::One || !row.holder.is_zero() || !row.renter.is_zero() {
            return Err(BundleError::Uncounted(one.license));
        }
    }
    Ok(())
}

fn shares(input: &DayInput) -> Vec<Share> {
    let share = |(points, holder): (&PointsRow, &HolderRow)| {
        let rented = input.terms.beneficiary == Beneficiary::Renter && !holder.renter.is_zero();
        let beneficiary = if rented { holder.renter } else { holder.holder };
        // Nobody could claim for the zero address: a burnt token's part goes to the others.
        let counts =
            !beneficiary.is_zero() && input.terms.excluded.binary_search(&beneficiary).is_err();
        let points = if counts { points.points } else { Points::ZERO };
        Share { license: holder.license, beneficiary, points }
    };
    input.points.iter().zip(&input.holders.rows).map(share).collect()
}

/// Makes the day: files, allocation, tree and commit. Amounts are in wei.
///
/// The day's signature ([`DayInput::closed`]) is for the caller to check, by
/// [`ClosedUptime::verify`].
///
/// # Errors
///
/// [`BundleError`] names the first thing that is wrong: a parameter of the rule, the order of the
/// excluded addresses, uptime rows that are not those signed, points that the rule cannot give, a
/// license that one of the files lacks or adds, or an amount of 2^128 wei or more.
///
#[doc = include_str!("bundle/example.md")]
pub fn build_day(input: &DayInput) -> Result<DayBundle, BundleError> {
    input.terms.check()?;
    let uptime_csv = write_file(&input.uptime).into_bytes();
    // Before points are looked at: they are judged by these rows.
    let found = keccak256(&uptime_csv);
    if found != input.closed.uptime_csv {
        return Err(BundleError::UptimeHash { found, expected: input.closed.uptime_csv });
    }
    check_points(input)?;
    check_holders(input)?;

    let budget = Budget {
        day_reward: input.terms.day_reward,
        carry_in: input.before.carry,
        daily_quota: input.daily_quota,
    };
    let shares = shares(input);
    let allocation = allocate(&budget, &shares)?;
    let rewards = accumulate(&input.before.rewards, &shares, &allocation.allocated)?;
    let tree = RewardTree::build(
        rewards.iter().map(|row| Leaf { account: row.account, cumulative: row.cumulative }),
    )?;

    let mut files: BTreeMap<&'static str, Vec<u8>> = BTreeMap::new();
    files.insert(UptimeRow::FILE, uptime_csv);
    files.insert(HolderRow::FILE, write_file(&input.holders.rows).into_bytes());
    if input.format == Format::Two {
        files.insert(UncountedRow::FILE, write_file(&input.holders.uncounted).into_bytes());
    }
    files.insert(PointsRow::FILE, write_file(&input.points).into_bytes());
    files.insert(RewardRow::FILE, write_file(&rewards).into_bytes());

    let bundle = Bundle {
        format: input.format,
        project: input.project.clone(),
        epoch: input.day.epoch(),
        revision: input.revision,
        previous: input.before.commit,
        terms: input.terms.clone(),
        terms_hash: terms_hash(input.format, &input.terms),
        snapshot: input.snapshot,
        daily_quota: input.daily_quota,
        carry_in: input.before.carry,
        carry_out: allocation.carry_out,
        pool: allocation.pool,
        files: files.iter().map(|(name, bytes)| ((*name).to_owned(), keccak256(bytes))).collect(),
        totals: Totals {
            licenses: input.uptime.len() as u64,
            minutes: input.uptime.iter().map(|row| u64::from(row.minutes)).sum(),
            points: input.points.iter().map(|row| u128::from(row.points.get())).sum(),
            accounts: rewards.len() as u64,
            allocated: allocation.total,
            cumulative: tree.total(),
        },
        root: tree.root(),
        uptime: input.closed.clone(),
    };
    let json = canonical_json(&bundle);
    let commit = RewardCommit {
        epoch: bundle.epoch,
        revision: bundle.revision,
        previous: bundle.previous,
        root: bundle.root,
        total: bundle.totals.cumulative,
        data_hash: keccak256(&json),
    };
    // Not among the hashes that it names: the commit names its own.
    files.insert(BUNDLE_JSON, json);
    let shares = shares.into_iter().zip(allocation.allocated).collect();
    Ok(DayBundle { bundle, files, rewards, shares, tree, commit })
}

impl DayBundle {
    /// What the next day builds on.
    pub fn after(&self) -> PreviousDay {
        PreviousDay {
            commit: self.commit.struct_hash(),
            rewards: self.rewards.clone(),
            carry: self.bundle.carry_out,
        }
    }
}

#[cfg(test)]
mod tests;
