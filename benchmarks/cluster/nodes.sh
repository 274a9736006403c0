# Nodes of a cluster on one machine, for the scripts beside this file: each has an address, a host name, processes and
# a /tmp/ray of its own (namespaces of Linux), and the disk and the programs of the machine. Source it as root.
#
#   nodes_begin              a bridge whose end here is HOST
#   node_begin NAME COMMAND  a node, and what runs on it first; the node ends with that
#   node_run NAME COMMAND    run something on a node that is up
#   node_cut NAME            a power cut: all of the node's processes end at once
#   nodes_end                take everything away

NODES_FOLDER=$(mktemp -d /run/zoo-nodes.XXXX)
NODES_NET=10.77.0
HOST=$NODES_NET.1
declare -A NODE_PID=() NODE_IP=()

nodes_begin() {
    [[ $EUID == 0 ]] || { echo "network namespaces take root" >&2; return 1; }
    echo "127.0.0.1 localhost" >"$NODES_FOLDER/hosts"
    echo "$HOST zoohost" >>"$NODES_FOLDER/hosts"
    ip link add zoobridge type bridge
    ip address add "$HOST/24" dev zoobridge
    ip link set zoobridge up
}

# What each namespace does before its first command: a name, a loopback, and what it shares with no other node.
node_setup='hostname "$1"; ip link set lo up; mkdir -p /tmp/ray; mount -t tmpfs none /tmp/ray
    mount --bind "$2/hosts" /etc/hosts; shift 2; exec "$@"'

node_begin() {
    local name=$1 number=$((${#NODE_IP[@]} + 11))
    shift
    NODE_IP[$name]=$NODES_NET.$number
    grep -q " $name$" "$NODES_FOLDER/hosts" || echo "${NODE_IP[$name]} $name" >>"$NODES_FOLDER/hosts"
    ip netns add "$name"
    ip link add "$name" type veth peer name eth0 netns "$name"
    ip link set "$name" master zoobridge up
    ip -n "$name" address add "${NODE_IP[$name]}/24" dev eth0
    ip -n "$name" link set eth0 up
    ip -n "$name" route add default via "$HOST"
    nsenter --net="/run/netns/$name" unshare --uts --mount --pid --fork --kill-child --mount-proc \
        bash -c "$node_setup" setup "$name" "$NODES_FOLDER" "$@" >"$NODES_FOLDER/$name.log" 2>&1 &
    NODE_PID[$name]=$!
}

node_run() {
    local name=$1 within
    shift
    within=$(pgrep -P "${NODE_PID[$name]}")
    nsenter --target "$within" --net --uts --mount --pid "$@"
}

node_cut() {
    pkill -KILL -P "${NODE_PID[$1]}" || true # its first process, with which the kernel ends all others
    wait "${NODE_PID[$1]}" 2>/dev/null || true
    ip netns delete "$1"
    unset "NODE_PID[$1]"
}

nodes_end() {
    local name
    for name in "${!NODE_PID[@]}"; do node_cut "$name" || true; done
    ip link delete zoobridge 2>/dev/null || true
    rm -rf "$NODES_FOLDER"
}
