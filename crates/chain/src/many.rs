//! Many view calls at one block in few requests: through Multicall3 where the chain has it, else
//! as JSON-RPC batches.

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, Bytes, address};
use alloy::providers::Provider as _;
use alloy::rpc::client::BatchRequest;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use futures::future::try_join_all;

use crate::error::{ChainError, revert_data};
use crate::provider::Provider;
use crate::sources::Source;
use crate::standards::IMulticall3::{Call3, aggregate3Call};

/// Multicall3, at the same address on every chain that has it.
pub const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

/// Calls in one `eth_call` of Multicall3: some 10,000 gas each, below every node's limit.
const PER_AGGREGATE: usize = 500;
/// Batches under way at a time.
const AT_ONCE: usize = 4;

/// One call, and what became of it: the data returned, or `None` where the contract reverted.
pub(crate) struct Call {
    pub(crate) to: Address,
    pub(crate) data: Bytes,
}

impl Call {
    pub(crate) fn new<C: SolCall>(to: Address, call: &C) -> Self {
        Self { to, data: call.abi_encode().into() }
    }
}

/// The value a call returned; `None` where it reverted or answered something else.
pub(crate) fn returned<C: SolCall>(answer: Option<&Bytes>) -> Option<C::Return> {
    C::abi_decode_returns(answer?).ok()
}

impl Provider {
    /// Makes all calls at one block; answers are in the order of the calls.
    pub(crate) async fn call_many(
        &self,
        what: &str,
        calls: &[Call],
        at: BlockId,
    ) -> Result<Vec<Option<Bytes>>, ChainError> {
        let aggregate = match calls.len() {
            0 => return Ok(Vec::new()),
            // Looking whether Multicall3 is there would be a request more than it saves.
            1 => false,
            _ => !self.code_at(MULTICALL3, at).await?.is_empty(),
        };
        self.agreed(what, |source| call_many_of(source, what, calls, at, aggregate)).await
    }
}

/// All calls over one RPC.
async fn call_many_of(
    source: &Source,
    what: &str,
    calls: &[Call],
    at: BlockId,
    aggregate: bool,
) -> Result<Vec<Option<Bytes>>, ChainError> {
    if !aggregate {
        return batches_of(source, what, calls, at).await;
    }
    let chunks: Vec<&[Call]> = calls.chunks(PER_AGGREGATE).collect();
    let mut answers = Vec::with_capacity(calls.len());
    for group in chunks.chunks(AT_ONCE) {
        let group = group.iter().map(|chunk| aggregate_of(source, chunk, at));
        answers.extend(try_join_all(group).await?.into_iter().flatten());
    }
    Ok(answers)
}

/// All calls in batches as wide as the RPC takes them, down to single calls.
async fn batches_of(
    source: &Source,
    what: &str,
    calls: &[Call],
    at: BlockId,
) -> Result<Vec<Option<Bytes>>, ChainError> {
    let mut answers: Vec<Option<Bytes>> = Vec::with_capacity(calls.len());
    while answers.len() < calls.len() {
        let rest = &calls[answers.len()..];
        let width = usize::try_from(source.batch.get()).unwrap_or(1).max(1);
        if let ([only, ..], 1) | ([only], _) = (rest, width) {
            // No batch: what an RPC refuses here is the call itself, in its own words.
            answers.push(single_of(source, what, only, at).await?);
            if width == 1 {
                source.batch.taken();
            }
            continue;
        }
        let chunks: Vec<&[Call]> = rest.chunks(width).take(AT_ONCE).collect();
        let asked = chunks.iter().map(|chunk| batch_of(source, what, chunk, at));
        match try_join_all(asked).await {
            Ok(found) => {
                // A batch of fewer calls says nothing of a whole one.
                if chunks[0].len() == width {
                    source.batch.taken();
                }
                answers.extend(found.into_iter().flatten());
            }
            Err(ChainError::Rpc { problem, .. }) => {
                tracing::debug!(what, width, problem, "the node refused a batch of calls: halved");
                source.batch.refused(chunks[0].len() as u64);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(answers)
}

/// One call, without a batch around it.
async fn single_of(
    source: &Source,
    what: &str,
    call: &Call,
    at: BlockId,
) -> Result<Option<Bytes>, ChainError> {
    let request = TransactionRequest::default().with_to(call.to).with_input(call.data.clone());
    match source.rpc.call(request).block(at).await {
        Ok(data) => Ok(Some(data)),
        Err(error) if revert_data(&error).is_some() => Ok(None),
        Err(error) => Err(ChainError::from_transport(&source.url, what, error)),
    }
}

async fn aggregate_of(
    source: &Source,
    calls: &[Call],
    at: BlockId,
) -> Result<Vec<Option<Bytes>>, ChainError> {
    // Failures are allowed: a contract that reverts must not hide the answers of others.
    let call3 =
        |call: &Call| Call3 { target: call.to, allowFailure: true, callData: call.data.clone() };
    let call = aggregate3Call { calls: calls.iter().map(call3).collect() };
    let request = TransactionRequest::default().with_to(MULTICALL3).with_input(call.abi_encode());
    let unreadable = |problem: String| ChainError::Rpc { what: "Multicall3".to_owned(), problem };
    let data = source.rpc.call(request).block(at).await;
    let data =
        data.map_err(|error| ChainError::from_transport(&source.url, "Multicall3", error))?;
    let results = aggregate3Call::abi_decode_returns(&data)
        .map_err(|error| unreadable(format!("an unreadable answer ({error})")))?;
    if results.len() != calls.len() {
        return Err(unreadable(format!("{} answers to {} calls", results.len(), calls.len())));
    }
    Ok(results.into_iter().map(|one| one.success.then_some(one.returnData)).collect())
}

async fn batch_of(
    source: &Source,
    what: &str,
    calls: &[Call],
    at: BlockId,
) -> Result<Vec<Option<Bytes>>, ChainError> {
    let failed = |error| ChainError::from_transport(&source.url, what, error);
    let mut batch = BatchRequest::new(source.rpc.client());
    let mut waiters = Vec::with_capacity(calls.len());
    for call in calls {
        let request = TransactionRequest::default().with_to(call.to).with_input(call.data.clone());
        let waiter = batch.add_call::<_, Bytes>("eth_call", &(request, at));
        waiters.push(waiter.map_err(failed)?);
    }
    batch.await.map_err(failed)?;
    let mut answers = Vec::with_capacity(calls.len());
    for waiter in waiters {
        answers.push(match waiter.await {
            Ok(data) => Some(data),
            Err(error) if revert_data(&error).is_some() => None,
            Err(error) => return Err(failed(error)),
        });
    }
    Ok(answers)
}
