"""The sections of a run. Each leaves one value a round for every gateway in `run.results[metric][gateway]`."""

import collections
import contextlib
import json
import subprocess
import threading
import time

from gateways import PROGRAMS
from processes import DEADLINE

SECONDS = 2
MEGABYTES = 100
OPEN_ROUNDS = 2


class Run:
    """What is compared, and what came of it."""

    def __init__(self, mock, makers, auroras, gateways, rounds, files):
        self.mock, self.makers, self.auroras, self.gateways, self.rounds = mock, makers, auroras, gateways, rounds
        # A gateway has two descriptors for each open stream.
        self.most_streams = min(10_000, (files - 1000) // 2)
        self.results = collections.defaultdict(lambda: collections.defaultdict(list))
        self.answers = self.streams = self.chunks = 0

    def interleaved(self, names, rounds=None):
        """A..Z, Z..A, and so on."""
        for number in range(rounds or self.rounds):
            yield from names if number % 2 == 0 else reversed(names)

    def keep(self, metric, gateway, value):
        self.results[metric][gateway].append(value)


def load(gateway, mode, **options):
    """Runs the load to its end; whatever is wrong with any answer ends the run."""
    command = load_command(gateway, mode, options)
    finished = subprocess.run(command, capture_output=True, text=True, timeout=options.get("seconds", 0) + 90)
    if finished.returncode != 0:
        raise SystemExit(f"{gateway.name}: {mode} failed: {finished.stderr[-2000:]}")
    counts = json.loads(finished.stdout)
    if counts["failed"]:
        raise SystemExit(f"{gateway.name}: {mode}: {counts['failed']} failed, the first: {counts['failure']}")
    return counts


def load_command(gateway, mode, options):
    arguments = [f"{name}={value}" for name, value in options.items()]
    return [PROGRAMS / "load", f"mode={mode}", f"address=127.0.0.1:{gateway.port}", *arguments]


def window(run, gateway, mode, **options):
    """One window of load, and the CPU seconds that the gateway used for it."""
    before = gateway.cpu_seconds()
    counts = load(gateway, mode, **options)
    run.answers += counts["done"]
    run.chunks += counts["chunks"]
    run.streams += counts["done"] if mode == "streams" else 0
    return counts, gateway.cpu_seconds() - before


def chat(run):
    for name in run.gateways:
        load(run.gateways[name], "chat", connections=32, seconds=1)
    for name in run.interleaved(list(run.gateways)):
        counts, cpu = window(run, run.gateways[name], "chat", connections=32, seconds=SECONDS)
        run.keep("chat_cpu", name, cpu / counts["done"] * 1e6)
        run.keep("chat_rate", name, counts["done"] / counts["seconds"])
        run.keep("chat_busy", name, cpu / counts["seconds"] * 100)


def chat256(run):
    for name in run.interleaved(list(run.gateways)):
        counts, _ = window(run, run.gateways[name], "chat", connections=256, seconds=SECONDS)
        run.keep("chat256_rate", name, counts["done"] / counts["seconds"])
        run.keep("loaded_memory", name, run.gateways[name].memory_kib() / 1024)


def latency(run):
    """The load asks the mock itself in each round too: what is left is what a gateway adds."""
    everybody = {"direct": run.mock, **run.gateways}
    p50 = collections.defaultdict(list)
    for name in run.interleaved(list(everybody)):
        counts, cpu = window(run, everybody[name], "rate", rate=300, seconds=SECONDS)
        p50[name].append(counts["p50_us"])
        run.keep("latency_cpu", name, cpu / counts["done"] * 1e6)
    for name in run.gateways:
        for through, direct in zip(p50[name], p50["direct"]):
            run.keep("added_p50", name, through - direct)


def paced(run):
    events = SECONDS * 1000 // 30
    for name in run.interleaved(list(run.gateways)):
        counts, cpu = window(run, run.gateways[name], "streams", streams=200, count=events, pace=30, seconds=1)
        run.keep("paced_cpu", name, cpu / counts["chunks"] * 1e6)


def full(run):
    full_speed(run, "full", "flushed")


def joined(run):
    full_speed(run, "joined", "joined")


def full_speed(run, metric, pace):
    for name in run.interleaved(list(run.gateways)):
        counts, cpu = window(run, run.gateways[name], "streams", streams=16, count=1000, pace=pace, seconds=SECONDS)
        run.keep(f"{metric}_cpu", name, cpu / counts["chunks"] * 1e6)
        run.keep(f"{metric}_rate", name, counts["chunks"] / counts["seconds"])


def open_streams(run):
    for metric, streams in (("open_1000", 1000), ("open_most", run.most_streams)):
        for name in run.interleaved(list(run.makers), OPEN_ROUNDS):
            with run.makers[name]() as gateway:
                gateway.wait_until_it_answers()
                before = gateway.memory_kib()
                with held(gateway, streams):
                    run.keep(metric, name, (gateway.memory_kib() - before) / streams)


@contextlib.contextmanager
def held(gateway, streams):
    """Streams that are open meanwhile."""
    command = load_command(gateway, "hold", {"streams": streams})
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        killer = threading.Timer(60, process.kill)
        killer.start()
        try:
            if process.stdout.readline() != b"held\n":
                raise SystemExit(f"{gateway.name} does not hold {streams} streams")
            yield
            process.communicate(timeout=DEADLINE)
        finally:
            killer.cancel()
            process.kill()


def transfer(run):
    """On fresh instances: memory that a heap got earlier would hide what grows."""
    for name in run.interleaved(list(run.makers)):
        for direction in ("upload", "download"):
            with run.makers[name]() as gateway:
                gateway.wait_until_it_answers()
                gateway.forget_peak()
                before = gateway.memory_kib()
                counts = load(gateway, direction, bytes=MEGABYTES * 1_000_000)
                run.keep(direction, name, MEGABYTES / counts["seconds"])
                run.keep(f"{direction}_growth", name, (gateway.memory_kib("VmHWM") - before) / 1024)


def start(run):
    for name in run.interleaved(list(run.makers)):
        began = time.perf_counter()
        with run.makers[name]() as gateway:
            gateway.wait_until_it_answers()
            run.keep("start", name, (time.perf_counter() - began) * 1000)
            time.sleep(1)
            run.keep("idle_memory", name, gateway.memory_kib() / 1024)
    for name, make in run.auroras.items():
        run.keep("binary", name, make().command[0].stat().st_size / 1_000_000)


def with_filter(run):
    """CPU a request with one loaded filter that does nothing, as a ratio to the same binary without."""
    for name, make in run.auroras.items():
        with make(with_filter=True) as filtered:
            pair = {"with": filtered, "without": run.gateways[name]}
            filtered.wait_until_it_answers()
            load(filtered, "chat", connections=32, seconds=1)
            cpu = collections.defaultdict(list)
            for which in run.interleaved(list(pair)):
                counts, seconds = window(run, pair[which], "chat", connections=32, seconds=SECONDS)
                cpu[which].append(seconds / counts["done"])
            for loaded, bare in zip(cpu["with"], cpu["without"]):
                run.keep("filter", name, loaded / bare)


def changes(run):
    """p99 while the config or a library changes, as a ratio to the window beside it in which nothing does."""
    for name, make in run.auroras.items():
        with make(with_filter=True) as gateway:
            gateway.wait_until_it_answers()
            load(gateway, "rate", rate=500, seconds=1)
            for metric, change, every, seconds in (("p99_reload", gateway.reload, 1, 6), ("p99_swap", gateway.swap, 10, 10)):
                p99 = {"still": [], "changing": []}
                for which in run.interleaved(list(p99), run.rounds if seconds < 10 else 2):
                    generation = gateway.generation()
                    with repeated(change, every) if which == "changing" else contextlib.nullcontext():
                        counts, _ = window(run, gateway, "rate", rate=500, seconds=seconds)
                    if (gateway.generation() > generation) != (which == "changing"):
                        raise SystemExit(f"{name}: {metric}: generation {generation}, then {gateway.generation()}")
                    p99[which].append(counts["p99_us"])
                for changing, still in zip(p99["changing"], p99["still"]):
                    run.keep(metric, name, changing / still)


@contextlib.contextmanager
def repeated(change, every):
    """Calls `change` half a second after the beginning, and `every` seconds from then on."""
    ended = threading.Event()

    def repeat():
        wait = 0.5
        while not ended.wait(wait):
            change()
            wait = every

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    yield
    ended.set()
    thread.join(DEADLINE)


SECTIONS = {
    "start": start,
    "chat": chat,
    "chat256": chat256,
    "latency": latency,
    "paced": paced,
    "full": full,
    "joined": joined,
    "open": open_streams,
    "transfer": transfer,
    "filter": with_filter,
    "changes": changes,
}
