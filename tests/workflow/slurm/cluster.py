"""A real Slurm of one node on loopback, for tests: munged, slurmctld and slurmd, each a child of the test process.

Everything lies in one folder and is stopped by process id. The one trace outside is the link /etc/slurm/slurm.conf: the
srun inside a job looks there and nowhere else, because the executor plugin takes SLURM_CONF out of its environment.
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

CONFIG_LINK = Path("/etc/slurm/slurm.conf")
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
# Debian puts daemons where only root's path looks.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
_CONFIG = """\
ClusterName=bnn
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
KillWait=20
SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=0
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=debug Nodes={node} Default=YES MaxTime=INFINITE State=UP
"""


def reason_to_skip() -> str | None:
    """Say why a cluster cannot be started here; None if it can."""
    missing = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if missing:
        return f"needs Slurm and munge (Debian: slurm-wlm, munge); missing: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "starting Slurm's daemons needs root"
    if CONFIG_LINK.exists() and not _is_left_over():
        return f"this machine has a Slurm of its own ({CONFIG_LINK})"
    return None


def _is_left_over() -> bool:
    """Return whether the link is one of a test that was killed: its folder is gone, or its daemon dead."""
    if not CONFIG_LINK.is_symlink():
        return False
    folder = CONFIG_LINK.readlink().parent
    try:
        number = int((folder / "slurmctld.pid").read_text())
        is_ours = (folder / "slurm.conf").read_text(encoding="utf-8").startswith("ClusterName=bnn\n")
    except (OSError, ValueError):
        return not CONFIG_LINK.exists()
    return is_ours and not Path(f"/proc/{number}").exists()


class Cluster:
    """One node with as many CPUs as told; a context manager."""

    def __init__(self, folder: Path, *, cpus: int = 2, memory_mb: int = 8000) -> None:
        self.folder = folder
        self.node = socket.gethostname().partition(".")[0]
        self._cpus, self._memory_mb = cpus, memory_mb
        self._daemons: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
        self.environment = {**os.environ, "PATH": _PATH, "SLURM_CONF": str(folder / "slurm.conf")}

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, *command: str) -> str:
        """Run one of Slurm's commands and return what it prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    def jobs(self, *, state: str = "all") -> list[tuple[str, str, str]]:
        """Return (id, state, comment) of each job; the plugin says in the comment what the job is."""
        lines = self.run(
            "squeue", "--noheader", f"--states={state}", "--Format=JobID:|,State:|,Comment:|"
        ).splitlines()
        rows = (tuple(field.strip() for field in line.split("|")[:3]) for line in lines)
        return [(number, status, comment) for number, status, comment in rows]

    def stop(self) -> None:
        """End the daemons that were started here, last one first, and take the link away."""
        for daemon, log in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait(timeout=20)
            log.close()
        self._daemons.clear()
        if CONFIG_LINK.is_symlink() and CONFIG_LINK.readlink() == self.folder / "slurm.conf":
            CONFIG_LINK.unlink()

    def _start(self) -> None:
        # munged refuses a socket below a folder that others may write to, and a key that others may read.
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        controller_port, node_port = _free_ports(2)
        config = self.folder / "slurm.conf"
        text = _CONFIG.format(
            node=self.node,
            folder=self.folder,
            cpus=self._cpus,
            memory_mb=self._memory_mb,
            controller_port=controller_port,
            node_port=node_port,
        )
        config.write_text(text, encoding="utf-8")
        CONFIG_LINK.parent.mkdir(exist_ok=True)
        if _is_left_over():
            CONFIG_LINK.unlink()
        CONFIG_LINK.symlink_to(config)
        # --force: the folder of a test lies below /tmp, which others may write to.
        names = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        files = [f"--{option}={self.folder}/munge.{ending}" for option, ending in names.items()]
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}", *files)
        self._wait_for("munged", (self.folder / "munge.socket").exists)
        self._daemon("slurmctld", "-D", "-f", str(config))
        self._daemon("slurmd", "-D", "-f", str(config), "-N", self.node)
        self._wait_for("the node", self._is_idle)

    def _daemon(self, name: str, *options: str) -> None:
        program = shutil.which(name, path=_PATH)
        assert program is not None
        log = (self.folder / f"{name}.out").open("wb")
        daemon = subprocess.Popen(
            [program, *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment
        )
        self._daemons.append((daemon, log))

    def _is_idle(self) -> bool:
        try:
            return self.run("sinfo", "--noheader", "--Format=StateLong").strip() == "idle"
        except subprocess.SubprocessError:
            return False

    def _wait_for(self, what: str, ready: Callable[[], bool], *, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not ready():
            dead = [daemon.args for daemon, _ in self._daemons if daemon.poll() is not None]
            if dead or time.monotonic() > end:
                logs = [
                    f"{path.name}:\n{path.read_text(errors='replace')[-2000:]}"
                    for path in sorted(self.folder.glob("*.log")) + sorted(self.folder.glob("*.out"))
                ]
                fault = f"{dead} ended" if dead else f"not ready after {seconds:.0f} s"
                raise RuntimeError("\n".join([f"{what}: {fault}", *logs]))
            time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports
