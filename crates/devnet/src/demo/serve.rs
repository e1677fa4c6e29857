//! `--serve`: the network runs in real time until a signal.

use std::path::Path;
use std::time::Duration;

use nodesys_core::time::Timestamp;
use serde_json::json;

use super::cast::{DAY_REWARD, rule};
use super::telling::{note, say};
use crate::net::{Devnet, MasterOptions};

/// Between two moves of the clock.
const STEP: Duration = Duration::from_secs(1);

/// Restarts backend and master, writes `endpoints.json`, and follows real time.
pub(super) async fn serve(net: &mut Devnet, web: &Path) -> anyhow::Result<()> {
    let has_pages = web.join("index.html").is_file();
    if has_pages {
        let web = std::path::absolute(web)?.display().to_string();
        net.backend_env.push(("NODESYS_WEB", web));
    }
    net.start_backend(0).await?;
    let options = MasterOptions { day_reward: DAY_REWARD, rule: rule(), review_minutes: 0 };
    net.start_master(&options).await?;
    let path = net.path("endpoints.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&endpoints(net))?)?;
    say("everything runs on, a second a second; Ctrl-C stops it");
    note(format!("endpoints: {}", path.display()));
    if has_pages {
        note(format!("dashboard: {}", net.network.backend));
    }
    let start = net.now().await;
    let real = nodesys_clock::Clock::system();
    let began = real.monotonic_millis();
    loop {
        let elapsed = real.monotonic_millis().saturating_sub(began);
        net.run_until(Timestamp::from_millis(start.millis().saturating_add(elapsed))).await?;
        real.sleeper().sleep(STEP).await;
    }
}

fn endpoints(net: &Devnet) -> serde_json::Value {
    let deployed = &net.network.deployed;
    let collections: serde_json::Map<String, serde_json::Value> = deployed
        .workloads
        .iter()
        .map(|workload| (workload.name.to_owned(), json!(workload.collection)))
        .collect();
    let keystores: serde_json::Map<String, serde_json::Value> = net
        .people
        .all()
        .into_iter()
        .map(|person| (person.name.to_owned(), json!(person.keystore)))
        .collect();
    json!({
        "rpc": net.network.rpc,
        "chain_id": nodesys_clock::DEVELOPMENT_CHAIN_ID,
        "backend": net.network.backend,
        "master": net.master_url(),
        "database": net.postgres.url("backend"),
        "registry": deployed.registry,
        "project": deployed.project,
        "distributor": deployed.distributor,
        "token": deployed.token,
        "collections": collections,
        "keystores": keystores,
        "password_file": net.people.alice.password_file,
        "bundles": net.bundles(),
    })
}
