"""Long options of sbatch, by which a misspelt one is known."""

from __future__ import annotations

from typing import Final

# The manual of sbatch in Slurm 22.05, and those that releases to 25.05 have beside them.
_SLURM: Final = """
    account acctg-freq array batch bb bbf begin chdir cluster-constraint clusters comment consolidate-segments
    constraint container container-id contiguous core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task
    deadline delay-boot dependency distribution error exclude exclusive export export-file extra extra-node-info
    get-user-env gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket gpus-per-task gres gres-flags hint hold
    ignore-pbs input job-name kill-on-invalid-dep licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu
    mem-per-gpu mincpus network nice no-kill no-requeue nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-
    gpu ntasks-per-node ntasks-per-socket oom-kill-step open-mode output overcommit oversubscribe parsable partition
    power prefer priority profile propagate qos quiet reboot requeue reservation resv-ports segment signal sockets-
    per-node spread-job spread-segments stepmgr switches test-only thread-spec threads-per-core time time-min tmp
    tres-bind tres-per-task uid use-min-nodes verbose wait wait-all-nodes wckey wrap
"""
# Of Pyxis, NVIDIA's plugin for containers, which many clusters have (its README).
_PYXIS: Final = """
    container-entrypoint container-env container-image container-mount-home container-mounts container-name
    container-readonly container-remap-root container-save container-workdir container-writable no-container-
    entrypoint no-container-mount-home no-container-remap-root
"""
OPTIONS: Final = frozenset((_SLURM + _PYXIS).split())
