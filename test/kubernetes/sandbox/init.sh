# The first process of the sandbox: prepares network, mounts and keys once, starts the daemons, then
# only waits, so that every process of the cluster has a parent and all end with this one.
set -euo pipefail
here="$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)"
# shellcheck source=test/kubernetes/sandbox/environment.sh
source "$here/environment.sh"

if [[ "$mode" == node ]]; then
  # A network without uplink. The default route lets programs find a source address; nothing leaves.
  ip link set lo up
  ip link add node0 type bridge
  ip address add "$node_ip/24" dev node0
  ip address add "$loopback_ip/24" dev node0
  ip link set node0 up
  ip route add default dev node0 src "$node_ip"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  # Programs that listen on 127.0.0.1 of this network, for pods: same port, another address.
  echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
  for chain in PREROUTING OUTPUT; do
    iptables --wait --table nat --append "$chain" --destination "$loopback_ip" --jump DNAT --to-destination 127.0.0.1
  done

  # The machine's folders that node programs write to, replaced by the cluster's own.
  mount --bind "$dir/varlib" /var/lib
  mount -t tmpfs -o mode=755 tmpfs /run
  mount -t tmpfs -o mode=755 tmpfs /var/log
  mkdir -p /run/netns /var/lib/kubelet
  : >"$dir/empty"
  mount --bind "$dir/empty" "$(realpath /etc/resolv.conf)" 2>/dev/null || true
  # The kubelet wants these kernel settings; it is shown private copies, and the machine keeps its own.
  for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file="$dir/run/sysctl-$(tr / - <<<"${setting%%=*}")"
    echo "${setting#*=}" >"$file"
    mount --bind "$file" "/proc/sys/${setting%%=*}"
  done
fi

bash "$here/certificates.sh"
progress "keys and certificates made"
bash "$here/boot.sh"
touch "$dir/ready"
# bash, unlike sleep, also reaps what is left to it.
while :; do sleep 3600 || true; done
