//! Applying a page: each log by the contract that said it.

use std::collections::BTreeMap;

use alloy::eips::BlockNumberOrTag;
use alloy::rpc::types::Log;
use anyhow::Context;
use nodesys_chain::listing;
use nodesys_chain::logs::{Logged, event_of, license_event_of};
use nodesys_chain::project::{DistributorEvent, RegistryEvent};
use nodesys_core::Address;
use nodesys_core::ids::Amount;
use nodesys_core::time::Timestamp;
use sqlx::PgConnection;

use super::place::Place;
use super::read::Reading;
use super::touched::Touched;
use super::turn::Turn;
use crate::db;
use crate::db::claim::NewClaim;
use crate::db::commit::Posting;
use crate::db::listing::NewListing;
use crate::db::mirror_source::Kind;
use crate::db::project::NewProject;

/// Applies what was read, in chain order. Idempotent.
pub(super) async fn apply(
    place: &Place,
    conn: &mut PgConnection,
    turn: &Turn,
    reading: &Reading,
    touched: &mut Touched,
) -> anyhow::Result<()> {
    let mut kinds: BTreeMap<Address, Vec<Kind>> = BTreeMap::new();
    for source in &turn.sources {
        kinds.entry(source.address).or_default().push(source.kind);
    }
    for log in &reading.logs {
        // One address may be several: anybody can list a registry as a collection.
        for kind in kinds.get(&log.address()).into_iter().flatten() {
            apply_one(place, conn, *kind, log, touched).await?;
        }
    }
    touched.delegates.extend(reading.delegated.iter().copied());
    touched.anybody |= reading.delegated_unknown;
    Ok(())
}

async fn apply_one(
    place: &Place,
    conn: &mut PgConnection,
    kind: Kind,
    log: &Log,
    touched: &mut Touched,
) -> anyhow::Result<()> {
    match kind {
        Kind::Registry => match event_of(log) {
            Some(logged) => registry_event(place, conn, &logged).await,
            None => Ok(()),
        },
        Kind::Distributor => match event_of(log) {
            Some(logged) => distributor_event(conn, &logged).await,
            None => Ok(()),
        },
        Kind::Collection => {
            let Some(logged) = license_event_of(log) else { return Ok(()) };
            let (block, index) = (logged.block_number, logged.log_index);
            let license =
                db::license::insert_event(conn, place.chain_id, block, index, &logged.event)
                    .await?;
            touched.licenses.insert(license);
            Ok(())
        }
        Kind::Delegates => Ok(()),
    }
}

async fn registry_event(
    place: &Place,
    conn: &mut PgConnection,
    logged: &Logged<RegistryEvent>,
) -> anyhow::Result<()> {
    match &logged.event {
        RegistryEvent::ProjectCreated(created) => {
            let new = NewProject {
                project: created.project,
                name: &created.name,
                owner: created.owner,
                token: created.token,
                first_day: time_of(place, logged.block_number).await?.day(),
            };
            db::project::insert(conn, &new).await
        }
        RegistryEvent::CollectionListed(listed) => {
            let new = NewListing {
                collection: listed.collection,
                project: listed.project,
                workload: &listed.workload,
                from: listing::day(listed.fromDay)?,
                at: time_of(place, logged.block_number).await?,
                block: logged.block_number,
            };
            db::listing::insert(conn, &new).await
        }
        RegistryEvent::CollectionDelisted(delisted) => {
            let (collection, project) = (delisted.collection, delisted.project);
            let until = listing::day(delisted.untilDay)?;
            db::listing::end(conn, collection, project, until, logged.block_number).await
        }
        _ => Ok(()),
    }
}

async fn time_of(place: &Place, block: u64) -> anyhow::Result<Timestamp> {
    let found = place.chain.block(BlockNumberOrTag::Number(block)).await?;
    Ok(Timestamp::from_secs(found.context("the block of an event cannot be read")?.secs))
}

async fn distributor_event(
    conn: &mut PgConnection,
    logged: &Logged<DistributorEvent>,
) -> anyhow::Result<()> {
    let (project, block) = (logged.address, logged.block_number);
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
            };
            db::claim::insert(conn, &claim).await
        }
        _ => Ok(()),
    }
}
