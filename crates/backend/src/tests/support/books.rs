//! A project owner of a test: from a closed day to a signed commit.

use bytes::Bytes;
use nodesys_core::api::{CommitRequest, PointsChecked};
use nodesys_core::bundle::{Beneficiary, Terms};
use nodesys_core::files::{PointsRow, UptimeRow, parse_file, write_file};
use nodesys_core::ids::Amount;
use nodesys_core::keccak256;
use nodesys_core::message::{Domain, Message as _, PointsUpload, RewardCommit, SignedCommit};
use nodesys_core::points::Rule;
use nodesys_core::signature::SigningKey;
use nodesys_core::time::UtcDay;
use nodesys_sdk::client::{Client, Error};

use super::World;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::{QUOTA, signer};

pub(crate) fn terms() -> Terms {
    Terms {
        day_reward: Amount::new(QUOTA),
        rule: Rule::default(),
        beneficiary: Beneficiary::Renter,
        excluded: Vec::new(),
    }
}

impl World {
    /// The domain of commits.
    pub(crate) fn rewards_domain(&self) -> Domain {
        Domain::new(CHAIN_ID, self.chain.distributor)
    }

    /// The points of a closed day by the rule.
    pub(crate) async fn points(&self, day: UtcDay) -> Vec<PointsRow> {
        let project = self.chain.distributor;
        let csv = self.client().uptime(project, day).await.unwrap();
        let rows: Vec<UptimeRow> = parse_file(&csv).unwrap();
        let excused = self.client().closed_uptime(project, day).await.unwrap().excused;
        terms().rule.points(&rows, excused).unwrap()
    }

    /// Uploads these bytes as a day's points, signed by the reward signer.
    pub(crate) async fn upload(
        &self,
        day: UtcDay,
        terms: &Terms,
        csv: &str,
    ) -> Result<PointsChecked, Error> {
        self.upload_by(&signer(), day, terms, csv).await
    }

    /// The same at another replica.
    pub(crate) async fn upload_to(
        &self,
        client: &Client,
        day: UtcDay,
        terms: &Terms,
        csv: &str,
    ) -> Result<PointsChecked, Error> {
        self.put(client, &signer(), day, terms, csv).await
    }

    pub(crate) async fn upload_by(
        &self,
        key: &SigningKey,
        day: UtcDay,
        terms: &Terms,
        csv: &str,
    ) -> Result<PointsChecked, Error> {
        self.put(self.client(), key, day, terms, csv).await
    }

    async fn put(
        &self,
        client: &Client,
        key: &SigningKey,
        day: UtcDay,
        terms: &Terms,
        csv: &str,
    ) -> Result<PointsChecked, Error> {
        let upload = PointsUpload {
            epoch: day.epoch(),
            points_hash: keccak256(csv),
            terms_hash: terms.hash(),
        };
        let signature = key.sign(upload.digest(&self.rewards_domain())).into();
        let csv = Bytes::copy_from_slice(csv.as_bytes());
        client.put_points(self.chain.distributor, day, terms, &signature, csv).await
    }

    /// The commit that the backend computes from the rule's points.
    pub(crate) async fn computed(&self, day: UtcDay) -> PointsChecked {
        let csv = write_file(&self.points(day).await);
        self.upload(day, &terms(), &csv).await.unwrap()
    }

    pub(crate) fn signed(&self, commit: &RewardCommit) -> CommitRequest {
        self.signed_by(&signer(), commit)
    }

    pub(crate) fn signed_by(&self, key: &SigningKey, commit: &RewardCommit) -> CommitRequest {
        let signature = key.sign(commit.digest(&self.rewards_domain())).into();
        let signed = SignedCommit { commit: commit.clone(), signature };
        CommitRequest { project: self.chain.distributor, signed }
    }

    /// Computes, signs and hands in a day's commit.
    pub(crate) async fn commit(&self, day: UtcDay) -> CommitRequest {
        let request = self.signed(&self.computed(day).await.commit);
        self.client().commit(&request).await.unwrap();
        request
    }
}
