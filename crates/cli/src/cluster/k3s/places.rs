//! Where things lie on the machine, and what is written there.

use crate::node::cluster_file::Made;

/// The program.
pub(crate) const PROGRAM: &str = "/usr/local/bin/k3s";

/// Its settings.
pub(crate) const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

/// The kubeconfig that it writes when its API is up.
pub(crate) const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";

/// Images that it loads when it starts.
pub(crate) const IMAGES: &str = "/var/lib/rancher/k3s/agent/images";

/// Files that were had by their hash.
pub(crate) const CACHE: &str = "/var/cache/nodesys";

/// The rules that keep pods off the node's own addresses.
pub(crate) const RULES: &str = "/etc/nodesys/firewall.nft";

/// The unit of k3s.
pub(crate) const UNIT: &str = "nodesys-k3s.service";

/// The unit of the rules.
pub(crate) const FIREWALL_UNIT: &str = "nodesys-firewall.service";

/// The addresses of pods, as in `config.yaml`.
const POD_RANGE: &str = "10.42.0.0/16";

const SERVICE_RANGE: &str = "10.43.0.0/16";

/// Everything whose presence before us means that somebody else installed k3s. All of it goes again.
pub(crate) fn trees() -> Vec<Made> {
    ["/etc/rancher", "/var/lib/rancher", "/var/lib/kubelet", "/etc/nodesys"]
        .into_iter()
        .map(|path| Made::Tree { path: path.into() })
        .collect()
}

/// The settings of k3s: one node, nothing that a node does not need, secrets encrypted at rest.
pub(crate) fn config() -> String {
    format!(
        "# Written by nodesys start; nodesys uninstall removes it.\n\
         write-kubeconfig-mode: \"0600\"\n\
         cluster-cidr: {POD_RANGE}\n\
         service-cidr: {SERVICE_RANGE}\n\
         flannel-backend: host-gw\n\
         secrets-encryption: true\n\
         disable-cloud-controller: true\n\
         disable-helm-controller: true\n\
         disable:\n  - traefik\n  - servicelb\n  - metrics-server\n"
    )
}

/// The unit of k3s. Pods live on when it is restarted, as they do for any kubelet.
pub(crate) fn unit() -> String {
    format!(
        "# Written by nodesys start; nodesys uninstall removes it.\n\
         [Unit]\n\
         Description=Kubernetes of this Node System node (k3s)\n\
         Wants=network-online.target {FIREWALL_UNIT}\n\
         After=network-online.target {FIREWALL_UNIT}\n\
         \n\
         [Service]\n\
         Type=notify\n\
         ExecStartPre=-/sbin/modprobe br_netfilter\n\
         ExecStartPre=-/sbin/modprobe overlay\n\
         ExecStart={PROGRAM} server\n\
         KillMode=process\n\
         Delegate=yes\n\
         LimitNOFILE=1048576\n\
         LimitNPROC=infinity\n\
         LimitCORE=infinity\n\
         TasksMax=infinity\n\
         TimeoutStartSec=0\n\
         Restart=always\n\
         RestartSec=5s\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}

/// The unit that loads the rules before any pod runs.
pub(crate) fn firewall_unit(nft: &str) -> String {
    format!(
        "# Written by nodesys start; nodesys uninstall removes it.\n\
         [Unit]\n\
         Description=Keeps pods off the addresses of this Node System node\n\
         After=nftables.service firewalld.service\n\
         PartOf=nftables.service firewalld.service\n\
         # A reload of theirs flushes every table, ours too; it leads to ours, which comes after it.\n\
         ReloadPropagatedFrom=nftables.service firewalld.service\n\
         Before={UNIT}\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         ExecStart={nft} -f {RULES}\n\
         ExecReload={nft} -f {RULES}\n\
         ExecStop=-{nft} delete table inet nodesys\n\
         # It changes rules of the network, and nothing else.\n\
         CapabilityBoundingSet=CAP_NET_ADMIN\n\
         NoNewPrivileges=yes\n\
         ProtectSystem=strict\n\
         ProtectHome=yes\n\
         ProtectProc=invisible\n\
         ProcSubset=pid\n\
         PrivateTmp=yes\n\
         PrivateDevices=yes\n\
         ProtectClock=yes\n\
         ProtectControlGroups=yes\n\
         ProtectHostname=yes\n\
         ProtectKernelLogs=yes\n\
         ProtectKernelTunables=yes\n\
         RestrictAddressFamilies=AF_NETLINK AF_UNIX\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         LockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         IPAddressDeny=any\n\
         UMask=0077\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}

/// The rules. A network policy never stops a pod from reaching its own node; these do, but for the
/// cluster's API, which asks everybody who they are.
pub(crate) fn rules() -> String {
    format!(
        "# Written by nodesys start; nodesys uninstall removes it.\n\
         add table inet nodesys\n\
         delete table inet nodesys\n\
         table inet nodesys {{\n  \
           chain input {{\n    \
             type filter hook input priority filter - 10; policy accept;\n    \
             ip saddr {POD_RANGE} jump from_pods\n  \
           }}\n  \
           chain from_pods {{\n    \
             ct state established,related accept\n    \
             tcp dport 6443 accept\n    \
             counter drop\n  \
           }}\n\
         }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_as_committed() {
        let all = [config(), unit(), firewall_unit("/usr/sbin/nft"), rules()].join("----\n");
        insta::assert_snapshot!("files", all);
    }
}
