//! Verifies the published days of a project, from a folder of bundles and the chain alone.
//!
//! ```text
//! cargo run -p nodesys-sdk --example verify_days -- \
//!     REGISTRY PROJECT ./bundles https://rpc.one.example https://rpc.two.example
//! ```
//!
//! With two RPCs, of different providers, a fact is what both answer alike.

use std::error::Error;

use nodesys_chain::{Provider, RpcUrl};
use nodesys_core::Address;
use nodesys_core::ids::Name;
use nodesys_sdk::audit::{AuditRange, Verdict, audit_project};
use nodesys_sdk::bundles::{BundleSource, Places};
use nodesys_sdk::day::find_project;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let mut next = |what: &'static str| words.next().ok_or(what);
    let registry: Address = next("the registry's address is missing")?.parse()?;
    let name: Name = next("the project's name is missing")?.parse()?;
    let places = Places::from(BundleSource::parse(&next("the folder of bundles is missing")?)?);
    let rpcs = words.map(|url| url.parse()).collect::<Result<Vec<RpcUrl>, _>>()?;

    let provider = Provider::connect_all(&rpcs, None).await?;
    let project = find_project(&provider, registry, &name).await?;
    let range = AuditRange { finality_depth: 64, ..AuditRange::default() };
    let report = audit_project(&provider, registry, project.distributor, &places, range).await?;
    println!("{report}");
    match report.verdict {
        Verdict::Holds => Ok(()),
        Verdict::CannotTell => Err("it cannot be told: see the doubts above".into()),
        Verdict::DoesNotHold => Err("it does not hold: see the differences above".into()),
    }
}
