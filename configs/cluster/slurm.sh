#!/bin/bash
# Slurm: sbatch configs/cluster/slurm.sh search.json studies/mine   (add --resume after the study to go on)
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
read -r head < <(scontrol show hostnames "$SLURM_JOB_NODELIST") # no pipe: head would break it, and pipefail the job
resume=()
if [[ -e $study/study.json ]]; then resume=(--resume); fi # a requeued job goes on

srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" \
    ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_JOB_NUM_NODES" --num-cpus "$SLURM_CPUS_PER_TASK" \
    -- zoo search "$config" --out "$study" --address auto "${resume[@]}" "$@"
