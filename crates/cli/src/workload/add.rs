//! Adding a workload: from a name to a workload that the manager runs.
//!
//! In this order: everything is read and shown, the operator agrees, the namespace is recorded in
//! `cluster.json` and made with the whole sandbox, the entry is written, the manager is updated. Each step
//! finds what an interrupted run has done, so the same command resumes.

use nodesys_render::Grant;

use crate::cluster::apply::{Applied, Change};
use crate::cluster::connect::Cluster;
use crate::license::operator::or_own;
use crate::license::right::right_word;
use crate::manager::deploy::apply_manager;
use crate::manager::readiness::wait_manager;
use crate::node::workloads::{WorkloadEntry, WorkloadsFile};
use crate::setup::Setup;
use crate::workload::consent::{ConsentSummary, ReleaseSummary};
use crate::workload::registry::{AddRequest, ChainReader};
use crate::workload::sandbox::apply_sandbox;

/// A workload that is ready to be placed once the operator agrees.
pub(crate) struct Proposal {
    pub(crate) summary: ConsentSummary,
    /// The grant of before, where it was another.
    pub(crate) previous_grant: Option<Grant>,
    /// Whether the node runs it already, under the same grant.
    pub(crate) already: bool,
    entry: WorkloadEntry,
    file: WorkloadsFile,
    /// Its place in the file.
    known: Option<usize>,
}

/// Reads everything that the operator has to agree to. Changes nothing.
pub(crate) async fn propose(setup: &Setup, request: &AddRequest) -> anyhow::Result<Proposal> {
    let chain = ChainReader::connect(setup).await?;
    let file = WorkloadsFile::read(setup.home()?)?;
    let place = chain.find(&request.workload, &file).await?;
    let known = file.workloads.iter().position(|entry| {
        (entry.project, &entry.name) == (place.project.distributor, &request.workload.workload)
    });
    let known_entry = known.map(|at| file.workloads[at].clone());
    let operator = or_own(setup, None, "the node's authorisation").await?;
    let license = chain.license(setup, request, &place, operator, known_entry.as_ref()).await?;
    let right = chain.right(license, operator).await?;
    let release_urls = match (&request.release_urls[..], &known_entry) {
        ([], Some(entry)) => entry.release_urls.clone(),
        (given, _) => given.to_vec(),
    };
    let (release, announced, runnable) =
        chain.release(setup, request, &place, &release_urls).await?;
    let asked = Grant::of(&release);
    let entry = WorkloadEntry {
        name: request.workload.workload.clone(),
        collection: license.collection,
        token_id: license.token_id,
        project: place.project.distributor,
        project_name: request.workload.project.clone(),
        grant: asked.clone(),
        release_urls,
        paused: known_entry.as_ref().is_some_and(|entry| entry.paused),
    };
    let summary = ConsentSummary {
        workload: entry.name.clone(),
        project_name: entry.project_name.clone(),
        project: entry.project,
        owner: place.project.owner,
        license,
        listed_until: place.listed_until,
        operator,
        right: right_word(right),
        release: ReleaseSummary::of(&release, announced.runnable_at, runnable),
        grant: asked,
        namespace: entry.namespace(),
    };
    let previous_grant = known_entry
        .as_ref()
        .map(|before| before.grant.clone())
        .filter(|before| *before != entry.grant);
    let already = known_entry.as_ref() == Some(&entry);
    Ok(Proposal { summary, previous_grant, already, entry, file, known })
}

/// Makes the workload's sandbox, writes the entry, updates the manager.
pub(crate) async fn place_workload(
    setup: &Setup,
    cluster: &mut Cluster,
    proposal: Proposal,
) -> anyhow::Result<(ConsentSummary, Vec<Change>)> {
    let Proposal { summary, entry, mut file, known, .. } = proposal;
    let home = setup.home()?;
    let mut changes = apply_sandbox(&cluster.client, home, &mut cluster.file, &entry).await?;
    match known {
        Some(at) if file.workloads[at] == entry => {}
        Some(at) => file.workloads[at] = entry,
        None => file.workloads.push(entry),
    }
    file.write(home)?;
    changes.extend(apply_manager(setup, &cluster.client, &cluster.file).await?);
    changes.retain(|change| change.done != Applied::Same);
    if !changes.is_empty() {
        wait_manager(&cluster.client).await?;
    }
    Ok((summary, changes))
}
