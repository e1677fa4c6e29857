# Restarts the kubelet, or the whole node; runs in the sandbox, as a child of its first process.
set -euo pipefail
here="$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)"
# shellcheck source=test/kubernetes/sandbox/environment.sh
source "$here/environment.sh"

# The node's readiness, and when the kubelet reported it.
report() {
  kubectl get node node1 --output jsonpath='{range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}'
}

case $1 in
  kubelet)
    stop kubelet
    stopped_at="$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    # A node status reported in the same second may be the old kubelet's.
    while [[ "$(date -u +%Y-%m-%dT%H:%M:%SZ)" == "$stopped_at" ]]; do sleep 0.1; done
    start kubelet
    reported() {
      local status
      status="$(report)"
      [[ "${status%% *}" == True && "${status#* }" > "$stopped_at" ]]
    }
    wait_for kubelet "the kubelet reports again" reported
    ;;
  reboot)
    # Every process of the pid namespace but its first and this one.
    for entry in /proc/[0-9]*; do
      process=${entry#/proc/}
      [[ "$process" == 1 || "$process" == "$$" ]] || kill -KILL "$process" 2>/dev/null || true
    done
    for name in "$dir"/pid/*; do stop "$(basename -- "$name")"; done
    # What a power cut does not keep: mounts of pods, /run, interfaces, rules, the boot id.
    while read -r mounted; do umount --lazy -- "$mounted"; done < <(
      awk '$2 ~ "^/var/lib/(kubelet|containerd)/|^/run/" { print $2 }' /proc/self/mounts | sort -r)
    find /run -mindepth 1 -delete
    mkdir -p /run/netns
    for interface in $(ip -o link show type veth | sed 's/^[0-9]*: \([^@:]*\).*/\1/') cni0; do
      ip link delete "$interface" 2>/dev/null || true
    done
    cat /proc/sys/kernel/random/uuid >"$dir/run/boot-id"
    mountpoint -q /proc/sys/kernel/random/boot_id || mount --bind "$dir/run/boot-id" /proc/sys/kernel/random/boot_id
    progress "the node went down"
    bash "$here/boot.sh"
    ;;
esac
