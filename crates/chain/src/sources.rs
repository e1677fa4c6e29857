//! Several RPCs asked as one: what most of them answer alike is a fact.
//!
//! With one RPC its answer is all there is. With more, a fact is what a majority answers alike
//! ([`majority`]: both of two, two of three): an RPC that is behind, altered or silent then neither
//! decides anything nor, among three, holds anything up. Each fact ends in one of three ways:
//! *agree* (`Ok`, or the contract's own refusal), *differ* ([`ChainError::Differ`]) and
//! *unavailable* (the error of an RPC that did not answer).

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use alloy::providers::{DynProvider, Provider as _};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::OnceCell;

use crate::error::ChainError;
use crate::rpc_url::RpcUrl;
use crate::width::{WIDEST_BATCH, WIDEST_PAGE, Width};

/// One RPC. Its chain id is checked before its first answer counts.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) rpc: DynProvider,
    pub(crate) url: RpcUrl,
    pub(crate) chain_id: u64,
    checked: OnceCell<()>,
    /// How many calls it takes in a batch.
    pub(crate) batch: Width,
    /// How many blocks it takes in a page of logs.
    pub(crate) page: Width,
}

impl Source {
    pub(crate) fn new(rpc: DynProvider, url: RpcUrl, chain_id: u64) -> Self {
        let (batch, page) = (Width::new(WIDEST_BATCH), Width::new(WIDEST_PAGE));
        Self { rpc, url, chain_id, checked: OnceCell::new(), batch, page }
    }

    /// Asks for the chain id again: an RPC behind a name may have become another chain's.
    pub(crate) async fn recheck(&self) -> Result<(), ChainError> {
        let found = chain_id_of(&self.rpc, &self.url).await?;
        if found == self.chain_id {
            Ok(())
        } else {
            let (rpc, expected) = (self.url.clone(), self.chain_id);
            Err(ChainError::WrongChain { rpc, expected, found })
        }
    }

    async fn ready(&self) -> Result<(), ChainError> {
        self.checked.get_or_try_init(|| self.recheck()).await.copied()
    }
}

/// The chain that an RPC serves.
pub(crate) async fn chain_id_of(rpc: &DynProvider, url: &RpcUrl) -> Result<u64, ChainError> {
    let found = rpc.get_chain_id().await;
    found.map_err(|error| ChainError::from_transport(url, "reading the chain id", error))
}

/// How many of `sources` RPCs make a fact: more than half of them.
///
/// # Examples
///
/// ```
/// use nodesys_chain::majority;
///
/// assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
/// ```
pub const fn majority(sources: usize) -> usize {
    sources / 2 + 1
}

/// What a source's answer amounts to: a value, or a contract's refusal, which is an answer too.
enum Answer<T> {
    Value(T),
    Refused(ChainError),
}

impl<T: PartialEq> Answer<T> {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(a), Self::Value(b)) => a == b,
            (Self::Refused(a), Self::Refused(b)) => match (a, b) {
                (
                    ChainError::Reverted { reason: a, .. },
                    ChainError::Reverted { reason: b, .. },
                ) => a == b,
                (ChainError::NoCode { address: a, .. }, ChainError::NoCode { address: b, .. }) => {
                    a == b
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// Asks each source, once its chain is known to be the right one.
fn ask_each<'a, T, F>(
    sources: &'a [Source],
    ask: impl Fn(&'a Source) -> F,
) -> FuturesUnordered<impl Future<Output = Result<T, ChainError>>>
where
    F: Future<Output = Result<T, ChainError>>,
{
    let one = |source: &'a Source| {
        let answer = ask(source);
        async move {
            source.ready().await?;
            answer.await
        }
    };
    sources.iter().map(one).collect()
}

/// Asks each source, and gives what a majority answers alike, as soon as it does.
pub(crate) async fn agree<'a, T, F>(
    sources: &'a [Source],
    what: &str,
    ask: impl Fn(&'a Source) -> F,
) -> Result<T, ChainError>
where
    T: PartialEq,
    F: Future<Output = Result<T, ChainError>>,
{
    // Its own error, rather than that nobody agrees.
    if let [only] = sources {
        only.ready().await?;
        return ask(only).await;
    }
    let needed = majority(sources.len());
    let mut asked = ask_each(sources, ask);
    // Answers that differ, each with how many gave it.
    let mut answers: Vec<(Answer<T>, usize)> = Vec::new();
    let mut unavailable: Option<ChainError> = None;
    while let Some(result) = asked.next().await {
        let answer = match result {
            Ok(value) => Answer::Value(value),
            Err(error @ (ChainError::Reverted { .. } | ChainError::NoCode { .. })) => {
                Answer::Refused(error)
            }
            // Another chain is a mistake of the configuration, not a fault that passes.
            Err(error @ ChainError::WrongChain { .. }) => return Err(error),
            Err(error) => {
                unavailable.get_or_insert(error);
                continue;
            }
        };
        let at = match answers.iter().position(|(known, _)| known.same(&answer)) {
            Some(at) => at,
            None => {
                answers.push((answer, 0));
                answers.len() - 1
            }
        };
        answers[at].1 += 1;
        if answers[at].1 >= needed {
            return match answers.swap_remove(at).0 {
                Answer::Value(value) => Ok(value),
                Answer::Refused(error) => Err(error),
            };
        }
    }
    if answers.len() > 1 {
        return Err(ChainError::Differ { what: what.to_owned(), rpcs: in_words(sources) });
    }
    Err(unavailable
        .unwrap_or_else(|| ChainError::Differ { what: what.to_owned(), rpcs: in_words(sources) }))
}

/// How long the others are waited for once a majority has said its number: they may know a higher one, and
/// one that hangs holds up everything that asks for the newest block.
const STRAGGLERS: Duration = Duration::from_secs(2);

/// The highest number that a majority has reached; an error where fewer than that answer.
pub(crate) async fn reached<'a, F>(
    sources: &'a [Source],
    ask: impl Fn(&'a Source) -> F,
) -> Result<u64, ChainError>
where
    F: Future<Output = Result<u64, ChainError>>,
{
    let mut asked = ask_each(sources, ask);
    let (mut numbers, mut unavailable) = (Vec::new(), None);
    let needed = majority(sources.len());
    loop {
        let next = match numbers.len() < needed {
            true => asked.next().await,
            false => tokio::time::timeout(STRAGGLERS, asked.next()).await.ok().flatten(),
        };
        let Some(result) = next else { break };
        match result {
            Ok(number) => numbers.push(number),
            Err(error @ ChainError::WrongChain { .. }) => return Err(error),
            Err(error) => unavailable = unavailable.or(Some(error)),
        }
    }
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    // From the highest down: the number at this place was reached by a majority.
    let place = needed - 1;
    match (numbers.get(place), unavailable) {
        (Some(number), _) => Ok(*number),
        (None, Some(error)) => Err(error),
        // No source and no error: there was none to ask.
        (None, None) => Err(ChainError::Rpc {
            what: "reading the newest block".to_owned(),
            problem: "no RPC is configured".to_owned(),
        }),
    }
}

/// The sources by scheme, host and port, each once.
pub(crate) fn in_words(sources: &[Source]) -> String {
    let urls: BTreeSet<String> = sources.iter().map(|source| source.url.to_string()).collect();
    urls.into_iter().collect::<Vec<_>>().join(" and ")
}
