//! The command lines of Docker, apart from the code that runs them.

use nodesys_core::release::Image;

/// The container, and the volume with the data of k3s.
pub(crate) const NAME: &str = "nodesys-k3s";
/// The folder of a loaded tarball, for a moment.
const INSIDE: &str = "/var/lib/rancher/k3s/agent/images";

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The API is published on this machine alone, at a port that stays over restarts.
pub(crate) fn create(image: &Image, port: u16) -> Vec<String> {
    words(&format!(
        "run --detach --name {NAME} --hostname {NAME} --label dev.nodesys=node --privileged --init \
         --restart unless-stopped --tmpfs /run --tmpfs /var/run \
         --volume {NAME}:/var/lib/rancher/k3s --publish 127.0.0.1:{port}:6443 {image} server \
         --tls-san 127.0.0.1 --secrets-encryption --disable-cloud-controller \
         --disable-helm-controller --disable traefik --disable servicelb --disable metrics-server"
    ))
}

pub(crate) fn state() -> Vec<String> {
    words(&format!("container inspect --format {{{{.State.Status}}}} {NAME}"))
}

pub(crate) fn start() -> Vec<String> {
    words(&format!("start {NAME}"))
}

pub(crate) fn stop() -> Vec<String> {
    words(&format!("stop --time 60 {NAME}"))
}

pub(crate) fn kubeconfig() -> Vec<String> {
    words(&format!("exec {NAME} cat /etc/rancher/k3s/k3s.yaml"))
}

pub(crate) fn published() -> Vec<String> {
    words(&format!("port {NAME} 6443/tcp"))
}

pub(crate) fn folder() -> Vec<String> {
    words(&format!("exec {NAME} mkdir -p {INSIDE}"))
}

pub(crate) fn copy(archive: &str, name: &str) -> Vec<String> {
    vec!["cp".to_owned(), archive.to_owned(), format!("{NAME}:{INSIDE}/{name}")]
}

pub(crate) fn load(name: &str) -> Vec<String> {
    words(&format!("exec {NAME} ctr --namespace k8s.io images import {INSIDE}/{name}"))
}

pub(crate) fn logs() -> Vec<String> {
    words(&format!("logs --tail 15 {NAME}"))
}

pub(crate) fn remove() -> Vec<String> {
    words(&format!("rm --force --volumes {NAME}"))
}

pub(crate) fn remove_volume() -> Vec<String> {
    words(&format!("volume rm --force {NAME}"))
}
