#!/usr/bin/env bash
# A Slurm of one node for the tests of job arrays, made of Debian's packages (slurm-wlm, munge). Needs root.
# Usage: one_node_slurm.sh start FOLDER   start it, with all of its files in FOLDER, and wait until it takes jobs
#        one_node_slurm.sh stop FOLDER    end it
# Commands find it by the environment: SLURM_CONF=FOLDER/slurm.conf
set -euo pipefail

command=${1:?start or stop} folder=$(realpath -m "${2:?a folder}")
export SLURM_CONF=$folder/slurm.conf

stop() {
    local daemon
    for daemon in slurmd slurmctld munged; do
        if [[ -f $folder/$daemon.pid ]]; then
            pkill --pidfile "$folder/$daemon.pid" || true
        fi
    done
}

start() {
    local host cores
    host=$(hostname -s)
    cores=$(nproc)
    mkdir -p "$folder/controller" "$folder/node"
    chmod 755 "$folder"
    if [[ ! -f $folder/munge.key ]]; then
        (umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
    fi
    cat >"$SLURM_CONF" <<EOF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/controller
SlurmdSpoolDir=$folder/node
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores Sockets=1 CoresPerSocket=$cores State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
    printf 'CgroupPlugin=cgroup/v1\nConstrainCores=no\nConstrainRAMSpace=no\n' >"$folder/cgroup.conf"
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
    slurmctld
    slurmd
    for _ in $(seq 60); do
        scontrol update nodename="$host" state=resume 2>/dev/null || true
        if [[ $(sinfo --noheader --format %t 2>/dev/null) == idle ]]; then
            return
        fi
        sleep 1
    done
    echo "Slurm's node did not become idle; see $folder/slurmctld.log and $folder/slurmd.log" >&2
    stop
    return 1
}

case $command in
start | stop) "$command" ;;
*) echo "unknown command: $command (start or stop)" >&2 && exit 2 ;;
esac
