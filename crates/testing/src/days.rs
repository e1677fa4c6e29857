//! Days of rewards without a backend: built from the chain like an owner's, with uptime signed by
//! our own receipt key. For tests of the later steps of a day.

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{B256, U256, keccak256};
use anyhow::Context as _;
use nodesys_chain::Provider;
use nodesys_chain::logs::license_events;
use nodesys_chain::project::state_of;
use nodesys_core::Address;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::bundle::{
    DayBundle, DayInput, Format, PreviousDay, ProjectInfo, Terms, build_day,
};
use nodesys_core::files::{UptimeRow, write_file};
use nodesys_core::holders::Holders;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::message::{DayClosed, Domain, Signed};
use nodesys_core::signature::SigningKey;
use nodesys_core::time::UtcDay;
use nodesys_core::uptime::{ClosedUptime, uptime_leaf};

/// The inputs of days.
pub struct Days<'a> {
    /// The chain.
    pub provider: &'a Provider,
    /// The project.
    pub project: &'a ProjectInfo,
    /// A key that the registry records as a receipt key.
    pub receipt_key: &'a SigningKey,
    /// The project's decisions; the rule must be one of uptime alone.
    pub terms: &'a Terms,
}

impl Days<'_> {
    /// A past day, with the minutes of each license that ran, in the order of their indexes. The
    /// block after its end must be final.
    pub async fn build(
        &self,
        day: UtcDay,
        minutes: &[(Address, u64, DayBitmap)],
        before: PreviousDay,
    ) -> anyhow::Result<DayBundle> {
        let project = self.project;
        let snapshot = self
            .provider
            .first_block_at_or_after(day.end().secs(), 0)
            .await?
            .with_context(|| format!("no final block after {day} yet"))?;
        let newest = BlockNumberOrTag::Latest;
        let state = state_of(self.provider, project.distributor, newest).await?;
        let mut collections: Vec<Address> = minutes.iter().map(|one| one.0).collect();
        collections.sort_unstable();
        collections.dedup();
        let events = license_events(self.provider, &collections, 0, snapshot.number).await?;
        let holders: Holders = events.into_iter().map(|logged| logged.event).collect();
        let row = |(license, one): (u32, &(Address, u64, DayBitmap))| UptimeRow {
            license: LicenseIndex(license),
            collection: one.0,
            token_id: U256::from(one.1),
            minutes: one.2.count(),
            expected: 1_440,
            bitmap: one.2,
        };
        let uptime: Vec<UptimeRow> = (0..).zip(minutes).map(row).collect();
        let uptime_csv = keccak256(write_file(&uptime));
        let closed = DayClosed {
            day: day.epoch(),
            uptime_hash: uptime_leaf(project.distributor, uptime_csv, DayBitmap::EMPTY),
            evidence_root: B256::ZERO,
        };
        let domain = Domain::new(project.chain_id, project.registry);
        let points = self.terms.rule.points(&uptime, DayBitmap::EMPTY);
        Ok(build_day(&DayInput {
            project: project.clone(),
            day,
            format: Format::NEWEST,
            revision: state.revision,
            daily_quota: state.daily_quota,
            terms: self.terms.clone(),
            snapshot: snapshot.into(),
            closed: ClosedUptime {
                closed: Signed::new(closed, &domain, self.receipt_key),
                receipt_key: self.receipt_key.address(),
                uptime_csv,
                excused: DayBitmap::EMPTY,
                path: Vec::new(),
            },
            holders: holders.of_day(&uptime, snapshot.secs, Format::NEWEST),
            points: points.context("a rule that counts tasks")?,
            uptime,
            before,
        })?)
    }
}
