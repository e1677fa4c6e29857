//! The signing record: never two commits for one epoch and revision.
//!
//! [`sign_once`] records the commit, waits until the record is durable, and only then signs. The
//! row's key is (chain, distributor, epoch, revision); a second commit with the same key finds the
//! first one's row and is refused. Signing is deterministic (RFC 6979), so the same commit again
//! gives the same signature.

use anyhow::Context as _;
use nodesys_core::message::{Domain, Message as _, RewardCommit, SignedCommit};
use nodesys_core::signature::SigningKey;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};
use nodesys_sdk::commit::sign;
use sqlx::{PgPool, PgTransaction};

/// Another commit is on record for the same epoch and revision, signed or about to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "refused to sign commit {given}: for epoch {epoch}, revision {revision} of {distributor} \
     the commit {recorded} is on record; to replace a commit, revoke it on chain, which raises the \
     revision"
)]
pub(super) struct AlreadySigned {
    /// Address of the project's `RewardDistributor`.
    pub distributor: Address,
    /// The day.
    pub epoch: u64,
    /// The revision.
    pub revision: u32,
    /// Struct hash of the commit on record.
    pub recorded: B256,
    /// Struct hash of the commit that was to be signed.
    pub given: B256,
}

/// Signs a commit in its distributor's domain.
///
/// # Errors
///
/// [`AlreadySigned`] if another commit is on record for its epoch and revision; otherwise if the
/// record cannot be written. Then there is no signature.
pub(super) async fn sign_once(
    pool: &PgPool,
    domain: &Domain,
    commit: &RewardCommit,
    key: &SigningKey,
    now: Timestamp,
) -> anyhow::Result<SignedCommit> {
    // The signature exists only after the row does, whatever happens to this machine in between.
    record_once(pool, domain, commit, key.address(), now).await?;
    Ok(sign(commit, domain, key))
}

/// Records, durably, that `signer` signs this commit and no other for its epoch and revision: for a
/// signer whose key is elsewhere.
///
/// # Errors
///
/// [`AlreadySigned`] if another commit is on record; otherwise if the record cannot be written.
pub(super) async fn record_once(
    pool: &PgPool,
    domain: &Domain,
    commit: &RewardCommit,
    signer: Address,
    now: Timestamp,
) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await.context("the signing record cannot be opened")?;
    record(&mut transaction, domain, commit, signer, now).await?;
    transaction.commit().await.context("the signing record cannot be written")
}

async fn record(
    transaction: &mut PgTransaction<'_>,
    domain: &Domain,
    commit: &RewardCommit,
    signer: Address,
    now: Timestamp,
) -> anyhow::Result<()> {
    let distributor = domain.verifying_contract();
    let given = commit.struct_hash();
    let number = |value: u64| i64::try_from(value).context("a number of 2^63 or more");
    let (chain_id, epoch) = (number(domain.chain_id())?, number(commit.epoch)?);
    let revision = i64::from(commit.revision);
    let body = serde_json::to_string(commit).context("the commit does not serialise")?;
    sqlx::query!("set local synchronous_commit = on").execute(&mut **transaction).await?;
    sqlx::query!(
        "insert into signed_commit
           (chain_id, distributor, epoch, revision, commit_hash, signer, body, noted_millis)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict on constraint signed_commit_once do nothing",
        chain_id,
        distributor.as_slice(),
        epoch,
        revision,
        given.as_slice(),
        signer.as_slice(),
        body,
        number(now.millis())?,
    )
    .execute(&mut **transaction)
    .await?;
    let recorded = sqlx::query_scalar!(
        "select commit_hash from signed_commit
         where chain_id = $1 and distributor = $2 and epoch = $3 and revision = $4",
        chain_id,
        distributor.as_slice(),
        epoch,
        revision,
    )
    .fetch_one(&mut **transaction)
    .await?;
    let recorded = B256::try_from(recorded.as_slice()).context("a hash has 32 bytes")?;
    if recorded == given {
        Ok(())
    } else {
        let (epoch, revision) = (commit.epoch, commit.revision);
        Err(AlreadySigned { distributor, epoch, revision, recorded, given }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodesys_core::ids::Amount;

    const NOW: Timestamp = Timestamp::from_secs(1_767_312_000);

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[5; 32]).unwrap()
    }

    fn domain() -> Domain {
        Domain::new(31_337, Address::repeat_byte(2))
    }

    fn commit(total: u128) -> RewardCommit {
        RewardCommit {
            epoch: 20_454,
            revision: 0,
            previous: B256::ZERO,
            root: B256::repeat_byte(1),
            total: Amount::new(total),
            data_hash: B256::ZERO,
        }
    }

    #[sqlx::test(migrations = "../../migrations/master")]
    async fn a_second_commit_for_one_epoch_and_revision_is_refused(pool: PgPool) {
        let first = sign_once(&pool, &domain(), &commit(5), &key(), NOW).await.unwrap();
        let digest = first.commit.digest(&domain());
        let signature = first.signature.as_key_signature().unwrap();
        signature.verify(digest, key().address()).unwrap();
        let again = sign_once(&pool, &domain(), &commit(5), &key(), NOW).await.unwrap();
        assert_eq!(again, first);

        let error = sign_once(&pool, &domain(), &commit(6), &key(), NOW).await.unwrap_err();
        let refused = error.downcast_ref::<AlreadySigned>().unwrap();
        assert_eq!(refused.recorded, commit(5).struct_hash());
        assert!(error.to_string().contains("revoke it on chain"), "{error}");

        // Another revision, epoch, distributor or chain is another key.
        let next = RewardCommit { revision: 1, ..commit(6) };
        sign_once(&pool, &domain(), &next, &key(), NOW).await.unwrap();
        let next = RewardCommit { epoch: 20_455, ..commit(6) };
        sign_once(&pool, &domain(), &next, &key(), NOW).await.unwrap();
        for domain in
            [Domain::new(31_337, Address::repeat_byte(3)), Domain::new(1, Address::repeat_byte(2))]
        {
            sign_once(&pool, &domain, &commit(6), &key(), NOW).await.unwrap();
        }
    }

    #[sqlx::test(migrations = "../../migrations/master")]
    async fn of_many_at_once_only_one_is_signed(pool: PgPool) {
        let tries = (1..=8).map(|total| {
            let pool = pool.clone();
            tokio::spawn(async move {
                sign_once(&pool, &domain(), &commit(total), &key(), NOW).await.is_ok()
            })
        });
        let mut signed = 0;
        for one in tries.collect::<Vec<_>>() {
            signed += usize::from(one.await.unwrap());
        }
        assert_eq!(signed, 1);
    }

    #[sqlx::test(migrations = "../../migrations/master")]
    async fn the_record_cannot_be_altered(pool: PgPool) {
        sign_once(&pool, &domain(), &commit(5), &key(), NOW).await.unwrap();
        for statement in ["delete from signed_commit", "update signed_commit set epoch = 1"] {
            let error = sqlx::query(statement).execute(&pool).await.unwrap_err();
            assert!(error.to_string().contains("never changed"), "{error}");
        }
    }
}
