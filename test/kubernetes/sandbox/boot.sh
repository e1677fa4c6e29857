# Starts the cluster's daemons in order and returns when all are ready; again after a reboot.
set -euo pipefail
here="$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)"
# shellcheck source=test/kubernetes/sandbox/environment.sh
source "$here/environment.sh"

etcd_url="http://127.0.0.1:$etcd_port"
peer_url="http://127.0.0.1:$etcd_peer_port"
if [[ "$mode" == node ]]; then
  api_address=(--bind-address=0.0.0.0 "--advertise-address=$node_ip")
else
  api_address=(--bind-address=127.0.0.1 --endpoint-reconciler-type=none)
fi

# The state of a test is worth no waiting for the disk.
daemon etcd etcd --data-dir "$dir/etcd" --listen-client-urls "$etcd_url" --advertise-client-urls "$etcd_url" \
  --listen-peer-urls "$peer_url" --initial-advertise-peer-urls "$peer_url" \
  --initial-cluster "default=$peer_url" --unsafe-no-fsync
daemon apiserver kube-apiserver "--etcd-servers=$etcd_url" "${api_address[@]}" "--secure-port=$api_port" \
  "--tls-cert-file=$pki/apiserver.crt" "--tls-private-key-file=$pki/apiserver.key" "--client-ca-file=$pki/authority.crt" \
  "--kubelet-client-certificate=$pki/admin.crt" "--kubelet-client-key=$pki/admin.key" \
  "--kubelet-certificate-authority=$pki/authority.crt" --kubelet-preferred-address-types=InternalIP \
  --service-account-issuer=https://kubernetes.default.svc "--service-account-key-file=$pki/service-accounts.pub" \
  "--service-account-signing-key-file=$pki/service-accounts.key" --service-cluster-ip-range=10.96.0.0/16 \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true --profiling=false
answers() { LD_LIBRARY_PATH='' curl --silent --fail --cacert "$pki/authority.crt" "https://$api_ip:$api_port/readyz"; }
wait_for apiserver "API server answers" answers
# Nobody but the controllers refreshes the endpoints that an ended API server left.
daemon controllers kube-controller-manager "--kubeconfig=$dir/controllers.kubeconfig" --port=0 --secure-port=0 \
  --use-service-account-credentials "--service-account-private-key-file=$pki/service-accounts.key" \
  "--root-ca-file=$pki/authority.crt" "--cluster-signing-cert-file=$pki/authority.crt" \
  "--cluster-signing-key-file=$pki/authority.key" --leader-elect=false --kube-api-qps=300 --kube-api-burst=600 \
  --allocate-node-cidrs=false "--flex-volume-plugin-dir=$dir/flex" --profiling=false
daemon scheduler kube-scheduler "--kubeconfig=$dir/scheduler.kubeconfig" --port=0 --secure-port=0 \
  --leader-elect=false --profiling=false
wait_for controllers "controllers run" kubectl --namespace default get serviceaccount default
[[ "$mode" == node ]] || exit 0

snapshotter=overlayfs
# An overlay on an overlay is refused by the kernel; a container's own disk is one.
if [[ "$(stat -f -c %T /var/lib)" == overlayfs ]]; then snapshotter=native; fi
# A tarball's image has its name by digest.
pause="$(tar -xOf "$KUBERNETES_BUILD/images/pause.tar" index.json | grep -o 'nodesys.test/pause@sha256:[0-9a-f]*' | sort -u)"
cat >"$dir/run/containerd.toml" <<TOML
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "$containerd_socket"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$programs/usr/lib/cni"
    conf_dir = "$dir/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$snapshotter"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "$programs/usr/bin/runc"
      SystemdCgroup = false
TOML
cat >"$dir/cni/10-bridge.conflist" <<'JSON'
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni-addresses"}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
daemon containerd containerd --config "$dir/run/containerd.toml"
wait_for containerd "containerd answers" ctr --address "$containerd_socket" version
for image in "$KUBERNETES_BUILD"/images/*.tar; do
  ctr --namespace k8s.io images import "$image" >/dev/null
  # containerd names what it imports by digest; pods of the tests name these two by their tag.
  read -r digest tag < <(tar -xOf "$image" index.json | python3 -c '
import json, sys
given = json.load(sys.stdin)["manifests"][0]["annotations"]
print(given["io.containerd.image.name"], given["org.opencontainers.image.ref.name"])')
  ctr --namespace k8s.io images tag --force "$digest" "$tag" >/dev/null
done

echo "nameserver 127.0.0.1" >"$dir/run/resolv.conf"
cat >"$dir/run/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_ip
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/authority.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/kubelet.crt
tlsPrivateKeyFile: $pki/kubelet.key
cgroupDriver: cgroupfs
cgroupRoot: /nodesys-test-$CLUSTER_ID
failSwapOn: false
readOnlyPort: 0
resolvConf: $dir/run/resolv.conf
clusterDomain: cluster.local
clusterDNS: [10.96.0.10]
evictionHard: {memory.available: "64Mi"}
imageGCHighThresholdPercent: 100
protectKernelDefaults: false
syncFrequency: 10s
fileCheckFrequency: 0s
nodeStatusUpdateFrequency: 5s
YAML
daemon kubelet kubelet "--kubeconfig=$dir/kubelet.kubeconfig" "--config=$dir/run/kubelet.yaml" \
  --container-runtime=remote "--container-runtime-endpoint=unix://$containerd_socket" "--node-ip=$node_ip" \
  --hostname-override=node1 --cert-dir=/var/lib/kubelet/pki "--pod-infra-container-image=$pause" \
  --volume-plugin-dir=/var/lib/kubelet/volumeplugins --root-dir=/var/lib/kubelet
kubectl create clusterrolebinding kube-proxy --clusterrole=system:node-proxier --user=system:kube-proxy >/dev/null 2>&1 ||
  kubectl get clusterrolebinding kube-proxy >/dev/null
daemon proxy kube-proxy "--kubeconfig=$dir/proxy.kubeconfig" --hostname-override=node1 --proxy-mode=iptables \
  --cluster-cidr=10.244.0.0/16 --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 \
  --conntrack-tcp-timeout-close-wait=0 --healthz-bind-address=127.0.0.1:10256 --metrics-bind-address=127.0.0.1:10249
started_at="$(date -u +%Y-%m-%dT%H:%M:%SZ)"
# A heartbeat from before a reboot must not count as ready.
node_ready() {
  local status
  status="$(kubectl get node node1 --output \
    jsonpath='{range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}')"
  [[ "${status%% *}" == True && ! "${status#* }" < "$started_at" ]]
}
wait_for kubelet "node1 is ready" node_ready
