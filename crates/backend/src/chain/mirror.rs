//! The mirror: follows final blocks of the chain into `project`, `collection`, `license`,
//! `license_event`, `claim` and the commits' state.
//!
//! Each page of blocks is one transaction that also moves the cursor, so a crash repeats at most a
//! page, and a page applied twice changes nothing. Only final blocks are read, so nothing is
//! undone.

use std::collections::BTreeSet;

use alloy::eips::BlockNumberOrTag;
use anyhow::{Context, bail};
use nodesys_chain::BlockRef;
use nodesys_chain::logs::{self, Delegated, Logged};
use nodesys_chain::project::{self, DistributorEvent, RegistryEvent};
use nodesys_core::Address;
use nodesys_core::ids::{Amount, LicenseIndex};
use nodesys_core::license::LicenseId;
use nodesys_core::time::Timestamp;
use sqlx::PgConnection;

use crate::db;
use crate::db::claim::NewClaim;
use crate::db::commit::Posting;
use crate::db::cursor::Cursor;
use crate::db::lock::Lock;
use crate::db::project::NewProject;
use crate::state::App;

/// Blocks per transaction.
const PAGE: u64 = 2000;

/// Operators and licenses whose rights may have changed.
#[derive(Default)]
pub(crate) struct Touched {
    licenses: BTreeSet<LicenseIndex>,
    delegates: BTreeSet<Delegated>,
}

impl Touched {
    /// Whether no right may have changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.licenses.is_empty() && self.delegates.is_empty()
    }

    /// Whether this operator's right to this license may have changed.
    pub(crate) fn concerns(
        &self,
        license: LicenseIndex,
        id: &LicenseId,
        operator: Address,
    ) -> bool {
        let delegate = Delegated { to: operator, collection: id.collection };
        self.licenses.contains(&license) || self.delegates.contains(&delegate)
    }
}

/// Applies all new final blocks, page by page; `touched` collects their changes, even when a later
/// page fails.
pub(crate) async fn follow(app: &App, touched: &mut Touched) -> anyhow::Result<()> {
    let final_block = app.chain.finalized_block(app.final_depth).await?;
    while page(app, final_block, touched).await? {}
    Ok(())
}

/// Applies one page; true if there is more for this replica to do.
async fn page(app: &App, final_block: BlockRef, touched: &mut Touched) -> anyhow::Result<bool> {
    let mut tx = app.pool.begin().await?;
    if !db::lock::take_in_transaction(&mut tx, Lock::Mirror).await? {
        return Ok(false);
    }
    let from = next_block(app, &mut tx).await?;
    if from > final_block.number {
        return Ok(false);
    }
    let to = final_block.number.min(from + PAGE - 1);
    let last = app
        .chain
        .block(BlockNumberOrTag::Number(to))
        .await?
        .with_context(|| format!("block {to} is final but cannot be read"))?;

    let registry = app.domain.verifying_contract();
    let before = db::project::collections(&mut tx).await?;
    for logged in project::registry_events(&app.chain, registry, from, to).await? {
        registry_event(app, &mut tx, &logged).await?;
    }
    let known = db::project::collections(&mut tx).await?;
    let new: Vec<Address> = known.iter().copied().filter(|c| !before.contains(c)).collect();
    let old: Vec<Address> = before.into_iter().collect();
    // A collection's tokens may be older than its listing.
    let mut events = logs::license_events(&app.chain, &new, app.first_block, to).await?;
    events.extend(logs::license_events(&app.chain, &old, from, to).await?);
    events.sort_by_key(|logged| (logged.block_number, logged.log_index));
    let chain_id = app.domain.chain_id();
    for logged in &events {
        let (block, log) = (logged.block_number, logged.log_index);
        let license =
            db::license::insert_event(&mut tx, chain_id, block, log, &logged.event).await?;
        touched.licenses.insert(license);
    }
    touched.delegates.extend(logs::delegations(&app.chain, &old, from, to).await?);
    for project in db::project::all(&mut tx).await? {
        let events = project::distributor_events(&app.chain, project.project, from, to);
        for logged in events.await? {
            distributor_event(&mut tx, project.project, &logged).await?;
        }
    }
    let cursor = Cursor { chain_id, block_number: to, block_hash: last.hash };
    db::cursor::set(&mut tx, &cursor).await?;
    tx.commit().await?;
    Ok(to < final_block.number)
}

/// The block after the cursor, once the cursor's block is found on the RPC's chain.
async fn next_block(app: &App, conn: &mut PgConnection) -> anyhow::Result<u64> {
    let Some(cursor) = db::cursor::read(conn).await? else { return Ok(app.first_block) };
    let (number, expected) = (cursor.block_number, cursor.block_hash);
    if cursor.chain_id != app.domain.chain_id() {
        bail!("the database mirrors chain {}: use another database", cursor.chain_id);
    }
    match app.chain.block(BlockNumberOrTag::Number(number)).await? {
        Some(block) if block.hash == expected => Ok(number + 1),
        Some(block) => bail!(
            "block {number} was final with hash {expected}, but the RPC has {}: it follows \
             another chain",
            block.hash
        ),
        None => bail!("the RPC does not have block {number}, which was final: it is behind"),
    }
}

async fn registry_event(
    app: &App,
    conn: &mut PgConnection,
    logged: &Logged<RegistryEvent>,
) -> anyhow::Result<()> {
    match &logged.event {
        RegistryEvent::ProjectCreated(created) => {
            let block = app.chain.block(BlockNumberOrTag::Number(logged.block_number));
            let block = block.await?.context("a project's block cannot be read")?;
            let new = NewProject {
                project: created.project,
                name: &created.name,
                owner: created.owner,
                token: created.token,
                first_day: Timestamp::from_secs(block.secs).day(),
            };
            db::project::insert(conn, &new).await
        }
        RegistryEvent::CollectionListed(listed) => {
            let (collection, project) = (listed.collection, listed.project);
            db::project::insert_collection(conn, collection, project, &listed.workload).await
        }
        _ => Ok(()),
    }
}

async fn distributor_event(
    conn: &mut PgConnection,
    project: Address,
    logged: &Logged<DistributorEvent>,
) -> anyhow::Result<()> {
    let block = logged.block_number;
    match &logged.event {
        DistributorEvent::Posted(posted) => {
            let posting = Posting {
                project,
                commit: posted.commitHash,
                transaction: logged.transaction,
                block,
                activates_at_secs: posted.activatesAt,
            };
            db::commit::set_posted(conn, &posting).await
        }
        // Each of these voids what the contract will take no longer.
        DistributorEvent::HeadRewound(rewound) => {
            db::commit::set_revision(conn, project, rewound.revision, block).await
        }
        DistributorEvent::SignerDisabled(disabled) => {
            db::commit::set_revision(conn, project, disabled.revision, block).await
        }
        DistributorEvent::SignerSet(set) => {
            db::commit::set_revision(conn, project, set.revision, block).await
        }
        DistributorEvent::Revoked(revoked) => {
            db::commit::set_revoked(conn, project, revoked.commitHash, block).await
        }
        DistributorEvent::Claimed(claimed) => {
            let amount = |value| Amount::from_u256(value).context("a claim of 2^128 wei or more");
            let claim = NewClaim {
                block_number: block,
                log_index: logged.log_index,
                transaction: logged.transaction,
                project,
                account: claimed.account,
                recipient: claimed.recipient,
                root: claimed.root,
                amount: amount(claimed.amount)?,
                cumulative: amount(claimed.cumulative)?,
            };
            db::claim::insert(conn, &claim).await
        }
        _ => Ok(()),
    }
}
