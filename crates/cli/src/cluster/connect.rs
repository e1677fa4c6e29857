//! The connection to the node's cluster, and its errors in words.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::exit::Exit;
use crate::node::cluster_file::ClusterFile;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an answer may take to begin.
const ANSWER: Duration = Duration::from_secs(60);

/// This node's cluster.
pub struct Cluster {
    /// Its file in the home folder.
    pub file: ClusterFile,
    /// The connection.
    pub client: kube::Client,
}

/// Connects to the cluster of this node; an error that ends with 3 where it has none.
pub async fn connect(home: &Path) -> anyhow::Result<Cluster> {
    let file = ClusterFile::read(home)?
        .ok_or_else(|| Exit::NotFound.because("this node has no cluster yet: run nodesys start"))?;
    let client = client_of(&file.kubeconfig, file.context.as_deref()).await?;
    Ok(Cluster { file, client })
}

/// Connects by a kubeconfig; `None` is its current context.
pub(crate) async fn client_of(
    kubeconfig: &Path,
    context: Option<&str>,
) -> anyhow::Result<kube::Client> {
    let shown = kubeconfig.display();
    // Read apart, so that "not there" is told from "not a kubeconfig".
    let text = std::fs::read_to_string(kubeconfig).map_err(|error| {
        Exit::Usage.because(format!(
            "the kubeconfig {shown} cannot be read: {error}; give --kubeconfig FILE, and run as a \
             user who may read it"
        ))
    })?;
    let file = Kubeconfig::from_yaml(&text)
        .map_err(|error| Exit::Usage.because(format!("{shown} is not a kubeconfig: {error}")))?;
    if let Some(context) = context
        && !file.contexts.iter().any(|named| named.name == context)
    {
        let known: Vec<&str> = file.contexts.iter().map(|named| named.name.as_str()).collect();
        return Err(Exit::Usage.because(format!(
            "{shown} has no context {context:?}; it has: {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )));
    }
    let options =
        KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let mut config = kube::Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(|error| Exit::Usage.because(format!("the kubeconfig {shown}: {error}")))?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(ANSWER);
    config.write_timeout = Some(CONNECT);
    kube::Client::try_from(config).context("the cluster's client")
}

/// An error of the cluster, in one sentence and with its exit code.
pub fn cluster_error(what: impl std::fmt::Display, error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) => {
            let exit = if status.code == 404 { Exit::NotFound } else { Exit::Failure };
            let hint = match status.code {
                401 => "; its credentials are not accepted: get a new kubeconfig",
                403 => "; this needs a kubeconfig with more rights",
                _ => "",
            };
            exit.because(format!("{what}: {}{hint}", status.message))
        }
        error => {
            let error = anyhow::Error::from(error);
            let cause = error.root_cause();
            Exit::Network.because(format!("{what}: the cluster does not answer ({cause})"))
        }
    }
}

/// `None` if the object does not exist.
pub(crate) fn found_or_none<T>(answer: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}
