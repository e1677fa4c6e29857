//! Many view calls at one block in few requests: through Multicall3 where the chain has it, else
//! as JSON-RPC batches.

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, Bytes, address};
use alloy::providers::Provider as _;
use alloy::rpc::client::BatchRequest;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use alloy::transports::TransportError;
use futures::future::try_join_all;

use crate::error::{ChainError, is_out_of_gas, revert_data};
use crate::provider::Provider;
use crate::revert::Revert;
use crate::sources::Source;
use crate::standards::IMulticall3::{Call3, aggregate3Call};

/// Multicall3, at the same address on every chain that has it.
pub const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

/// Calls in one `eth_call` of Multicall3: some 10,000 gas each, below every node's limit.
const PER_AGGREGATE: usize = 500;
/// Gas of one `eth_call`, below every node's limit. A contract that burns all it gets costs no more.
const MOST_GAS: u64 = 25_000_000;
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
    /// As [`Self::call_many`], each call by itself: nothing that another one burns is missing from it.
    pub(crate) async fn call_each(
        &self,
        what: &str,
        calls: &[Call],
        at: BlockId,
    ) -> Result<Vec<Option<Bytes>>, ChainError> {
        self.agreed(what, |source| batches_of(source, what, calls, at)).await
    }

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
    let (mut answers, mut width) = (Vec::with_capacity(calls.len()), PER_AGGREGATE);
    while answers.len() < calls.len() {
        let rest = &calls[answers.len()..];
        let chunks: Vec<&[Call]> = rest.chunks(width).take(AT_ONCE).collect();
        if chunks[0].len() == 1 {
            answers.push(single_of(source, what, &rest[0], at).await?);
            width = 2;
            continue;
        }
        match try_join_all(chunks.iter().map(|chunk| aggregate_of(source, chunk, at))).await {
            Ok(found) => {
                answers.extend(found.into_iter().flatten());
                width = (width * 2).min(PER_AGGREGATE);
            }
            // Multicall3 gives a call all the gas there is. Where one burns it the others of its aggregate
            // are not answered, and what was not answered is no "no": fewer at a time, down to the call
            // that does it.
            Err(ChainError::Rpc { .. } | ChainError::Reverted { .. }) => {
                width = chunks[0].len().div_ceil(2);
            }
            Err(error) => return Err(error),
        }
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
    match source.rpc.call(request_of(call)).block(at).await {
        Ok(data) => Ok(Some(data)),
        Err(error) => no_answer(source, what, error),
    }
}

/// A call with its share of gas and no more.
fn request_of(call: &Call) -> TransactionRequest {
    let request = TransactionRequest::default().with_to(call.to).with_input(call.data.clone());
    request.with_gas_limit(MOST_GAS)
}

/// `None` where the contract refuses. That it burned its gas says nothing: nobody knows what it would
/// have answered with more.
fn no_answer(
    source: &Source,
    what: &str,
    error: TransportError,
) -> Result<Option<Bytes>, ChainError> {
    if is_out_of_gas(&error) {
        let what = format!("{what}, which burned all of {MOST_GAS} gas");
        return Err(ChainError::Reverted { what, reason: Revert::decode(&Bytes::new()) });
    }
    match revert_data(&error) {
        Some(_) => Ok(None),
        None => Err(ChainError::from_transport(&source.url, what, error)),
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
    let request = request_of(&Call::new(MULTICALL3, &call));
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
        let waiter = batch.add_call::<_, Bytes>("eth_call", &(request_of(call), at));
        waiters.push(waiter.map_err(failed)?);
    }
    batch.await.map_err(failed)?;
    let mut answers = Vec::with_capacity(calls.len());
    for waiter in waiters {
        answers.push(match waiter.await {
            Ok(data) => Some(data),
            Err(error) => no_answer(source, what, error)?,
        });
    }
    Ok(answers)
}
