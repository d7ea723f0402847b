"""The processes of a run: where they run, what they use, and that they end."""

import contextlib
import http.client
import os
import pathlib
import resource
import socket
import subprocess
import time

CPUS = sorted(os.sched_getaffinity(0))
GATEWAY_CPU, LOAD_CPU = CPUS[0], CPUS[-1]
CLIENT_KEY = "sk-bench-client"
DEADLINE = 20  # seconds, for whatever should be there at once


def prepare():
    """Pins this process, and what it starts, beside the gateways; raises the limit of open files."""
    os.sched_setaffinity(0, {LOAD_CPU})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A server on 127.0.0.1 that is started and ended, with its children."""

    def __init__(self, name, port, command, folder, cpu):
        self.name, self.port, self.command, self.folder, self.cpu = name, port, command, folder, cpu
        # Beside the folder, not in it: Aurora watches the folder of its config, and is woken by whatever is written there.
        self.log = folder.with_suffix(".log")
        self.process = None

    def __enter__(self):
        # The historic variables of a developer's machine would change Aurora's config.
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        with open(self.log, "ab") as log, pinned(self.cpu):
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in reversed(self.pids()):
                os.kill(pid, 9)
            self.process.wait(5)

    def pids(self):
        pids = [self.process.pid]
        for pid in pids:
            with contextlib.suppress(FileNotFoundError):
                pids += map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return pids

    def cpu_seconds(self):
        """User and system time so far, by the kernel's accounting in nanoseconds: the CPU clock of each process."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids())

    def memory_kib(self, line="VmRSS"):
        texts = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return sum(int(text.split(f"{line}:")[1].split()[0]) for text in texts)

    def forget_peak(self):
        """From here on, `memory_kib("VmHWM")` is the peak."""
        for pid in self.pids():
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")

    def wait_until_it_answers(self):
        """Asks a chat question until the answer is 200; gives the seconds since the call."""
        began = time.perf_counter()
        while True:
            with contextlib.suppress(ConnectionError):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                headers = {"authorization": f"Bearer {CLIENT_KEY}", "content-type": "application/json"}
                connection.request("POST", "/v1/chat/completions", '{"model":"bench","messages":[]}', headers)
                if connection.getresponse().status == 200:
                    return time.perf_counter() - began
            if self.process.poll() is not None or time.perf_counter() - began > DEADLINE:
                log = self.log.read_text(errors="replace")
                raise SystemExit(f"{self.name} does not answer:\n{log[-4000:]}")
            time.sleep(0.0005)


@contextlib.contextmanager
def pinned(cpu):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def foreign_share(ours):
    """Starts counting; the function that it gives tells what share of all CPUs others used since, and were given by the host."""

    def sample():
        ticks = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = sum(process.cpu_seconds() for process in ours) + time.process_time() + children.ru_utime + children.ru_stime
        busy = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / os.sysconf("SC_CLK_TCK")
        return busy - own, ticks[7] / os.sysconf("SC_CLK_TCK"), time.perf_counter() * os.cpu_count()

    before = sample()

    def share():
        used, stolen, capacity = (after - then for after, then in zip(sample(), before))
        return max(used, 0) / capacity, stolen / capacity

    return share
