//! Releases as the registry of a real chain tells them.

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, B256};
use nodesys_core::ids::Name;

use super::anvil::Anvil;
use super::{deploy, sent};
use crate::Provider;
use crate::bindings::{DevToken, ProjectRegistry};
use crate::project::registry_events;
use crate::release::{
    ReleaseEvent, announce_request, announce_tombstone_request, newest_version, release_at,
    release_events, releases_of, tombstone_at,
};

const HOUR: u64 = 3600;

/// A registry with one project, whose owner and release key is the sender; the delay is an hour.
async fn project(provider: &Provider) -> (Address, Address) {
    let owner = provider.sender().unwrap();
    let name = "Dev".to_owned();
    let builder = DevToken::deploy_builder(provider.rpc(), name.clone(), name, owner);
    let token = deploy(provider, builder.into_transaction_request()).await;
    let builder = ProjectRegistry::deploy_builder(provider.rpc(), owner);
    let registry = deploy(provider, builder.into_transaction_request()).await;
    let bound = ProjectRegistry::new(registry, provider.rpc());
    let params = ProjectRegistry::ProjectParams {
        name: "acme".to_owned(),
        token,
        signer: owner,
        guardian: Address::ZERO,
        dailyQuota: 1,
        delay: 0,
        metadataURI: String::new(),
        claimsForContracts: false,
        userSalt: B256::ZERO,
    };
    let project = bound.projectAddress(owner, params.clone()).call().await.unwrap();
    sent(provider, bound.reserveProject(project).into_transaction_request()).await;
    sent(provider, bound.createProject(params).into_transaction_request()).await;
    let call = bound.setReleaseKey(project, owner, HOUR);
    sent(provider, call.into_transaction_request()).await;
    (registry, project)
}

#[tokio::test]
async fn one_call_reads_releases_and_tombstones() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let (registry, project) = project(&provider).await;
    let workload: Name = "render".parse().unwrap();
    let read = async || {
        releases_of(&provider, registry, project, &workload, BlockNumberOrTag::Latest)
            .await
            .unwrap()
    };

    let none = read().await;
    assert_eq!(none.release_key, provider.sender());
    assert_eq!(none.release_delay_secs, HOUR);
    assert_eq!((none.runnable, none.announced), (None, None));
    assert_eq!((none.tombstone, none.announced_tombstone), (None, None));

    let hash = B256::repeat_byte(7);
    sent(&provider, announce_request(registry, project, &workload, 3, hash)).await;
    let pending = read().await;
    let release = pending.announced.unwrap();
    assert_eq!((release.version, release.release_hash), (3, hash));
    assert_eq!(release.announced_at, pending.block.secs);
    assert_eq!(release.runnable_at, pending.block.secs + HOUR);
    assert_eq!(pending.runnable, None);

    anvil.mine_at(&provider, release.runnable_at).await;
    assert_eq!(read().await.runnable, Some(release));

    sent(&provider, announce_tombstone_request(registry, project, &workload, 4, true)).await;
    let tombstone = read().await.announced_tombstone.unwrap();
    assert_eq!((tombstone.version, tombstone.removes_volumes), (4, true));
    assert_eq!(read().await.tombstone, None);
    anvil.mine_at(&provider, tombstone.effective_at).await;
    let removed = read().await;
    assert_eq!((removed.runnable, removed.tombstone), (None, Some(tombstone)));
    assert_eq!(removed.announced, Some(release));

    sent(&provider, announce_request(registry, project, &workload, 5, hash)).await;
    let bound = ProjectRegistry::new(registry, provider.rpc());
    let veto = bound.veto(project, workload.to_string(), 5);
    sent(&provider, veto.into_transaction_request()).await;
    assert_eq!(read().await.announced, Some(release));
    let (vetoed, is_vetoed) =
        release_at(&provider, registry, project, &workload, 5).await.unwrap().unwrap();
    assert_eq!((vetoed.version, is_vetoed), (5, true));
    let at = async |version| {
        tombstone_at(&provider, registry, project, &workload, version).await.unwrap()
    };
    assert_eq!((at(4).await, at(5).await), (Some((tombstone, false)), None));
    assert_eq!(newest_version(&provider, registry, project, &workload).await.unwrap(), 5);
    assert_eq!(release_at(&provider, registry, project, &workload, 6).await.unwrap(), None);

    let latest = provider.latest_block().await.unwrap();
    let events = registry_events(&provider, registry, 0, latest.number).await.unwrap();
    let told = release_events(&events, project, &workload);
    let told: Vec<ReleaseEvent> = told.into_iter().map(|logged| logged.event).collect();
    let by = provider.sender().unwrap();
    assert_eq!(
        told,
        [
            ReleaseEvent::Announced {
                version: 3,
                release_hash: hash,
                runnable_at: release.runnable_at
            },
            ReleaseEvent::TombstoneAnnounced {
                version: 4,
                removes_volumes: true,
                effective_at: tombstone.effective_at
            },
            ReleaseEvent::Announced {
                version: 5,
                release_hash: hash,
                runnable_at: vetoed.runnable_at
            },
            ReleaseEvent::Vetoed { version: 5, by },
        ]
    );
    assert!(release_events(&events, registry, &workload).is_empty());
    assert!(release_events(&events, project, &"other".parse().unwrap()).is_empty());
}

#[tokio::test]
async fn a_refused_announcement_says_why() {
    let anvil = Anvil::start();
    let provider = anvil.provider().await;
    let (registry, project) = project(&provider).await;
    let workload: Name = "render".parse().unwrap();
    let request = announce_request(registry, project, &workload, 0, B256::repeat_byte(1));
    let error = provider.send("announcing", request).await.unwrap_err();
    assert!(error.to_string().contains("VersionNotHigher (version 0, newest 0)"), "{error}");
    let bound = ProjectRegistry::new(registry, provider.rpc());
    let unset = bound.disableReleaseKey(project);
    sent(&provider, unset.into_transaction_request()).await;
    let request = announce_request(registry, project, &workload, 1, B256::repeat_byte(1));
    let error = provider.send("announcing", request).await.unwrap_err();
    assert_eq!(error.revert().and_then(|revert| revert.name()), Some("NotReleaseKey"));
    assert!(error.to_string().contains(&Address::ZERO.to_string()), "{error}");
}
