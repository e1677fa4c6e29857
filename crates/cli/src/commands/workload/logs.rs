//! `workload logs`: prints a workload's log.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;

use crate::cluster::connect::connect;
use crate::commands::pod_log::{LogLines, print_log};
use crate::exit::Exit;
use crate::node::workloads::WorkloadsFile;
use crate::setup::Setup;
use crate::workload::name::WorkloadRef;
use crate::workload::pods::pods_of;

/// Options of `workload logs`.
#[derive(Debug, clap::Args)]
pub struct LogsArgs {
    /// The workload, as `workload list` names it.
    #[arg(value_name = "WORKLOAD")]
    pub workload: WorkloadRef,
    /// The container, if the workload has more than one.
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Which lines.
    #[command(flatten)]
    pub lines: LogLines,
}

/// Runs the verb.
pub(crate) async fn run(setup: &Setup, args: &LogsArgs) -> anyhow::Result<Exit> {
    let file = WorkloadsFile::read(setup.home()?)?;
    let entry = args.workload.find(&file)?;
    let cluster = connect(setup.home()?).await?;
    let pods = pods_of(&cluster.client, &entry.namespace()).await?;
    let none = || {
        let paused = if entry.paused { ": it is paused" } else { "" };
        Exit::NotFound.because(format!(
            "{} has no pod{paused}; nodesys workload status {} says why",
            entry.label(),
            entry.name
        ))
    };
    let pod = pods.first().ok_or_else(none)?;
    let containers: Vec<&str> = pod
        .spec
        .iter()
        .flat_map(|spec| &spec.containers)
        .map(|container| container.name.as_str())
        .collect();
    let container = match (&args.container, &containers[..]) {
        (Some(named), known) if known.contains(&named.as_str()) => named.clone(),
        (None, [only]) => (*only).to_owned(),
        (_, known) => {
            let words =
                format!("name one of its containers with --container: {}", known.join(", "));
            return Err(Exit::Usage.because(words));
        }
    };
    let api: Api<Pod> = Api::namespaced(cluster.client, &entry.namespace());
    let params = LogParams { container: Some(container), ..args.lines.params() };
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    print_log(&api, name, &params, &format!("the log of {}", entry.label())).await
}
