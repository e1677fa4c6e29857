# Paths, addresses and the starting of daemons, for the scripts that run inside the sandbox.
# Set by `up`: CLUSTER_DIR, CLUSTER_ID, CLUSTER_MODE, CLUSTER_PORTS, KUBERNETES_BUILD.

dir=$CLUSTER_DIR
mode=$CLUSTER_MODE
pki="$dir/pki"
programs="$KUBERNETES_BUILD/unpacked"
read -r etcd_port etcd_peer_port api_port <<<"$CLUSTER_PORTS"
containerd_socket=/run/containerd/containerd.sock
node_ip=10.77.0.1
loopback_ip=10.77.0.2
if [[ "$mode" == node ]]; then api_ip=$node_ip; else api_ip=127.0.0.1; fi
export PATH="$KUBERNETES_BUILD/bin:$programs/usr/bin:$programs/usr/sbin:$PATH"
export LD_LIBRARY_PATH="$programs/usr/lib/x86_64-linux-gnu"
export XTABLES_LIBDIR="$programs/usr/lib/x86_64-linux-gnu/xtables"
export KUBECONFIG="$dir/admin.kubeconfig"
# The kubelet would otherwise ask a cloud's metadata address.
export AWS_EC2_METADATA_DISABLED=true

progress() { printf '%s\n' "$*"; }

# daemon NAME COMMAND...: starts it in the background; run/NAME keeps the command, pid/NAME its process
# group. One that ends after 20 s or more is started again, as a service manager would: on a starved
# machine some end by themselves when the API server is slow. One that ends sooner stays ended.
daemon() {
  local name=$1
  shift
  { printf 'exec'; printf ' %q' "$@"; echo; } >"$dir/run/$name"
  start "$name"
}
start() {
  # shellcheck disable=SC2016
  setsid bash -c 'while began=$SECONDS; do
    bash "$1" || true
    ((SECONDS - began >= 20)) || exit 1
    echo "--- ended, and is started again"
  done' "$1" "$dir/run/$1" >>"$dir/log/$1.log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >"$dir/pid/$1"
  # Until it has its process group it would be taken for one that has ended: on a busy machine a moment.
  until running "$1" || ! kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}
stop() {
  kill -- "-$(<"$dir/pid/$1")" 2>/dev/null || true
  for _ in $(seq 300); do
    running "$1" || return 0
    sleep 0.1
  done
  echo "$1 does not end"
  return 1
}
running() { kill -0 -- "-$(<"$dir/pid/$1")" 2>/dev/null; }

# wait_for DAEMON WHAT COMMAND...: until the command succeeds; fails when the daemon ends or after 300 s, which only a very busy
# machine needs.
wait_for() {
  local name=$1 what=$2 left
  shift 2
  for ((left = 3000; left > 0; left--)); do
    if "$@" >/dev/null 2>&1; then
      progress "$what"
      return 0
    fi
    if ! running "$name"; then
      echo "$name ended; the end of its log:"
      tail -n 15 -- "$dir/log/$name.log"
      return 1
    fi
    sleep 0.1
  done
  echo "not within 300 s: $what; the end of the log of $name:"
  tail -n 15 -- "$dir/log/$name.log"
  return 1
}
