//! The provider: a program's connection to one chain, made here and nowhere else.
//!
//! It reads over one RPC, or over several of which a [`crate::majority`] must agree. Each RPC's chain id
//! is asked for before anything is trusted to it, so everything later runs on the chain that was
//! configured. Every request has a timeout. Transactions go out one at a time over the first RPC
//! ([`Provider::send`]), each with a nonce read fresh from the chain: a send that fails burns no nonce, so
//! the next one is never stuck behind it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy::eips::BlockId;
use alloy::network::{EthereumWallet, TransactionBuilder as _};
use alloy::primitives::{Address, Bytes};
use alloy::providers::{DynProvider, Provider as _, ProviderBuilder};
use alloy::rpc::client::RpcClient;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use alloy::transports::TransportError;
use futures::future::join_all;
use nodesys_core::signature::SigningKey;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::error::ChainError;
use crate::patient::PatientHttp;
use crate::revert::Revert;
use crate::rpc_url::RpcUrl;
use crate::sent::Record;
use crate::sources::{Source, agree, chain_id_of, in_words};

/// How long one request may take: a page of logs of an archive node takes several seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a transaction may take to come into a block: ten of Ethereum's, past which it waits for its
/// fee.
const MINED_TIMEOUT: Duration = Duration::from_secs(120);
/// How often alloy asks for what it follows.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A connection to one chain; cheap to clone.
///
/// # Examples
///
/// ```no_run
/// use alloy::eips::BlockId;
/// use nodesys_chain::bindings::RewardDistributor;
/// use nodesys_chain::{ChainError, Provider, RpcUrl};
/// use nodesys_core::Address;
///
/// async fn example(rpcs: &[RpcUrl], distributor: Address) -> Result<(), ChainError> {
///     let provider = Provider::connect_all(rpcs, Some(1)).await?;
///     let signer = RewardDistributor::signerCall {};
///     let signer = provider.call(distributor, &signer, BlockId::latest()).await?;
///     println!("by a majority of {} RPCs the reward signer is {signer}", provider.sources());
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Provider {
    /// Never empty. The first one also sends.
    sources: Arc<[Source]>,
    chain_id: u64,
    sender: Option<Address>,
    wallet: Option<EthereumWallet>,
    sending: Arc<Mutex<()>>,
    record: Option<Arc<Record>>,
    mined_timeout: Duration,
    /// The newest block known to be final.
    known_final: Arc<AtomicU64>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("rpcs", &self.place())
            .field("chain_id", &self.chain_id)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// Connects to one RPC for reading. With `expect_chain`, any other chain is refused.
    ///
    /// # Errors
    ///
    /// [`ChainError::WrongChain`] where it serves another chain, [`ChainError::Unreachable`] or
    /// [`ChainError::Rpc`] where it does not say which.
    pub async fn connect(rpc: &RpcUrl, expect_chain: Option<u64>) -> Result<Self, ChainError> {
        Self::build(std::slice::from_ref(rpc), expect_chain, None, REQUEST_TIMEOUT).await
    }

    /// Connects to several RPCs that must agree, for reading. One of them must answer now; of the
    /// others each is taken up when it does. An RPC of another chain is refused, and so is one named
    /// twice: it would vouch for itself.
    ///
    /// # Errors
    ///
    /// [`ChainError::SameRpc`] where one is named twice, [`ChainError::WrongChain`] where one serves another
    /// chain than the others or than `expect_chain`, and the first RPC's own where none answers.
    pub async fn connect_all(
        rpcs: &[RpcUrl],
        expect_chain: Option<u64>,
    ) -> Result<Self, ChainError> {
        Self::build(rpcs, expect_chain, None, REQUEST_TIMEOUT).await
    }

    /// As [`Self::connect_all`], with a limit of its own for each request.
    ///
    /// # Errors
    ///
    /// As [`Self::connect_all`].
    pub async fn connect_all_within(
        rpcs: &[RpcUrl],
        expect_chain: Option<u64>,
        key: Option<&SigningKey>,
        request_timeout: Duration,
    ) -> Result<Self, ChainError> {
        Self::build(rpcs, expect_chain, key, request_timeout).await
    }

    /// Connects for reading and for sending transactions signed by `key`.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub async fn connect_with_key(
        rpc: &RpcUrl,
        expect_chain: Option<u64>,
        key: &SigningKey,
    ) -> Result<Self, ChainError> {
        Self::build(std::slice::from_ref(rpc), expect_chain, Some(key), REQUEST_TIMEOUT).await
    }

    /// Connects to several RPCs that must agree, for reading and for sending transactions signed by
    /// `key` over the first.
    ///
    /// # Errors
    ///
    /// As [`Self::connect_all`].
    pub async fn connect_all_with_key(
        rpcs: &[RpcUrl],
        expect_chain: Option<u64>,
        key: &SigningKey,
    ) -> Result<Self, ChainError> {
        Self::build(rpcs, expect_chain, Some(key), REQUEST_TIMEOUT).await
    }

    async fn build(
        rpcs: &[RpcUrl],
        expect_chain: Option<u64>,
        key: Option<&SigningKey>,
        request_timeout: Duration,
    ) -> Result<Self, ChainError> {
        // A program installs its TLS provider first thing; a test or an embedding owner may not
        // have. A second installation is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let twice = rpcs.iter().enumerate().find(|(i, url)| rpcs[..*i].contains(url));
        if let Some((_, url)) = twice {
            return Err(ChainError::SameRpc { rpc: url.clone() });
        }
        let clients = rpcs
            .iter()
            .map(|url| Ok((client_of(url, key, request_timeout)?, url)))
            .collect::<Result<Vec<_>, ChainError>>()?;
        let ids = clients.iter().map(|(rpc, url)| chain_id_of(rpc, url));
        let (mut chain_id, mut unavailable) = (expect_chain, None);
        let mut answered = false;
        for (id, url) in join_all(ids).await.into_iter().zip(rpcs) {
            match (id, chain_id) {
                (Ok(found), Some(expected)) if found != expected => {
                    return Err(ChainError::WrongChain { rpc: url.clone(), expected, found });
                }
                // The first answer says which chain it is, unless one was expected.
                (Ok(found), _) => (answered, chain_id) = (true, Some(found)),
                (Err(error), _) => unavailable = unavailable.or(Some(error)),
            }
        }
        match (chain_id, unavailable) {
            (Some(chain_id), _) if answered => Ok(Self {
                sources: clients
                    .into_iter()
                    .map(|(rpc, url)| Source::new(rpc, url.clone(), chain_id))
                    .collect(),
                chain_id,
                sender: key.map(SigningKey::address),
                wallet: key.map(|key| EthereumWallet::from(local_signer(key))),
                sending: Arc::default(),
                record: None,
                mined_timeout: MINED_TIMEOUT,
                known_final: Arc::default(),
            }),
            (_, Some(error)) => Err(error),
            _ => Err(ChainError::Rpc {
                what: "connecting".to_owned(),
                problem: "no RPC is configured".to_owned(),
            }),
        }
    }

    /// Each RPC as a connection of its own, with the same key.
    pub fn each(&self) -> Vec<Self> {
        let alone = |source: &Source| Self {
            sources: [Source::new(source.rpc.clone(), source.url.clone(), self.chain_id)].into(),
            chain_id: self.chain_id,
            sender: self.sender,
            wallet: self.wallet.clone(),
            // Shared: they send with one key, and so count one nonce.
            sending: self.sending.clone(),
            record: self.record.clone(),
            mined_timeout: self.mined_timeout,
            known_final: self.known_final.clone(),
        };
        self.sources.iter().map(alone).collect()
    }

    /// How many RPCs there are.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    /// What a majority of the RPCs answers alike.
    pub(crate) async fn agreed<'a, T, F>(
        &'a self,
        what: &str,
        ask: impl Fn(&'a Source) -> F,
    ) -> Result<T, ChainError>
    where
        T: PartialEq,
        F: Future<Output = Result<T, ChainError>>,
    {
        agree(&self.sources, what, ask).await
    }

    pub(crate) fn all(&self) -> &[Source] {
        &self.sources
    }

    /// The key as alloy signs with it.
    pub(crate) const fn wallet(&self) -> Option<&EthereumWallet> {
        self.wallet.as_ref()
    }

    /// Held while a nonce is chosen and handed over.
    pub(crate) fn sending(&self) -> &Mutex<()> {
        &self.sending
    }

    /// What was sent, where that is kept.
    pub(crate) fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    pub(crate) fn with_record(self, record: Arc<Record>) -> Self {
        Self { record: Some(record), ..self }
    }

    /// How long a transaction is waited for.
    pub(crate) const fn mined_timeout(&self) -> Duration {
        self.mined_timeout
    }

    #[cfg(test)]
    pub(crate) const fn set_mined_timeout(&mut self, timeout: Duration) {
        self.mined_timeout = timeout;
    }

    fn first(&self) -> &Source {
        &self.sources[0]
    }

    /// Notes that a block is final: from now on nothing older is taken for the newest block, by any clone
    /// of this connection. It never falls.
    pub fn known_final(&self, number: u64) {
        self.known_final.fetch_max(number, Ordering::Relaxed);
    }

    /// Refuses a newest block below what is known to be final: the RPC is behind.
    pub(crate) fn not_behind(&self, newest: u64) -> Result<(), ChainError> {
        let known = self.known_final.load(Ordering::Relaxed);
        if newest < known {
            return Err(ChainError::Behind { rpc: self.place(), newest, known });
        }
        Ok(())
    }

    /// A block that means the same to every RPC, and to each request to one that is behind now and then:
    /// the newest one is named by its hash, unless one RPC is asked and nothing is known to be final.
    async fn pinned(&self, at: BlockId) -> Result<BlockId, ChainError> {
        let nothing_known = self.known_final.load(Ordering::Relaxed) == 0;
        if (self.sources.len() == 1 && nothing_known) || at != BlockId::latest() {
            return Ok(at);
        }
        Ok(BlockId::hash(self.latest_block().await?.hash))
    }

    /// alloy's provider, as the bindings take it: `NodeLicense::new(address, provider.rpc())`.
    /// Send through [`Self::send`] only. It is the first RPC alone: what is decided on is read by the
    /// methods of this type.
    pub fn rpc(&self) -> &DynProvider {
        &self.first().rpc
    }

    /// The first RPC, over which transactions are sent.
    pub fn url(&self) -> &RpcUrl {
        &self.first().url
    }

    /// All RPCs by scheme, host and port, for words.
    pub fn place(&self) -> String {
        in_words(&self.sources)
    }

    /// The chain, as it answered when the connection was made.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Whose key signs transactions, if it has one.
    pub const fn sender(&self) -> Option<Address> {
        self.sender
    }

    /// Asks each RPC for its chain id again: one behind a name may have become another chain's.
    ///
    /// # Errors
    ///
    /// [`ChainError::WrongChain`] where one has, [`ChainError::Unreachable`] or [`ChainError::Rpc`] where one
    /// does not say: here each RPC must answer.
    pub async fn recheck_chain(&self) -> Result<(), ChainError> {
        join_all(self.sources.iter().map(Source::recheck)).await.into_iter().collect()
    }

    /// Refuses an address without a contract. `what` says what should be there.
    ///
    /// # Errors
    ///
    /// [`ChainError::NoCode`] with `what` where there is none, and those of [`Self::code`].
    pub async fn require_code(&self, address: Address, what: &str) -> Result<(), ChainError> {
        if self.code(address).await?.is_empty() {
            return Err(ChainError::NoCode { address, what: what.to_owned() });
        }
        Ok(())
    }

    /// The code at an address, empty for an ordinary account.
    ///
    /// # Errors
    ///
    /// Those of a read ([`ChainError`]), without a contract's.
    pub async fn code(&self, address: Address) -> Result<Bytes, ChainError> {
        self.code_at(address, BlockId::latest()).await
    }

    /// The code at an address as of a block.
    pub(crate) async fn code_at(&self, address: Address, at: BlockId) -> Result<Bytes, ChainError> {
        let what = format!("reading the code at {address}");
        let at = self.pinned(at).await?;
        self.agreed(&what, |source| {
            let what = &what;
            async move {
                let found = source.rpc.get_code_at(address).block_id(at).await;
                found.map_err(|error| ChainError::from_transport(&source.url, what, error))
            }
        })
        .await
    }

    /// Calls a view function. An answer that is none (as of an address without code) is
    /// [`ChainError::NoCode`].
    ///
    /// # Errors
    ///
    /// Those of a read ([`ChainError`]). A refusal that a majority gives alike is
    /// [`ChainError::Reverted`], with the contract's reason.
    pub async fn call<C: SolCall>(
        &self,
        to: Address,
        call: &C,
        at: BlockId,
    ) -> Result<C::Return, ChainError> {
        let request = TransactionRequest::default().with_to(to).with_input(call.abi_encode());
        let what = format!("{} of {to}", C::SIGNATURE);
        let at = self.pinned(at).await?;
        let data = self
            .agreed(&what, |source| {
                let (request, what) = (request.clone(), &what);
                async move {
                    let data = source.rpc.call(request).block(at).await;
                    let data =
                        data.map_err(|error| ChainError::from_transport(&source.url, what, error))?;
                    if data.is_empty() {
                        let what = format!("a contract with {}", C::SIGNATURE);
                        return Err(ChainError::NoCode { address: to, what });
                    }
                    Ok(data)
                }
            })
            .await?;
        C::abi_decode_returns(&data).map_err(|error| ChainError::Rpc {
            what,
            problem: format!("an unreadable answer ({error})"),
        })
    }

    /// Runs a failed transaction again, to learn why; over each RPC until one says. What it met was
    /// the state within its block: a cause from the same block is in the state after it, and a cause that
    /// was gone by then in the state before.
    pub(crate) async fn why_it_failed(
        &self,
        what: &str,
        request: TransactionRequest,
        receipt: &TransactionReceipt,
    ) -> ChainError {
        // Its nonce is used up, and its fee may be below that of another block.
        let mut again = TransactionRequest { nonce: None, ..request };
        (again.gas_price, again.max_fee_per_gas, again.max_priority_fee_per_gas) =
            (None, None, None);
        let block = receipt.block_number.unwrap_or_default();
        for at in [block, block.saturating_sub(1)] {
            for source in self.sources.iter() {
                let Err(error) = source.rpc.call(again.clone()).block(at.into()).await else {
                    continue;
                };
                let error = ChainError::from_transport(&source.url, what, error);
                if matches!(error, ChainError::Reverted { .. }) {
                    return error;
                }
            }
        }
        ChainError::Reverted { what: what.to_owned(), reason: Revert::decode(&Bytes::new()) }
    }

    pub(crate) fn error(&self, what: &str, error: TransportError) -> ChainError {
        ChainError::from_transport(self.url(), what, error)
    }
}

fn client_of(
    url: &RpcUrl,
    key: Option<&SigningKey>,
    request_timeout: Duration,
) -> Result<DynProvider, ChainError> {
    let unreachable = |problem: String| ChainError::Unreachable {
        what: "connecting".to_owned(),
        rpc: url.clone(),
        problem,
    };
    let http = reqwest::Client::builder()
        .timeout(request_timeout)
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
        .map_err(|error| unreachable(error.to_string()))?;
    let local = matches!(url.expose().host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let client = RpcClient::new(PatientHttp::new(http, url.expose().clone()), local);
    // Unset, alloy polls a remote node each seven seconds, longer than many chains take for a block.
    client.set_poll_interval(POLL_INTERVAL);
    let builder = ProviderBuilder::new()
        // Not the recommended ones: their nonces are counted in memory, and one that is burnt by a send
        // that failed would hold up all later ones.
        .disable_recommended_fillers()
        .with_gas_estimation()
        .with_simple_nonce_management()
        .fetch_chain_id();
    Ok(match key {
        None => DynProvider::new(builder.connect_client(client)),
        Some(key) => {
            let wallet = EthereumWallet::from(local_signer(key));
            DynProvider::new(builder.wallet(wallet).connect_client(client))
        }
    })
}

/// The key as alloy's signer.
fn local_signer(key: &SigningKey) -> PrivateKeySigner {
    let secret = Zeroizing::new(format!("0x{}", key.to_hex().as_str()));
    secret.parse().expect("a signing key is a valid secp256k1 key")
}
