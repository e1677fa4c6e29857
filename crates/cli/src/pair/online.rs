//! Pairing by a code: the node waits while its operator types the code in a browser and signs there.
//!
//! What the backend says on the way decides nothing. The words come from the digest that this machine
//! signs too, and the wallet's signature is checked as in an exchange of files.

use std::time::Duration;

use nodesys_clock::Clock;
use nodesys_core::Address;
use nodesys_core::api::NodeView;
use nodesys_core::message::{Domain, Message as _};
use nodesys_core::pairing::{
    MAX_MACHINE, POLL_SECS, PairingBegun, PairingQuestion, PairingRequest, PairingState, words,
};
use nodesys_core::time::Timestamp;
use nodesys_sdk::client::{self, Client};
use serde::Serialize;

use crate::exit::Exit;
use crate::pair::files::{self, PairRequest};
use crate::pair::finish::hand_in;
use crate::pair::request::request_pairing;
use crate::pair::sign::{authorization_of, signed};
use crate::setup::Setup;

/// A pairing ends after ten minutes.
const PATIENCE_MILLIS: u64 = 11 * 60_000;

/// How far it is, for whoever watches.
#[derive(Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum Step {
    /// The operator opens the link and types the code.
    Open { link: String, code: String, until: String },
    /// The operator compares the words, and signs.
    Compare { operator: Address, words: String },
    /// Done.
    Done { node: NodeView },
}

/// What is asked for.
pub(crate) struct PairingOptions {
    pub(crate) days: u64,
    /// The only wallet that may take this node.
    pub(crate) operator: Option<Address>,
    /// What this machine calls itself.
    pub(crate) machine: Option<String>,
}

/// Pairs this node; each step is told when it is reached.
pub(crate) async fn pair_online(
    setup: &Setup,
    options: &PairingOptions,
    tell: impl Fn(&Step) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let domain = setup.domain()?;
    let backend = setup.backend()?;
    files::same_network(&backend, &domain).await?;
    let request = request_pairing(setup, options.days, None).await?;
    let begun = backend
        .begin_pairing(&PairingRequest {
            node_key: request.node_key,
            not_after: request.not_after,
            nonce: request.nonce,
            machine: options.machine.clone().unwrap_or_else(machine),
        })
        .await?;
    tell(&Step::Open {
        link: begun.link.clone(),
        code: begun.code.to_string(),
        until: Timestamp::from_millis(begun.until_millis).to_string(),
    })?;
    let clock = Clock::system();
    let began_millis = clock.monotonic_millis();
    let waiting = Waiting { backend: &backend, begun: &begun, clock, began_millis };
    let operator = waiting.until(|state| state.operator).await?;
    if let Some(expected) = options.operator.filter(|expected| *expected != operator) {
        return Err(Exit::Failure.because(format!(
            "{operator} has typed the code, but --operator is {expected}: nothing was authorised; keep \
             the code to yourself and run it again"
        )));
    }
    tell(&compare(&request, operator, &domain))?;
    let signature = waiting.until(|state| state.operator_signature).await?;
    let authorization = authorization_of(&request, operator);
    let node = hand_in(setup, &signed(&request, authorization, signature)).await?;
    tell(&Step::Done { node })
}

fn compare(request: &PairRequest, operator: Address, domain: &Domain) -> Step {
    Step::Compare { operator, words: words(authorization_of(request, operator).digest(domain)) }
}

/// What this machine calls itself.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().chars().take(MAX_MACHINE).collect()
}

/// A node that waits for its operator, in real time: people live in it.
struct Waiting<'a> {
    backend: &'a Client,
    begun: &'a PairingBegun,
    clock: Clock,
    /// When it began.
    began_millis: u64,
}

impl Waiting<'_> {
    /// Asks until the state has it. A backend that is away for a moment is asked again.
    async fn until<T>(&self, of: impl Fn(PairingState) -> Option<T>) -> anyhow::Result<T> {
        let question = PairingQuestion {
            pairing: self.begun.pairing.clone(),
            secret: self.begun.secret.clone(),
        };
        let mut sleeper = self.clock.sleeper();
        loop {
            match self.backend.pairing_state(&question).await {
                Ok(state) => {
                    if let Some(found) = of(state) {
                        return Ok(found);
                    }
                }
                Err(client::Error::Problem(problem)) if problem.code == "unknown_pairing" => {
                    return Err(Exit::Failure.because(
                        "nobody has typed the code and signed within ten minutes: run it again",
                    ));
                }
                Err(error) if error.is_passing() && !self.is_over() => {}
                Err(error) => return Err(error.into()),
            }
            sleeper.sleep(Duration::from_secs(POLL_SECS)).await;
        }
    }

    /// Whether a backend that is still away has lost the pairing in any case.
    fn is_over(&self) -> bool {
        self.clock.monotonic_millis().saturating_sub(self.began_millis) > PATIENCE_MILLIS
    }
}
