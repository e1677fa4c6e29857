//! Removing namespaces from the cluster, and waiting until they are gone.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use nodesys_clock::Clock;

use crate::cluster::connect::{cluster_error, found_or_none};
use crate::exit::Exit;
use crate::system::pause;

/// A namespace with pods that must end first takes its time.
const PATIENCE_MILLIS: u64 = 180_000;

const PART_OF: &str = "app.kubernetes.io/part-of";

/// Removes a namespace of ours with all that is in it; whether it was there.
pub(crate) async fn remove_namespace(client: &kube::Client, name: &str) -> anyhow::Result<bool> {
    let told = |error| cluster_error(format!("the namespace {name}"), error);
    let api: Api<Namespace> = Api::all(client.clone());
    let Some(found) = api.get_opt(name).await.map_err(told)? else { return Ok(false) };
    let labels = found.metadata.labels.unwrap_or_default();
    if labels.get(PART_OF).map(String::as_str) != Some("nodesys") {
        return Err(Exit::Failure.because(format!(
            "the namespace {name} no longer carries our label ({PART_OF}=nodesys), so it is left \
             alone: look at it, and delete it yourself"
        )));
    }
    found_or_none(api.delete(name, &DeleteParams::default()).await).map_err(told)?;
    wait_gone(client, name).await?;
    Ok(true)
}

/// Waits until a namespace that is on its way out is gone.
pub(crate) async fn wait_gone(client: &kube::Client, name: &str) -> anyhow::Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let clock = Clock::system();
    let began = clock.monotonic_millis();
    while api
        .get_opt(name)
        .await
        .map_err(|error| cluster_error(format!("the namespace {name}"), error))?
        .is_some_and(|it| it.metadata.deletion_timestamp.is_some())
    {
        if clock.monotonic_millis() - began > PATIENCE_MILLIS {
            return Err(Exit::Failure.because(format!(
                "the namespace {name} is not being removed: see kubectl describe namespace {name}, \
                 then run the same command again"
            )));
        }
        pause(300).await;
    }
    Ok(())
}
