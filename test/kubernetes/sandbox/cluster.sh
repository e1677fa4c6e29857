# What the commands of this folder know of a cluster: its state folder, its processes, its cgroups.
# Sourced by them, outside the sandbox.
#
# A state folder holds:
#   cluster        "ID MODE": this folder belongs to a test cluster, so `down` may remove it
#   sandbox.pid    "PID START" of the `unshare` that holds the sandbox (START tells a reused id apart)
#   watcher.pid    the same of the process that ends the cluster with another one (`up --until-exit`)
#   network        its network namespace; network-is-shared instead where that is the caller's
#   cluster.json   how to reach the cluster; there once it is ready
#   admin.kubeconfig, pki/, log/, run/, pid/, etcd/, varlib/

here="${here:?set by the command that sources this}"

say() { printf 'kubernetes %s: %s\n' "$(basename -- "$0")" "$*" >&2; }
fail() { printf 'test/kubernetes/%s: %s\n' "$(basename -- "$0")" "$*" >&2; exit 1; }
usage_error() { printf 'test/kubernetes/%s: %s; see --help\n' "$(basename -- "$0")" "$*" >&2; exit 2; }
# Prints the comment at the head of the command itself.
help() { sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//p}' "$0"; exit 0; }

# start_time PID: ticks since boot at which the process began; nothing when it is gone.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# alive FILE: the process that FILE names runs, and is the same one. Sets $alive_pid.
alive() {
  local pid start
  [[ -s "$1" ]] || return 1
  read -r pid start <"$1" || return 1
  [[ -n "$pid" && -n "$start" && "$(start_time "$pid")" == "$start" ]] || return 1
  alive_pid=$pid
}

# The first process of the sandbox, as seen from outside.
init_pid() {
  alive "$1/sandbox.pid" || return 1
  local child
  child="$(cat "/proc/$alive_pid/task/$alive_pid/children" 2>/dev/null)"
  child="${child%% *}"
  [[ -n "$child" ]] && echo "$child"
}

is_cluster() { [[ -s "$1/cluster" ]]; }
cluster_id() { cut -d' ' -f1 "$1/cluster"; }
cluster_mode() { cut -d' ' -f2 "$1/cluster"; }
is_up() { [[ -e "$1/cluster.json" ]] && init_pid "$1" >/dev/null; }

# require_up DIR: ends the command unless the cluster runs.
require_up() {
  is_cluster "$1" || { echo "test/kubernetes/$(basename -- "$0"): $1 holds no test cluster: start one with test/kubernetes/up node $1" >&2; exit 3; }
  is_up "$1" || { echo "test/kubernetes/$(basename -- "$0"): the cluster in $1 does not run: test/kubernetes/down $1, then up again" >&2; exit 3; }
}

# The folders in which a cluster's cgroups lie: one per hierarchy (v1), or one (v2).
cgroup_hierarchies() {
  if [[ "$(stat -f -c %T /sys/fs/cgroup 2>/dev/null)" == cgroup2fs ]]; then
    echo /sys/fs/cgroup
  else
    awk '$3 == "cgroup" { print $2 }' /proc/self/mounts
  fi
}

# Empty cgroups vanish only once the last process in them is reaped, so this tries for some seconds.
remove_cgroups() {
  local name="nodesys-test-$1" hierarchy left
  for _ in $(seq 50); do
    left=
    while read -r hierarchy; do
      [[ -d "$hierarchy/$name" ]] || continue
      find "$hierarchy/$name" -depth -type d -exec rmdir {} \; 2>/dev/null || true
      [[ ! -d "$hierarchy/$name" ]] || left="$left $hierarchy/$name"
    done < <(cgroup_hierarchies)
    [[ -n "$left" ]] || return 0
    sleep 0.1
  done
  say "these cgroups are still in use:$left"
  return 1
}

# cannot_run MODE: prints why a cluster of that kind cannot run here; nothing when it can.
cannot_run() {
  local controller tool
  [[ "$(uname -s)" == Linux ]] || { echo "this is $(uname -s), and the test cluster needs Linux"; return; }
  [[ "$(id -u)" == 0 ]] || { echo "no root: the test cluster makes namespaces, mounts and cgroups"; return; }
  for tool in unshare nsenter setsid ip openssl curl mount python3; do
    command -v "$tool" >/dev/null || { echo "the program '$tool' is missing"; return; }
  done
  unshare --mount --pid --net --fork true 2>/dev/null || { echo "the kernel refuses new namespaces (unshare failed)"; return; }
  [[ "$1" == node ]] || return 0
  if [[ "$(stat -f -c %T /sys/fs/cgroup 2>/dev/null)" == cgroup2fs ]]; then
    for controller in cpu cpuset memory pids; do
      grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers || { echo "the cgroup controller '$controller' is missing"; return; }
    done
    mkdir "/sys/fs/cgroup/nodesys-test-$$" 2>/dev/null || { echo "cgroups cannot be made: /sys/fs/cgroup is not writable"; return; }
    rmdir "/sys/fs/cgroup/nodesys-test-$$"
  else
    for controller in cpu cpuacct cpuset devices memory pids; do
      awk '$3 == "cgroup" { print $4 }' /proc/self/mounts | tr , '\n' | grep -qx "$controller" ||
        { echo "the cgroup controller '$controller' is not mounted"; return; }
    done
    mkdir "/sys/fs/cgroup/memory/nodesys-test-$$" 2>/dev/null || { echo "cgroups cannot be made: /sys/fs/cgroup is not writable"; return; }
    rmdir "/sys/fs/cgroup/memory/nodesys-test-$$"
  fi
}

# need_node: ends the command with 77, and the reason, where no cluster of kind node can run; with
# CI=true that is a failure instead.
need_node() {
  local reason
  reason="$(cannot_run node)"
  [[ -n "$reason" ]] || reason="$("$here/build" --can 2>&1 || true)"
  [[ -n "$reason" ]] || return 0
  if [[ "${CI:-}" == true ]]; then fail "must run in CI and cannot: $reason"; fi
  say "not run: $reason"
  exit 77
}
