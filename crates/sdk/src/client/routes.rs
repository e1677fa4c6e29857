//! The routes, one method each, in the order of the data path.
//!
//! A project is named by its distributor's address, a day as `YYYY-MM-DD`, a license by its hash
//! where leases are asked for and by collection and token elsewhere.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use nodesys_core::api::{
    CommitRequest, CommitView, DayView, Fleet, LeaseView, LicenseDay, LicenseDays, LicenseView,
    Network, NodeView, PointsChecked, ProofView, Receipt, RewardView, Session, SessionRequest,
    StoredRelease,
};
use nodesys_core::bundle::{Terms, canonical_json};
use nodesys_core::message::{
    Heartbeat, LeaseRequest, Signed, SignedAuthorization, SignedRevocation,
};
use nodesys_core::notify::{NotifyAdded, NotifyRequest, NotifyTarget};
use nodesys_core::pairing::{PairingBegun, PairingQuestion, PairingRequest, PairingState};
use nodesys_core::release::Release;
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;
use nodesys_core::uptime::ClosedUptime;
use nodesys_core::{Address, B256, U256, keccak256};
use reqwest::StatusCode;

use super::{Client, Error};

fn hex(address: Address) -> String {
    format!("{address:#x}")
}

impl Client {
    /// `GET /healthz`: the process answers.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]).
    pub async fn health(&self) -> Result<(), Error> {
        self.file(self.url(&["healthz"])).await.map(drop)
    }

    /// `GET /readyz`: the backend takes work.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]).
    pub async fn ready(&self) -> Result<(), Error> {
        self.file(self.url(&["readyz"])).await.map(drop)
    }

    /// `GET /v1/network`: chain, registry and receipt key; compare them with your own.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]).
    pub async fn network(&self) -> Result<Network, Error> {
        self.get(self.url(&["v1", "network"])).await
    }

    /// `POST /v1/nodes`: a node's authorisation; the same again gives the same answer.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with codes `bad_signature`, `authorization_expired`,
    /// `authorization_replaced`, `authorization_revoked` and `chain_unavailable` among others.
    pub async fn authorize_node(&self, signed: &SignedAuthorization) -> Result<NodeView, Error> {
        self.post(self.url(&["v1", "nodes"]), signed).await
    }

    /// `POST /v1/nodes/revocations`: ends an authorisation.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with codes `bad_signature`, `unknown_node` and
    /// `authorization_replaced`.
    pub async fn revoke_node(&self, signed: &SignedRevocation) -> Result<NodeView, Error> {
        self.post(self.url(&["v1", "nodes", "revocations"]), signed).await
    }

    /// `POST /v1/pairings`: a link and a code for the node's operator.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with codes `login_off`, `authorization_expired` and `clock_wrong`.
    pub async fn begin_pairing(&self, request: &PairingRequest) -> Result<PairingBegun, Error> {
        self.post(self.url(&["v1", "pairings"]), request).await
    }

    /// `POST /v1/pairings/state`: whether the operator has typed the code, and signed.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `unknown_pairing` once it has ended.
    pub async fn pairing_state(&self, question: &PairingQuestion) -> Result<PairingState, Error> {
        self.post(self.url(&["v1", "pairings", "state"]), question).await
    }

    /// `GET /v1/nodes/{node_key}`.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `unknown_node`.
    pub async fn node(&self, node_key: Address) -> Result<NodeView, Error> {
        self.get(self.url(&["v1", "nodes", &hex(node_key)])).await
    }

    /// `GET /v1/operators/{operator}`: a page of an operator's nodes; `after` is the `next` of the page before.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]).
    pub async fn fleet(&self, operator: Address, after: Option<&str>) -> Result<Fleet, Error> {
        let mut url = self.url(&["v1", "operators", &hex(operator)]);
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("after", after);
        }
        self.get(url).await
    }

    /// `POST /v1/sessions`: the server's time and a challenge.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `unknown_node`.
    pub async fn session(&self, node_key: Address) -> Result<Session, Error> {
        self.post(self.url(&["v1", "sessions"]), &SessionRequest { node_key }).await
    }

    /// `POST /v1/leases`: asks for a license's lease.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with codes `bad_signature`, `nonce_stale`,
    /// `authorization_expired`, `authorization_revoked`, `unknown_license`, `not_entitled`,
    /// `workload_taken` and `chain_unavailable` among others.
    pub async fn request_lease(&self, signed: &Signed<LeaseRequest>) -> Result<LeaseView, Error> {
        self.post(self.url(&["v1", "leases"]), signed).await
    }

    /// `GET /v1/leases/{license_hash}`: who runs a license.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `unknown_license`, or `not_leased` where nobody
    /// ever ran it.
    pub async fn lease(&self, license_hash: B256) -> Result<LeaseView, Error> {
        self.get(self.url(&["v1", "leases", &license_hash.to_string()])).await
    }

    /// `GET /v1/licenses/{collection}/{token_id}`.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]).
    pub async fn license(&self, collection: Address, token_id: U256) -> Result<LicenseView, Error> {
        self.get(self.url(&["v1", "licenses", &hex(collection), &token_id.to_string()])).await
    }

    /// `GET /v1/licenses/{collection}/{token_id}/uptime/{day}`: one license's day, open or closed.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]).
    pub async fn license_day(
        &self,
        collection: Address,
        token_id: U256,
        day: UtcDay,
    ) -> Result<LicenseDay, Error> {
        let (collection, token_id) = (hex(collection), token_id.to_string());
        let path = ["v1", "licenses", &collection, &token_id, "uptime", &day.to_string()];
        self.get(self.url(&path)).await
    }

    /// `GET /v1/licenses/{collection}/{token_id}/uptime`: a license's days in numbers, 400 at most.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]).
    pub async fn license_days(
        &self,
        collection: Address,
        token_id: U256,
        (from, to): (UtcDay, UtcDay),
    ) -> Result<LicenseDays, Error> {
        let (collection, token_id) = (hex(collection), token_id.to_string());
        let mut url = self.url(&["v1", "licenses", &collection, &token_id, "uptime"]);
        url.query_pairs_mut()
            .append_pair("from", &from.to_string())
            .append_pair("to", &to.to_string());
        self.get(url).await
    }

    /// `POST /v1/heartbeats`: the minute's heartbeat, answered by an (unverified) receipt.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with codes `bad_signature`, `unknown_node`,
    /// `authorization_expired`, `authorization_revoked`, `seq_stale`, `stale_challenge`,
    /// `wrong_minute`, `day_closed` and `rate_limited` among others.
    pub async fn heartbeat(&self, signed: &Signed<Heartbeat>) -> Result<Receipt, Error> {
        self.post(self.url(&["v1", "heartbeats"]), signed).await
    }

    /// `POST /v1/notify`: adds a webhook for the node; the same URL again gives the same answer.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with codes `bad_signature`, `nonce_stale`, `unknown_node`,
    /// `target_refused` and `too_many_targets` among others.
    pub async fn add_target(&self, signed: &Signed<NotifyRequest>) -> Result<NotifyAdded, Error> {
        self.post(self.url(&["v1", "notify"]), signed).await
    }

    /// `POST /v1/notify/list`: the node's webhooks.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]).
    pub async fn targets(
        &self,
        signed: &Signed<NotifyRequest>,
    ) -> Result<Vec<NotifyTarget>, Error> {
        self.post(self.url(&["v1", "notify", "list"]), signed).await
    }

    /// `POST /v1/notify/remove`: removes a webhook; answered by those that are left.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `unknown_target`.
    pub async fn remove_target(
        &self,
        signed: &Signed<NotifyRequest>,
    ) -> Result<Vec<NotifyTarget>, Error> {
        self.post(self.url(&["v1", "notify", "remove"]), signed).await
    }

    /// `POST /v1/notify/test`: sends a test now.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `unknown_target`, or `target_failed` where it was
    /// not taken.
    pub async fn test_target(&self, signed: &Signed<NotifyRequest>) -> Result<NotifyTarget, Error> {
        self.post(self.url(&["v1", "notify", "test"]), signed).await
    }

    /// `PUT /v1/releases/{hash}`: the document of a release that `project` announced on chain; the
    /// same again gives the same answer.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with codes `not_announced` and `chain_unavailable`.
    pub async fn put_release(
        &self,
        project: Address,
        release: &Release,
    ) -> Result<StoredRelease, Error> {
        let mut url = self.url(&["v1", "releases", &release.hash().to_string()]);
        url.query_pairs_mut().append_pair("project", &hex(project));
        self.put("application/json", url, release.canonical().into()).await
    }

    /// `GET /v1/releases/{hash}`: a release, checked to be the bytes of this hash.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]); [`Error::BadAnswer`] also where the bytes have another hash.
    pub async fn release(&self, hash: B256) -> Result<Release, Error> {
        let url = self.url(&["v1", "releases", &hash.to_string()]);
        let body = self.file(url.clone()).await?;
        Release::from_announced(&body, hash)
            .map_err(|error| Error::bad_answer(&url, StatusCode::OK, error.to_string()))
    }

    /// `GET /v1/days/{day}`.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]).
    pub async fn day(&self, day: UtcDay) -> Result<DayView, Error> {
        self.get(self.url(&["v1", "days", &day.to_string()])).await
    }

    /// `GET /v1/uptime/{project}/{day}`: the bytes of a closed day's `uptime.csv`.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `day_open` before the day is closed.
    pub async fn uptime(&self, project: Address, day: UtcDay) -> Result<Bytes, Error> {
        self.file(self.url(&["v1", "uptime", &hex(project), &day.to_string()])).await
    }

    /// `GET /v1/uptime/{project}/{day}/closed`: how that file belongs to the signed day.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]).
    pub async fn closed_uptime(
        &self,
        project: Address,
        day: UtcDay,
    ) -> Result<ClosedUptime, Error> {
        self.get(self.url(&["v1", "uptime", &hex(project), &day.to_string(), "closed"])).await
    }

    /// `PUT /v1/points/{project}/{day}`: the day's points and terms under the reward signer's
    /// `PointsUpload` signature; answered by the backend's own computation.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with codes `bad_signature`, `day_open`, `points_invalid`,
    /// `out_of_order`, `committed` and `chain_unavailable` among others.
    pub async fn put_points(
        &self,
        project: Address,
        day: UtcDay,
        terms: &Terms,
        signature: &WalletSignature,
        points_csv: Bytes,
    ) -> Result<PointsChecked, Error> {
        let mut url = self.url(&["v1", "points", &hex(project), &day.to_string()]);
        // The body is the file, byte for byte, so what is signed with it goes into the query.
        url.query_pairs_mut()
            .append_pair("terms", &URL_SAFE_NO_PAD.encode(canonical_json(terms)))
            .append_pair("points_hash", &keccak256(&points_csv).to_string())
            .append_pair("signature", &signature.as_bytes().to_string());
        self.put("text/csv", url, points_csv).await
    }

    /// `GET /v1/points/{project}/{day}`: the accepted `points.csv`.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with codes `unknown_project` and `not_found`.
    pub async fn points(&self, project: Address, day: UtcDay) -> Result<Bytes, Error> {
        self.file(self.url(&["v1", "points", &hex(project), &day.to_string()])).await
    }

    /// `GET /v1/points/{project}/{day}/rewards`: `rewards.csv` as the backend computes it.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `not_found`.
    pub async fn computed_rewards(&self, project: Address, day: UtcDay) -> Result<Bytes, Error> {
        self.file(self.url(&["v1", "points", &hex(project), &day.to_string(), "rewards"])).await
    }

    /// `POST /v1/commits`: a signed commit; the same again gives the same answer.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with codes `bad_signature`, `unknown_project`,
    /// `points_invalid`, `wrong_previous`, `underfunded` and `committed` among others.
    pub async fn commit(&self, request: &CommitRequest) -> Result<CommitView, Error> {
        self.post(self.url(&["v1", "commits"]), request).await
    }

    /// `GET /v1/commits/{project}/{day}`.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `not_found`.
    pub async fn commit_of(&self, project: Address, day: UtcDay) -> Result<CommitView, Error> {
        self.get(self.url(&["v1", "commits", &hex(project), &day.to_string()])).await
    }

    /// `GET /v1/roots/{project}`: the project's commits.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `chain_unavailable`.
    pub async fn roots(&self, project: Address) -> Result<Vec<CommitView>, Error> {
        self.get(self.url(&["v1", "roots", &hex(project)])).await
    }

    /// `GET /v1/proofs/{project}/{account}`: by the newest active commit, or by a day's.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `not_found`.
    pub async fn proof(
        &self,
        project: Address,
        account: Address,
        day: Option<UtcDay>,
    ) -> Result<ProofView, Error> {
        let mut url = self.url(&["v1", "proofs", &hex(project), &hex(account)]);
        if let Some(day) = day {
            url.query_pairs_mut().append_pair("day", &day.to_string());
        }
        self.get(url).await
    }

    /// `GET /v1/rewards/{account}`: what an account has earned and claimed, by project.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `chain_unavailable`.
    pub async fn rewards(&self, account: Address) -> Result<Vec<RewardView>, Error> {
        self.get(self.url(&["v1", "rewards", &hex(account)])).await
    }

    /// `GET /v1/bundles/{project}/{day}/{file}`: one file of a day bundle.
    ///
    /// # Errors
    ///
    /// Those of a request ([`Error`]), with code `not_found`.
    pub async fn bundle_file(
        &self,
        project: Address,
        day: UtcDay,
        file: &str,
    ) -> Result<Bytes, Error> {
        self.file(self.url(&["v1", "bundles", &hex(project), &day.to_string(), file])).await
    }
}
