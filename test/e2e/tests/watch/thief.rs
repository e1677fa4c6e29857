//! A thief with the reward signer's key, who wants everything.

use alloy::eips::eip2718::Encodable2718 as _;
use alloy::network::{EthereumWallet, NetworkTransactionBuilder as _, TransactionBuilder as _};
use alloy::primitives::{B256, Bytes};
use alloy::providers::Provider as _;
use alloy::signers::local::PrivateKeySigner;
use nodesys_chain::Provider;
use nodesys_chain::project::post_request;
use nodesys_clock::DEVELOPMENT_CHAIN_ID;
use nodesys_core::bundle::{DayBundle, PreviousDay};
use nodesys_core::files::RewardRow;
use nodesys_core::ids::Amount;
use nodesys_core::message::SignedCommit;
use nodesys_core::signature::SigningKey;
use nodesys_core::time::UtcDay;
use nodesys_sdk::commit::with_rewards;

use crate::signer::key;
use crate::world::{QUOTA, RUNNER, THIEF, World, post_of};

/// The availability of a wrong commit's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// The project's places have the commit's files.
    Published,
    /// The commit has a random hash, without files.
    Withheld,
}

impl World {
    pub async fn thief(&self) -> anyhow::Result<Provider> {
        let (url, chain) = (&self.chain.url, Some(DEVELOPMENT_CHAIN_ID));
        Ok(Provider::connect_with_key(url, chain, &key(THIEF)).await?)
    }

    /// The thief's day: earlier payments stay; everything else committed, and a quota for each of
    /// `quotas` days, goes to the thief.
    pub async fn wrong_day(
        &self,
        day: UtcDay,
        before: PreviousDay,
        quotas: u128,
    ) -> anyhow::Result<DayBundle> {
        let mut rows = Vec::new();
        for account in self.earners().map(|person| person.address()) {
            let cumulative = self.claimed(account).await?;
            if cumulative > Amount::ZERO {
                rows.push(RewardRow { account, cumulative });
            }
        }
        let state = self.state().await?;
        let loot = state.total.get() + quotas * QUOTA - state.paid.get();
        rows.push(RewardRow { account: key(THIEF).address(), cumulative: Amount::new(loot) });
        rows.sort_by_key(|row| row.account);
        Ok(with_rewards(&self.build(day, before).await?, rows)?)
    }

    /// Signs a day with the stolen key, and remembers its tree to claim by.
    pub fn sign_stolen(
        &mut self,
        mut day: DayBundle,
        files: Files,
    ) -> anyhow::Result<(DayBundle, SignedCommit)> {
        if files == Files::Withheld {
            day.commit.data_hash = B256::from(rand::random::<[u8; 32]>());
        }
        let signed = self.signer.sign(&day.commit, &self.domain());
        if files == Files::Published {
            self.store.write(&day, &signed)?;
        }
        self.ledger.thief.push(post_of(&day));
        Ok((day, signed))
    }

    /// A post as a raw transaction of the thief's second account, its `place`th from now.
    pub async fn raw_post(&self, signed: &SignedCommit, place: u64) -> anyhow::Result<Bytes> {
        let runner = key(RUNNER);
        let first = self.chain.reader.rpc().get_transaction_count(runner.address()).await?;
        let request = post_request(self.distributor(), signed)
            .with_from(runner.address())
            .with_chain_id(DEVELOPMENT_CHAIN_ID)
            .with_nonce(first + place)
            .with_gas_limit(500_000)
            .with_max_fee_per_gas(100_000_000_000)
            .with_max_priority_fee_per_gas(10_000_000_000);
        let signed = request.build(&ethereum_wallet(&runner)?).await?;
        Ok(signed.encoded_2718().into())
    }

    /// Claims by every root of the thief's that is active.
    pub async fn thief_claims(&self) -> anyhow::Result<()> {
        for post in &self.ledger.thief {
            if self.is_active(post.root).await? {
                self.claim(&key(THIEF), post).await?;
            }
        }
        Ok(())
    }
}

fn ethereum_wallet(key: &SigningKey) -> anyhow::Result<EthereumWallet> {
    let signer: PrivateKeySigner = key.to_hex().as_str().parse()?;
    Ok(EthereumWallet::from(signer))
}
