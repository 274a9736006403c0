#!/bin/bash
# Slurm: sbatch configs/cluster/slurm.sh search.json studies/mine   (the same command again, and a requeued job, go on)
#SBATCH --job-name=zoo
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --requeue
set -euo pipefail

config=$1 study=$2
shift 2
export RAY_AUTH_MODE=token # ~/.ray/auth_token, the same on every node
export RAY_health_check_period_ms=1000 RAY_health_check_timeout_ms=2000 RAY_health_check_failure_threshold=3

# This script runs on the first node, which is Ray's head. Address, port and folder are this job's own: another job, or
# another user, may have a cluster on the same node.
head=$(python -c "import ray; print(ray.util.get_node_ip_address())"):$((20000 + SLURM_JOB_ID % 10000))
export ray_folder=/tmp/zoo-$SLURM_JOB_ID head

# What Ray has started outlives it, and keeps a cancelled job in the queue while it holds the job's output: each node
# ends its own, also after scancel.
end_ray() {
    local mine="$ray_folder/|address=$head" # not the search itself, whose address follows a space
    pkill -f "$mine"
    for _ in {1..10}; do pgrep -f "$mine" >/dev/null || break; sleep 1; done
    pkill -KILL -f "$mine"
    rm -rf "$ray_folder"
}
export -f end_ray
trap 'set +e; end_ray' EXIT
ray start --head --node-ip-address="${head%:*}" --port="${head#*:}" --temp-dir="$ray_folder" \
    --num-cpus="$SLURM_CPUS_PER_TASK" --disable-usage-stats

# The search begins at once; the other nodes join when they are up, and leave with the job.
others=$((SLURM_JOB_NUM_NODES - 1))
if ((others)); then
    # shellcheck disable=SC2016
    srun --nodes=$others --ntasks=$others --exclude="$SLURMD_NODENAME" bash -c '
        trap end_ray EXIT
        until ray start --address="$head" --num-cpus="$SLURM_CPUS_PER_TASK" --disable-usage-stats --block; do sleep 5; done' &
fi

resume=()
if [[ -e $study/study.json ]]; then resume=(--resume); fi
zoo search "$config" --out "$study" --address "$head" "${resume[@]}" "$@"
