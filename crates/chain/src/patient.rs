//! HTTP to an RPC: it waits where the RPC asks for it ([`Retry-After`](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after)),
//! and keeps the words with which the RPC refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut, TransportResult};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use tower_service::Service;

use crate::wait::pause;

/// The longest wait that is granted; whoever asks for more is asked again by whoever needs it.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often a request is made again.
const WAITS: u32 = 2;
/// For how many requests an RPC that refused after a wait too is not waited for again.
const IMPATIENT_FOR: u32 = 20;

/// A transport for alloy.
#[derive(Debug, Clone)]
pub(crate) struct PatientHttp {
    http: Client,
    url: Url,
    /// Refusals that are still passed on without a wait.
    impatient: Arc<AtomicU32>,
}

impl PatientHttp {
    pub(crate) fn new(http: Client, url: Url) -> Self {
        Self { http, url, impatient: Arc::default() }
    }

    async fn ask(self, request: RequestPacket) -> TransportResult<ResponsePacket> {
        for waits in 0.. {
            let sent = self.http.post(self.url.clone()).json(&request).send().await;
            let response = sent.map_err(TransportErrorKind::custom)?;
            let (status, wait) = (response.status(), asked_wait(response.headers()));
            let body = response.bytes().await.map_err(TransportErrorKind::custom)?;
            if status.is_success() {
                self.impatient.store(0, Ordering::Relaxed);
                return answer(&request, &body);
            }
            let busy =
                matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            match wait.filter(|wait| busy && *wait <= LONGEST_WAIT) {
                Some(wait) if waits < WAITS && self.is_patient() => pause(wait).await,
                asked => {
                    if asked.is_some() && waits > 0 {
                        self.impatient.store(IMPATIENT_FOR, Ordering::Relaxed);
                    }
                    return refusal(&request, status, wait, &body);
                }
            }
        }
        Err(TransportErrorKind::custom_str("asked too often"))
    }

    /// Whether a wait is granted; counts down where not.
    fn is_patient(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.impatient.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err()
    }
}

impl Service<RequestPacket> for PatientHttp {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        Box::pin(self.clone().ask(request))
    }
}

/// The wait in seconds; the form with a date is not used by RPCs.
fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let secs = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(secs))
}

/// An answer in JSON-RPC.
fn answer(request: &RequestPacket, body: &[u8]) -> TransportResult<ResponsePacket> {
    let packet: ResponsePacket = serde_json::from_slice(body)
        .map_err(|error| TransportError::deser_err(error, String::from_utf8_lossy(body)))?;
    if let (RequestPacket::Batch(_), ResponsePacket::Single(_)) = (request, &packet) {
        // A whole batch refused in one answer.
        return Err(match packet.as_error() {
            Some(refusal) => TransportError::ErrorResp(refusal.clone()),
            None => TransportErrorKind::custom_str("one answer to a batch of calls"),
        });
    }
    Ok(packet)
}

/// What is not a success: the RPC's own words where it has some.
fn refusal(
    request: &RequestPacket,
    status: StatusCode,
    wait: Option<Duration>,
    body: &[u8],
) -> TransportResult<ResponsePacket> {
    match answer(request, body) {
        Ok(packet) if packet.is_error() => Ok(packet),
        Err(error @ TransportError::ErrorResp(_)) => Err(error),
        _ => Err(TransportErrorKind::http_error_with_retry_after(
            status.as_u16(),
            String::from_utf8_lossy(body).into_owned(),
            wait,
        )),
    }
}
