//! The closing table: each license of each day, and each account, from the published files.

use anyhow::Context as _;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use nodesys_chain::ownership::rights_of;
use nodesys_core::allocation::{Budget, Share, allocate};
use nodesys_core::bundle::{BUNDLE_JSON, Beneficiary, Bundle};
use nodesys_core::files::{HolderRow, PointsRow, Row as _, UptimeRow, parse_file};
use nodesys_core::ids::{Amount, Points};
use nodesys_core::license::Right;
use nodesys_core::time::UtcDay;
use nodesys_core::uptime::expected_minutes;
use nodesys_core::{Address, U256};
use nodesys_sdk::bundles::BundleStore;
use serde::Serialize;

use super::cast::{A1, A2, B1, B2};
use super::ledger::{Ledger, clock};
use crate::deploy::{LicenseRef, TOKEN};
use crate::net::Devnet;

/// One license on one day.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LicenseLine {
    pub(super) day: UtcDay,
    pub(super) license: String,
    pub(super) run_by: String,
    pub(super) why: String,
    pub(super) minutes: u16,
    pub(super) missing: Vec<String>,
    pub(super) tasks: u64,
    pub(super) points: Points,
    pub(super) amount: Amount,
    pub(super) paid_to: String,
}

/// All lines, in the order of days and licenses.
pub(super) async fn rows(
    net: &Devnet,
    ledger: &Ledger,
    days: &[UtcDay],
) -> anyhow::Result<Vec<LicenseLine>> {
    let store = BundleStore::new(net.bundles());
    let mut lines = Vec::new();
    for &day in days {
        let project = net.network.deployed.distributor;
        let read = |file: &str| {
            store.file(project, day, file)?.with_context(|| format!("{file} of {day} is missing"))
        };
        let bundle = Bundle::parse(&read(BUNDLE_JSON)?)?;
        let uptime: Vec<UptimeRow> = parse_file(&read(UptimeRow::FILE)?)?;
        let points: Vec<PointsRow> = parse_file(&read(PointsRow::FILE)?)?;
        let holders: Vec<HolderRow> = parse_file(&read(HolderRow::FILE)?)?;
        let shares: Vec<Share> = points
            .iter()
            .zip(&holders)
            .map(|(points, holder)| Share {
                license: points.license,
                beneficiary: beneficiary(&bundle, holder),
                points: points.points,
            })
            .collect();
        let budget = Budget {
            day_reward: bundle.terms.day_reward,
            carry_in: bundle.carry_in,
            daily_quota: bundle.daily_quota,
        };
        let amounts = allocate(&budget, &shares)?.allocated;
        for license in [A1, B1, A2, B2] {
            let id = net.network.deployed.license(license);
            let place = uptime
                .iter()
                .position(|row| row.collection == id.collection && row.token_id == id.token_id)
                .with_context(|| format!("{id} has no row on {day}"))?;
            let (run_by, why) = runs(net, ledger, day, license).await?;
            lines.push(LicenseLine {
                day,
                license: net.network.deployed.label(license),
                run_by,
                why,
                minutes: uptime[place].minutes,
                missing: missing(ledger, day, license, &uptime[place]),
                tasks: tasks(&bundle, &uptime[place], shares[place].points),
                points: shares[place].points,
                amount: amounts[place],
                paid_to: net.people.name_of(shares[place].beneficiary),
            });
        }
    }
    Ok(lines)
}

fn beneficiary(bundle: &Bundle, holder: &HolderRow) -> Address {
    let rented = bundle.terms.beneficiary == Beneficiary::Renter && !holder.renter.is_zero();
    if rented { holder.renter } else { holder.holder }
}

/// A license's operator, nodes and right, from the chain.
async fn runs(
    net: &Devnet,
    ledger: &Ledger,
    day: UtcDay,
    license: LicenseRef,
) -> anyhow::Result<(String, String)> {
    let node = net.nodes.iter().find(|node| node.licenses.contains(&license));
    let node = node.context("every license has a node")?;
    let alices = [A1, B1].contains(&license);
    let operator = if alices { &net.people.alice } else { &net.people.carol };
    let id = net.network.deployed.license(license);
    let asks = [(id, operator.address())];
    let latest = alloy::eips::BlockNumberOrTag::Latest;
    let rights = rights_of(&net.chain.reader, &asks, latest).await?;
    let (_, right) = rights.facts.first().context("one question, one answer")?;
    let why = match right {
        Right::Delegate { from } => format!("delegate of {}", net.people.name_of(*from)),
        other => other.to_string(),
    };
    let nodes = ledger.ran_on(day, license, &node.name);
    Ok((format!("{} on {nodes}", operator.name), why))
}

/// Number of tasks counted in the points.
fn tasks(bundle: &Bundle, row: &UptimeRow, points: Points) -> u64 {
    bundle.terms.rule.tasks_in(row, bundle.uptime.excused, points).unwrap_or_default()
}

/// Missing minutes as runs of time, each with its length and its reason.
fn missing(ledger: &Ledger, day: UtcDay, license: LicenseRef, row: &UptimeRow) -> Vec<String> {
    let runs = (expected_minutes(row) & !row.bitmap).runs();
    let words = |&(from, to): &(u16, u16)| {
        let why = ledger.why(day, license, from, to);
        format!("{}-{} ({}): {why}", clock(from), clock(to), to - from)
    };
    runs.iter().map(words).collect()
}

/// Tokens with four places, for people.
pub(super) fn tokens(wei: u128) -> String {
    format!("{}.{:04}", wei / TOKEN, wei % TOKEN / (TOKEN / 10_000))
}

/// Both tables.
pub(super) async fn render(
    net: &Devnet,
    ledger: &Ledger,
    lines: &[LicenseLine],
) -> anyhow::Result<String> {
    let table = |header: &[&str]| {
        let mut table = Table::new();
        table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
        // No lines between rows.
        table.remove_style(comfy_table::TableComponent::HorizontalLines);
        table.remove_style(comfy_table::TableComponent::MiddleIntersections);
        table
    };
    let mut licenses = table(&[
        "day", "license", "run by", "why", "minutes", "missing", "tasks", "points", "ACME",
        "paid to",
    ]);
    for line in lines {
        licenses.add_row([
            line.day.to_string(),
            line.license.clone(),
            line.run_by.clone(),
            line.why.clone(),
            line.minutes.to_string(),
            if line.missing.is_empty() { "-".to_owned() } else { line.missing.join("\n") },
            line.tasks.to_string(),
            line.points.to_string(),
            tokens(line.amount.get()),
            line.paid_to.clone(),
        ]);
    }
    let mut accounts = table(&["account", "earned", "claimed", "claims", "balance (ACME)"]);
    for person in [&net.people.alice, &net.people.bob, &net.people.carol] {
        let earned = lines.iter().filter(|line| line.paid_to == person.name);
        let earned = earned.map(|line| line.amount.get()).sum();
        let claims: Vec<_> =
            ledger.claims.iter().filter(|claim| claim.1 == person.address()).collect();
        let claimed = claims.iter().map(|claim| claim.2.get()).sum();
        let balance: U256 = net.balance(person.address()).await?;
        accounts.add_row([
            person.name.to_owned(),
            tokens(earned),
            tokens(claimed),
            claims.len().to_string(),
            tokens(u128::try_from(balance).context("a balance of 2^128 or more")?),
        ]);
    }
    Ok(format!("{licenses}\n{accounts}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_cut_never_rounded_up() {
        assert_eq!(tokens(0), "0.0000");
        assert_eq!(tokens(TOKEN * 3 / 2), "1.5000");
        assert_eq!(tokens(TOKEN - 1), "0.9999");
    }
}
