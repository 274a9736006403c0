#!/bin/bash
# configs/cluster/slurm.sh on Slurm itself: four nodes on this machine, from submission to board.
#
#   benchmarks/cluster/slurm.sh FOLDER [PART ...]     root, with Debian's slurm-wlm and munge; some minutes
#
# PARTs are whole, drained, requeued, lost, cancelled; all where none is given. FOLDER must be new; it holds the
# recordings, the studies and what Slurm prints. Tried, each with its check: a search from `sbatch` to `zoo board`; a
# node that is drained while a job runs; a job that is requeued, and one whose node loses its power, which both go on;
# `scancel`, after which the same command goes on with the study.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$(realpath -m "${1:?which new folder?}")
export PATH=$root/.venv/bin:$PATH PYTHONPATH=$root RAY_USAGE_STATS_ENABLED=0 HF_HUB_DISABLE_TELEMETRY=1
[[ ! -e $out ]] || { echo "$out exists" >&2; exit 1; }
mkdir -p "$out/home/.ray"
export HOME=$out/home
python -c "import secrets; print(secrets.token_hex(32))" >"$HOME/.ray/auth_token"
chmod 600 "$HOME/.ray/auth_token"
source "$here/nodes.sh"
source "$here/study.sh"

finish() {
    cp "$NODES_FOLDER"/*.log "$out" 2>/dev/null || true
    kill "${controller:-}" "${munge:-}" 2>/dev/null || true
    nodes_end
}
trap finish EXIT

state() { squeue --noheader --jobs "$1" --format %T 2>/dev/null || true; }
is_state() { [[ $(state "$1") == "$2" ]]; }
has_ended() { [[ -z $(state "$1") || $(state "$1") == COMPLETED ]]; }
submit() { # study: one CPU a node, the rest as the file says
    sbatch --parsable --chdir="$out" --cpus-per-task=1 --output="$out/%j.log" --open-mode=append \
        "$root/configs/cluster/slurm.sh" "$out/search.json" "$out/$1"
}

# Slurm: munge, the controller here, one slurmd on each node.
nodes_begin
mkdir -p /run/munge "$NODES_FOLDER"/{state,munge}
dd if=/dev/urandom of="$NODES_FOLDER/munge/key" bs=1 count=1024 status=none
chmod -R go= "$NODES_FOLDER/munge"
export SLURM_CONF=$NODES_FOLDER/slurm.conf
munged --foreground --force --key-file="$NODES_FOLDER/munge/key" --socket="$NODES_FOLDER/munge.socket" \
    --pid-file="$NODES_FOLDER/munge.pid" --log-file="$NODES_FOLDER/munge.log" --seed-file="$NODES_FOLDER/seed" \
    >/dev/null 2>&1 &
munge=$!
cat >"$SLURM_CONF" <<CONF
ClusterName=zoo
SlurmctldHost=zoohost($HOST)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$NODES_FOLDER/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
StateSaveLocation=$NODES_FOLDER/state
SlurmdSpoolDir=$NODES_FOLDER/spool.%n
SlurmdPidFile=$NODES_FOLDER/slurmd.%n.pid
SlurmctldPidFile=$NODES_FOLDER/slurmctld.pid
SlurmctldLogFile=$NODES_FOLDER/slurmctld.log
SlurmdLogFile=$NODES_FOLDER/slurmd.%n.log
SlurmdTimeout=15
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=zoo1 NodeAddr=$NODES_NET.11 CPUs=1
NodeName=zoo2 NodeAddr=$NODES_NET.12 CPUs=1
NodeName=zoo3 NodeAddr=$NODES_NET.13 CPUs=1
NodeName=zoo4 NodeAddr=$NODES_NET.14 CPUs=1
NodeName=zoo5 NodeAddr=$NODES_NET.15 CPUs=1
PartitionName=all Nodes=zoo[1-5] Default=YES MaxTime=INFINITE State=UP
CONF
for node in zoo1 zoo2 zoo3 zoo4 zoo5; do node_begin "$node" slurmd -D -N "$node" -f "$SLURM_CONF"; done
unshare --uts --mount bash -c 'hostname zoohost; mount --bind "$1/hosts" /etc/hosts; exec slurmctld -D -f "$2"' \
    controller "$NODES_FOLDER" "$SLURM_CONF" >"$NODES_FOLDER/controller.log" 2>&1 &
controller=$!
five_idle() { [[ $(sinfo --noheader --format=%D --states=idle 2>/dev/null) == 5 ]]; }
wait_for "five nodes are up" 60 five_idle

make_search "$out"

whole() {
    echo "## from submission to board"
    job=$(submit whole)
    wait_for "job $job runs" 60 is_state "$job" RUNNING
    wait_for "first result" 600 has_results whole 1
    wait_for "job $job ends" 900 has_ended "$job"
    zoo board "$out/whole"
}

drained() {
    echo "## a node is drained while a job runs on it: the job ends there, the next one goes elsewhere"
    job=$(submit drained)
    wait_for "first result" 600 has_results drained 1
    scontrol update nodename=zoo2 state=drain reason="tried"
    wait_for "job $job ends" 900 has_ended "$job"
    zoo board "$out/drained" | head -3
}

requeued() {
    echo "## a job is requeued: it goes on"
    job=$(submit requeued)
    wait_for "first result" 600 has_results requeued 1
    scontrol requeue "$job"
    wait_for "job $job runs again" 300 is_state "$job" RUNNING
    wait_for "job $job ends" 900 has_ended "$job"
    zoo board "$out/requeued" | head -3
}

lost() {
    echo "## a node loses its power: Slurm requeues the job"
    job=$(submit lost)
    wait_for "first result" 600 has_results lost 1
    node_cut zoo3
    wait_for "job $job ends" 900 has_ended "$job"
    zoo board "$out/lost" | head -3
}

cancelled() {
    echo "## scancel, then the same command again"
    job=$(submit cancelled)
    wait_for "first result" 600 has_results cancelled 1
    scancel "$job"
    wait_for "job $job is gone" 180 has_ended "$job"
    job=$(submit cancelled)
    wait_for "job $job ends" 900 has_ended "$job"
    zoo board "$out/cancelled" | head -3
}

shift
for part in "${@:-whole drained requeued lost cancelled}"; do
    for name in $part; do "$name"; done
done
