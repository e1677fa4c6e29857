//! Pods of the probe: started, waited for, and their answers read.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{LogParams, PostParams};
use nodesys_clock::Clock;
use nodesys_core::release::Image;
use nodesys_render::probe::Line;
use serde_json::{Value, json};

use crate::cluster::connect::{cluster_error, found_or_none};
use crate::cluster::pods::trouble_of;
use crate::exit::Exit;
use crate::system::pause;

const PATIENCE_MILLIS: u64 = 180_000;

pub(crate) async fn run_pod(
    client: &kube::Client,
    namespace: &str,
    name: &str,
    image: &Image,
    words: Vec<String>,
) -> anyhow::Result<()> {
    let args: Vec<String> = std::iter::once("probe".to_owned()).chain(words).collect();
    let amounts = json!({ "cpu": "100m", "memory": "32Mi", "ephemeral-storage": "16Mi" });
    let manifest: Value = json!({
        "metadata": { "name": name },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65_532, "runAsGroup": 65_532,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": "probe", "image": image, "imagePullPolicy": "IfNotPresent", "args": args,
                "resources": { "requests": amounts, "limits": amounts },
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                },
            }],
        },
    });
    let pod: Pod = serde_json::from_value(manifest).context("the probe's pod")?;
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let told = |error| cluster_error(format!("the pod {name}"), error);
    // One of a run that ended early says nothing of this one.
    if api.get_opt(name).await.map_err(told)?.is_some() {
        let now = kube::api::DeleteParams::default().grace_period(0);
        found_or_none(api.delete(name, &now).await).map_err(told)?;
        while api.get_opt(name).await.map_err(told)?.is_some() {
            pause(300).await;
        }
    }
    // The service account's controller may be behind a namespace that was just made.
    let clock = Clock::system();
    let began = clock.monotonic_millis();
    loop {
        match api.create(&PostParams::default(), &pod).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status))
                if status.code == 403 && clock.monotonic_millis() - began < 30_000 =>
            {
                pause(500).await;
            }
            Err(error) => return Err(told(error)),
        }
    }
}

pub(crate) async fn wait_pod(
    client: &kube::Client,
    namespace: &str,
    name: &str,
    phase: &str,
) -> anyhow::Result<Pod> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let clock = Clock::system();
    let began = clock.monotonic_millis();
    loop {
        let pod =
            api.get(name).await.map_err(|error| cluster_error(format!("the pod {name}"), error))?;
        let now = pod.status.as_ref().and_then(|it| it.phase.clone()).unwrap_or_default();
        if now == phase {
            return Ok(pod);
        }
        if now == "Failed" || clock.monotonic_millis() - began > PATIENCE_MILLIS {
            let why = trouble_of(&pod).map_or(now, |it| it.words);
            return Err(
                Exit::Unhealthy.because(format!("the pod {name} does not do its work: {why}"))
            );
        }
        pause(300).await;
    }
}

/// The output of a probe, once it has ended.
pub(crate) async fn answers(
    client: &kube::Client,
    namespace: &str,
    name: &str,
) -> anyhow::Result<Vec<Line>> {
    wait_pod(client, namespace, name, "Succeeded").await?;
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let text = api.logs(name, &LogParams::default()).await;
    let text = text.map_err(|error| cluster_error(format!("the answer of {name}"), error))?;
    let lines = text.lines().map(serde_json::from_str::<Line>);
    lines
        .collect::<Result<_, _>>()
        .context("the manager's image is too old for this: start a newer one")
}
