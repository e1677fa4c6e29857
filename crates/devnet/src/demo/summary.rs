//! `summary.json`: the table, and further data for programs.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::ledger::Ledger;
use super::table::LicenseLine;
use crate::net::Devnet;

/// Writes the file into the demo's folder.
pub(super) async fn write(
    net: &Devnet,
    ledger: &Ledger,
    lines: &[LicenseLine],
) -> anyhow::Result<()> {
    let days: Vec<Value> = ledger
        .posts
        .iter()
        .map(|(view, gas)| {
            json!({
                "day": view.day,
                "root": view.commit.root,
                "total": view.commit.total,
                "commit_hash": view.commit_hash,
                "transaction": view.transaction,
                "gas": gas,
                "activates_at_secs": view.activates_at_secs,
            })
        })
        .collect();
    let claims: Vec<Value> = ledger
        .claims
        .iter()
        .map(|(day, account, amount, transaction, gas)| {
            json!({
                "day": day,
                "account": net.people.name_of(*account),
                "amount": amount,
                "transaction": transaction,
                "gas": gas,
            })
        })
        .collect();
    let mut accounts = Vec::new();
    for person in [&net.people.alice, &net.people.bob, &net.people.carol] {
        accounts.push(json!({
            "name": person.name,
            "account": person.address(),
            "balance": net.balance(person.address()).await?.to_string(),
        }));
    }
    let summary = json!({
        "project": net.network.deployed.distributor,
        "licenses": lines,
        "days": days,
        "claims": claims,
        "accounts": accounts,
    });
    let path = net.path("summary.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&summary)?)
        .with_context(|| format!("cannot write {}", path.display()))
}
