//! The mirror: follows final blocks of the chain into `project`, `collection`, `license`,
//! `license_event`, `claim` and what became of commits; and ends leases the chain no longer allows.
//!
//! Each page of blocks is one transaction that also moves the cursor, so a crash repeats at most a
//! page, and a page applied twice changes nothing. Only final blocks are taken: nothing is undone.
//! When the chain cannot be read nothing is ended.

use std::collections::BTreeSet;

use alloy::eips::BlockNumberOrTag;
use anyhow::{Context, bail};
use nodesys_contracts::BlockRef;
use nodesys_contracts::logs::{self, Delegated, Logged};
use nodesys_contracts::ownership;
use nodesys_contracts::project::{self, DistributorEvent, RegistryEvent};
use nodesys_core::holders::LicenseEvent;
use nodesys_core::ids::{Amount, LicenseIndex};
use nodesys_core::license::LicenseId;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, U256};
use sqlx::PgConnection;

use crate::app::AppState;
use crate::commit;
use crate::lease;
use crate::periodic::Periodic;
use crate::sql;

/// Advisory lock of the mirror.
const LOCK: i64 = 0x6e73_0002;
/// Blocks per transaction.
const PAGE: u64 = 2000;
/// How often all active leases are checked against the chain.
const RECHECK_MILLIS: u64 = 15 * 60_000;

/// Each minute: follows the chain, then re-checks rights that may have changed.
pub(crate) struct Mirror {
    app: AppState,
    rechecked: Option<Timestamp>,
    /// What the last, failed tick saw and did not check.
    touched: Touched,
}

impl Mirror {
    pub(crate) fn new(app: AppState) -> Self {
        Self { app, rechecked: None, touched: Touched::default() }
    }
}

impl Periodic for Mirror {
    const NAME: &'static str = "mirror";

    async fn tick(&mut self) -> anyhow::Result<()> {
        let mut touched = std::mem::take(&mut self.touched);
        let done = self.follow(&mut touched).await;
        if done.is_err() {
            // Not checked yet: the pages they come from are not read again.
            self.touched = touched;
        }
        done
    }
}

impl Mirror {
    async fn follow(&mut self, touched: &mut Touched) -> anyhow::Result<()> {
        let final_block = self.app.chain.finalized_block(self.app.final_depth).await?;
        while let Some(more) = self.page(final_block, touched).await? {
            if !more {
                break;
            }
        }
        let now = self.app.clock.now();
        let all_due = self.rechecked.is_none_or(|at| now.millis_since(at) >= RECHECK_MILLIS);
        self.recheck(if all_due { None } else { Some(touched) }).await?;
        if all_due {
            self.rechecked = Some(now);
        }
        Ok(())
    }

    /// Applies one page; says whether there is more, or `None` when another replica is at it.
    async fn page(
        &self,
        final_block: BlockRef,
        touched: &mut Touched,
    ) -> anyhow::Result<Option<bool>> {
        let app = &self.app;
        let mut tx = app.pool.begin().await?;
        let locked =
            sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "locked!""#, LOCK)
                .fetch_one(&mut *tx)
                .await?;
        if !locked {
            return Ok(None);
        }
        let from = self.next_block(&mut tx).await?;
        if from > final_block.number {
            return Ok(Some(false));
        }
        let to = final_block.number.min(from + PAGE - 1);
        let last = app
            .chain
            .block(BlockNumberOrTag::Number(to))
            .await?
            .with_context(|| format!("block {to} is final but cannot be read"))?;

        let registry = app.domain.verifying_contract();
        let before = collections(&mut tx).await?;
        for logged in project::registry_events(&app.chain, registry, from, to).await? {
            self.registry_event(&mut tx, &logged).await?;
        }
        let known = collections(&mut tx).await?;
        let new: Vec<Address> = known.iter().copied().filter(|c| !before.contains(c)).collect();
        let old: Vec<Address> = before.into_iter().collect();
        // A collection's tokens may be older than its listing.
        let mut events = logs::license_events(&app.chain, &new, app.first_block, to).await?;
        events.extend(logs::license_events(&app.chain, &old, from, to).await?);
        events.sort_by_key(|logged| (logged.block_number, logged.log_index));
        for logged in &events {
            let license = license_event(&mut tx, app.domain.chain_id(), logged).await?;
            touched.licenses.insert(license);
        }
        touched.delegates.extend(logs::delegations(&app.chain, &old, from, to).await?);
        for project in crate::project::all(&mut tx).await? {
            let events = project::distributor_events(&app.chain, project.project, from, to);
            for logged in events.await? {
                distributor_event(&mut tx, project.project, &logged).await?;
            }
        }
        sqlx::query!(
            "insert into chain_cursor (chain_id, block_number, block_hash) values ($1, $2, $3)
             on conflict (one) do update
             set block_number = excluded.block_number, block_hash = excluded.block_hash",
            sql::signed(app.domain.chain_id())?,
            sql::signed(to)?,
            last.hash.as_slice() as _
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Some(to < final_block.number))
    }

    /// The block after the cursor, once the cursor is found to be on the RPC's chain.
    async fn next_block(&self, conn: &mut PgConnection) -> anyhow::Result<u64> {
        let row = sqlx::query!(
            r#"select chain_id as "chain_id!", block_number as "number!", block_hash::bytea as "hash!"
               from chain_cursor"#
        )
        .fetch_optional(conn)
        .await?;
        let Some(row) = row else { return Ok(self.app.first_block) };
        let number = sql::unsigned(row.number)?;
        if sql::unsigned(row.chain_id)? != self.app.domain.chain_id() {
            bail!("the database mirrors chain {}: use another database", row.chain_id);
        }
        let expected = sql::hash(&row.hash)?;
        let found = self.app.chain.block(BlockNumberOrTag::Number(number)).await?;
        match found {
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
        &self,
        conn: &mut PgConnection,
        logged: &Logged<RegistryEvent>,
    ) -> anyhow::Result<()> {
        match &logged.event {
            RegistryEvent::ProjectCreated(created) => {
                let block = self.app.chain.block(BlockNumberOrTag::Number(logged.block_number));
                let block = block.await?.context("a project's block cannot be read")?;
                let first_day = Timestamp::from_secs(block.secs).day();
                sqlx::query!(
                    "insert into project (project, name, owner, token, first_day)
                     values ($1, $2, $3, $4, $5) on conflict (project) do nothing",
                    created.project.as_slice() as _,
                    created.name,
                    created.owner.as_slice() as _,
                    created.token.as_slice() as _,
                    i32::try_from(first_day.0)?
                )
                .execute(conn)
                .await?;
            }
            RegistryEvent::CollectionListed(listed) => {
                sqlx::query!(
                    "insert into collection (collection, project, workload) values ($1, $2, $3)
                     on conflict (collection) do nothing",
                    listed.collection.as_slice() as _,
                    listed.project.as_slice() as _,
                    listed.workload
                )
                .execute(conn)
                .await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends active leases that the newest block does not allow: of what was touched, or of all.
    async fn recheck(&self, only: Option<&Touched>) -> anyhow::Result<()> {
        let app = &self.app;
        if only.is_some_and(Touched::is_empty) {
            return Ok(());
        }
        let mut active = {
            let mut conn = app.pool.acquire().await?;
            active_leases(&mut conn, app.domain.chain_id()).await?
        };
        active.retain(|lease| only.is_none_or(|only| only.concerns(lease)));
        let asks: Vec<(LicenseId, Address)> =
            active.iter().map(|lease| (lease.id, lease.operator)).collect();
        if asks.is_empty() {
            return Ok(());
        }
        let rights = ownership::rights_of(&app.chain, &asks, BlockNumberOrTag::Latest).await?;
        // The RPC may have become another chain's meanwhile, whose word ends nothing.
        app.chain.recheck_chain().await?;
        for (held, (_, right)) in active.iter().zip(&rights.facts) {
            if right.allows() {
                continue;
            }
            let license = {
                let mut conn = app.pool.acquire().await?;
                super::by_index(&mut conn, held.license).await?
            };
            lease::end_denied(app, &license, held.operator)
                .await
                .map_err(|error| anyhow::anyhow!("license {}: {error:?}", held.id))?;
        }
        Ok(())
    }
}

/// Whose right to run what may have changed.
#[derive(Default)]
struct Touched {
    licenses: BTreeSet<LicenseIndex>,
    delegates: BTreeSet<Delegated>,
}

impl Touched {
    fn is_empty(&self) -> bool {
        self.licenses.is_empty() && self.delegates.is_empty()
    }

    fn concerns(&self, lease: &ActiveLease) -> bool {
        let delegate = Delegated { to: lease.operator, collection: lease.id.collection };
        self.licenses.contains(&lease.license) || self.delegates.contains(&delegate)
    }
}

struct ActiveLease {
    license: LicenseIndex,
    id: LicenseId,
    operator: Address,
}

async fn active_leases(conn: &mut PgConnection, chain_id: u64) -> anyhow::Result<Vec<ActiveLease>> {
    let rows = sqlx::query!(
        r#"select o.idx as "idx!", o.collection::bytea as "collection!", o.token_id::bytea as "token_id!",
                  l.operator::bytea as "operator!"
           from lease l join license o on o.idx = l.license_idx where l.ended_at is null"#
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ActiveLease {
                license: LicenseIndex(u32::try_from(row.idx)?),
                id: LicenseId {
                    chain_id,
                    collection: sql::address(&row.collection)?,
                    token_id: sql::uint256(&row.token_id)?,
                },
                operator: sql::address(&row.operator)?,
            })
        })
        .collect()
}

async fn collections(conn: &mut PgConnection) -> anyhow::Result<BTreeSet<Address>> {
    let rows = sqlx::query_scalar!(r#"select collection::bytea as "collection!" from collection"#)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|bytes| sql::address(bytes)).collect()
}

/// Stores one event, and the license where it is the first of its token.
async fn license_event(
    conn: &mut PgConnection,
    chain_id: u64,
    logged: &Logged<LicenseEvent>,
) -> anyhow::Result<LicenseIndex> {
    let (collection, token_id, account, expires) = match logged.event {
        LicenseEvent::Transfer { collection, token_id, to } => (collection, token_id, to, None),
        LicenseEvent::UpdateUser { collection, token_id, user, expires_secs } => {
            // "Until 2^64 - 1" means for ever; the column ends at 2^63 - 1, as far away.
            let expires = i64::try_from(expires_secs).unwrap_or(i64::MAX);
            (collection, token_id, user, Some(expires))
        }
    };
    let idx = license_index(conn, LicenseId { chain_id, collection, token_id }).await?;
    sqlx::query!(
        "insert into license_event (block_number, log_index, license_idx, kind, account, expires_secs)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        sql::signed(logged.block_number)?,
        i32::try_from(logged.log_index)?,
        idx,
        if expires.is_none() { "transfer" } else { "update_user" },
        account.as_slice() as _,
        expires
    )
    .execute(conn)
    .await?;
    Ok(LicenseIndex(u32::try_from(idx)?))
}

async fn license_index(conn: &mut PgConnection, id: LicenseId) -> anyhow::Result<i32> {
    let hash = id.hash();
    let known = sqlx::query_scalar!(
        r#"select idx as "idx!" from license where license_hash = $1"#,
        hash.as_slice() as _
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(idx) = known {
        return Ok(idx);
    }
    let token_id: [u8; 32] = U256::to_be_bytes(&id.token_id);
    // One mirror runs at a time, so the next index is nobody else's.
    let idx = sqlx::query_scalar!(
        r#"insert into license (idx, collection, token_id, license_hash)
           select coalesce(max(idx) + 1, 0), $1, $2, $3 from license returning idx as "idx!""#,
        id.collection.as_slice() as _,
        token_id.as_slice() as _,
        hash.as_slice() as _
    )
    .fetch_one(conn)
    .await?;
    Ok(idx)
}

async fn distributor_event(
    conn: &mut PgConnection,
    project: Address,
    logged: &Logged<DistributorEvent>,
) -> anyhow::Result<()> {
    let block = sql::signed(logged.block_number)?;
    match &logged.event {
        DistributorEvent::Posted(posted) => {
            let posted = Logged {
                block_number: logged.block_number,
                log_index: logged.log_index,
                transaction: logged.transaction,
                address: logged.address,
                event: posted.clone(),
            };
            commit::set_posted(conn, &posted).await?;
        }
        DistributorEvent::HeadRewound(rewound) => {
            commit::set_void(conn, project, rewound.revision, logged.block_number).await?;
        }
        DistributorEvent::SignerDisabled(disabled) => {
            commit::set_void(conn, project, disabled.revision, logged.block_number).await?;
        }
        DistributorEvent::Revoked(revoked) => {
            sqlx::query!(
                "update reward_commit set revoked_block = $2 where commit_hash = $1",
                revoked.commitHash.as_slice() as _,
                block
            )
            .execute(conn)
            .await?;
        }
        DistributorEvent::Claimed(claimed) => {
            let amount = |value| Amount::from_u256(value).context("a claim of 2^128 wei or more");
            sqlx::query!(
                "insert into claim (block_number, log_index, project, account, recipient, root,
                                    amount, cumulative, tx_hash)
                 values ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8::text::numeric, $9)
                 on conflict do nothing",
                block,
                i32::try_from(logged.log_index)?,
                project.as_slice() as _,
                claimed.account.as_slice() as _,
                claimed.recipient.as_slice() as _,
                claimed.root.as_slice() as _,
                amount(claimed.amount)?.to_string(),
                amount(claimed.cumulative)?.to_string(),
                logged.transaction.as_slice() as _
            )
            .execute(conn)
            .await?;
        }
        _ => {}
    }
    Ok(())
}
