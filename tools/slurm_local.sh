#!/usr/bin/env bash
# A private Slurm on the loopback alone: for tests, and to try `--executor slurm` out. Needs to be root, and
#   apt-get install -y --no-install-recommends slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge
# usage: slurm_local.sh start FOLDER    then: export SLURM_CONF=FOLDER/slurm.conf
#        slurm_local.sh stop FOLDER
# No systemd, no cgroups, no database. SLURM_LOCAL_NODES (1; named node1, node2 ...), SLURM_LOCAL_CPUS of each (more than the machine has,
# if you like), SLURM_LOCAL_PORT (a port more than nodes from there), SLURM_LOCAL_EXTRA (lines of slurm.conf that win over those here).
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,8s/^# \?//p' "$0" >&2; exit 2; }
folder=$(realpath -m "$2")
port=${SLURM_LOCAL_PORT:-$((20000 + $$ % 20000))}
cpus=${SLURM_LOCAL_CPUS:-$(nproc)}
nodes=${SLURM_LOCAL_NODES:-1}
host=$(hostname -s)

write_conf() {
  cat >"$folder/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
# Without both of these slurmctld listens on all interfaces.
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
SlurmctldPort=$port
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/%n.pid
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/%n.log
PartitionName=local Nodes=ALL Default=YES MaxTime=INFINITE State=UP
${SLURM_LOCAL_EXTRA:-}
CONF
  for at in $(seq "$nodes"); do
    echo "NodeName=node$at NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + at)) CPUs=$cpus RealMemory=16384 State=UNKNOWN" >>"$folder/slurm.conf"
  done
}

start() {
  for program in munged slurmctld slurmd sbatch squeue; do
    command -v "$program" >/dev/null || { echo "no program $program: see the head of $0 for the packages" >&2; exit 6; }
  done
  [ "$(id -u)" = 0 ] || { echo "a private Slurm without cgroups needs root" >&2; exit 6; }
  mkdir -p "$folder"/{spool,state,run,log}
  chmod 755 "$folder" "$folder/run" "$folder/log"
  head -c 1024 /dev/urandom >"$folder/munge.key"
  chmod 400 "$folder/munge.key"
  write_conf
  munged --force --key-file="$folder/munge.key" --socket="$folder/run/munge.socket" --pid-file="$folder/run/munged.pid" \
    --log-file="$folder/log/munged.log" --seed-file="$folder/munge.seed" 2>/dev/null
  export SLURM_CONF=$folder/slurm.conf
  slurmctld
  # A slurmd that starts before its controller answers hangs.
  for _ in $(seq 100); do scontrol ping 2>/dev/null | grep -q UP && break; sleep 0.1; done
  for at in $(seq "$nodes"); do slurmd -N "node$at"; done
  for _ in $(seq 100); do [ "$(sinfo -h -N -o %N -t idle 2>/dev/null | sort -u | wc -l)" = "$nodes" ] && return; sleep 0.1; done
  echo "Slurm did not come up; its logs are in $folder/log" >&2
  stop
  exit 1
}

stop() {
  # Jobs outlive their slurmd.
  SLURM_CONF=$folder/slurm.conf timeout 5 scancel --quiet --signal=KILL --full --user=root 2>/dev/null || true
  for file in "$folder"/run/node*.pid "$folder"/run/{slurmctld,munged}.pid; do
    pid=$(cat "$file" 2>/dev/null) || continue
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  done
}

case $1 in
start | stop) "$1" ;;
*) echo "expected start or stop, got $1" >&2; exit 2 ;;
esac
