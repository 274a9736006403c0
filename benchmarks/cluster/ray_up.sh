#!/bin/bash
# configs/cluster/hosts.yaml by `ray up` itself: a head and two workers on this machine, reached by ssh.
#
#   benchmarks/cluster/ray_up.sh FOLDER     root, with Debian's openssh-server and rsync; some minutes
#
# FOLDER must be new; it holds the recordings, the studies and what Ray prints. Each node has a network, processes, a home
# and an sshd of its own. Of hosts.yaml only the addresses, the user with its key, the CPUs of a node and the
# installation are changed (~/zoo is a link to this environment). Tried, each with its check: `ray up`; a search by
# `--submit` through `ray dashboard`; one by `--address ray://`; one by `--address auto` on the head; `ray down`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$(realpath -m "${1:?which new folder?}")
export PATH=$root/.venv/bin:$PATH PYTHONPATH=$root RAY_USAGE_STATS_ENABLED=0 HF_HUB_DISABLE_TELEMETRY=1
[[ ! -e $out ]] || { echo "$out exists" >&2; exit 1; }
python_home=$(python -c "import sys; print(sys.base_prefix)")
mkdir -p "$out/home/.ray"
export HOME=$out/home
python -c "import secrets; print(secrets.token_hex(32))" >"$HOME/.ray/auth_token"
chmod 600 "$HOME/.ray/auth_token"
ssh-keygen -q -t ed25519 -N '' -f "$out/key"
ssh-keygen -q -t ed25519 -N '' -f "$out/host_key"
source "$here/nodes.sh"
source "$here/study.sh"

finish() {
    kill "${dashboard:-}" 2>/dev/null || true
    cp "$NODES_FOLDER"/*.log "$out" 2>/dev/null || true
    nodes_end
    rm -f /tmp/ray/cluster-zoo-bench.*
}
trap finish EXIT

# A node: a home of its own, in which a Python that lives in the home of root stays where it is; and sshd.
# shellcheck disable=SC2016
node='mkdir -p "$1" /run/sshd; home=$(getent passwd root | cut -d: -f6)
    if [[ $2 == "$home"/* ]]; then mkdir -p "$1${2#"$home"}"; mount --bind "$2" "$1${2#"$home"}"; fi
    mount --rbind "$1" "$home"; shift 2; exec /usr/sbin/sshd -D -e -f /dev/null -h "$1" -o AuthorizedKeysFile="$2" \
        -o StrictModes=no -o PermitRootLogin=yes -o PasswordAuthentication=no -o PidFile=none'
nodes_begin
for name in zoo1 zoo2 zoo3; do
    node_begin "$name" bash -c "$node" node "$out/home-$name" "$python_home" "$out/host_key" "$out/key.pub"
done
reached() { ssh -i "$out/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "root@$1" true; }
for name in zoo1 zoo2 zoo3; do wait_for "$name answers ssh" 60 reached "${NODE_IP[$name]}"; done

sed -e 's/^cluster_name: .*/cluster_name: zoo-bench/' -e "s/head_ip: .*/head_ip: ${NODE_IP[zoo1]}/" \
    -e "s/worker_ips: .*/worker_ips: [${NODE_IP[zoo2]}, ${NODE_IP[zoo3]}]/" \
    -e "s|ssh_user: .*|ssh_user: root|" -e "s|# ssh_private_key: .*|ssh_private_key: $out/key|" \
    -e "s|^  - python3 -m venv .*|  - ln -sfn $root/.venv ~/zoo|" \
    -e 's|--address=$RAY_HEAD_IP:6379|& --num-cpus=1|' "$root/configs/cluster/hosts.yaml" >"$out/hosts.yaml"
make_search "$out"

echo "## ray up"
began=$SECONDS
ray up -y --no-config-cache "$out/hosts.yaml" >"$out/ray-up.log" 2>&1 || { tail -30 "$out/ray-up.log"; exit 1; }
echo "the head is up: $((SECONDS - began)) s"
workers() { (($(ray exec "$out/hosts.yaml" 'RAY_AUTH_MODE=token ~/zoo/bin/ray list nodes --format json 2>/dev/null' 2>/dev/null |
    grep -c '"state": "ALIVE"') == 3)); }
wait_for "both workers have joined" 300 workers

echo "## zoo search --submit, through ray dashboard"
ray dashboard "$out/hosts.yaml" >"$out/dashboard.log" 2>&1 &
dashboard=$!
tunnel() { grep -q "port-forwarding\|established" "$out/dashboard.log" && (exec 3<>/dev/tcp/localhost/8265) 2>/dev/null; }
wait_for "the tunnel is up" 120 tunnel
zoo search "$out/search.json" --out "$out/submitted" --submit http://localhost:8265
wait_for "first result" 300 has_results submitted 1
wait_for "board" 900 test -s "$out/submitted/board.json"
zoo board "$out/submitted" | head -3

echo "## zoo search --address ray://"
zoo search "$out/search.json" --out "$out/client" --address "ray://${NODE_IP[zoo1]}:10001" 2>&1 | tail -12

echo "## zoo search --address auto, on the head"
ssh -i "$out/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "root@${NODE_IP[zoo1]}" \
    "PATH=~/zoo/bin:\$PATH PYTHONPATH=$root zoo search $out/search.json --out $out/auto --address auto" 2>&1 | tail -12

echo "## ray down"
ray down -y "$out/hosts.yaml" >"$out/ray-down.log" 2>&1
node_run zoo2 pgrep raylet && { echo "NOT ended on zoo2"; exit 1; } || echo "nothing of Ray is left on a worker"
