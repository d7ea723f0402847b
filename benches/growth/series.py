"""What is measured: each function returns a list of curves."""

import contextlib
import http.client
import math
import pathlib
import subprocess
import time

from curves import Curve
from gateway import COUNTS, ROOT, Gateway, Wire, post, wait_for
from streams import Streams
from uploads import Sink, upload

MOCK = '[upstreams.mock]\nprotocol = "mock"\n'
ROUTE = '[[routes]]\npath = "{}"\nplugin = "chat"\nupstream = "{}"\n'
ASKED = b'{"model": "some-model", "messages": [{"role": "user", "content": "hello"}]}'
POWERS = [10, 100, 1_000, 10_000, 100_000]
# A few pages more or less are no growth.
NOISE_KIB = 1024.0


def cpu(gateway):
    """Processor time of each thread, in nanoseconds."""
    threads = {}
    for task in pathlib.Path(f"/proc/{gateway.process.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            threads[task.name] = int((task / "schedstat").read_text().split()[0])
    return threads


def seconds_since(before, gateway):
    """Processor time since `before`. Threads that have ended meanwhile, as idle ones do, are left out."""
    return sum(used - before.get(thread, 0) for thread, used in cpu(gateway).items()) / 1e9


def rest(gateway):
    """Waits until it has nothing to do, as after a look at files that have changed."""

    def is_idle():
        before = cpu(gateway)
        time.sleep(0.5)
        return seconds_since(before, gateway) < 0.005

    wait_for("an idle gateway", is_idle)


def library(case, sizes, times, rounds=7):
    """Nanoseconds of the `counts` binary at each size, the best of several rounds through all sizes."""
    best = {}
    for _ in range(rounds):
        for size, turns in zip(sizes, times):
            command = [COUNTS, case, str(size), str(turns)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
            best[size] = min(best.get(size, math.inf), float(done.stdout.split()[1]))
    return list(best.items())


def micro(points):
    return [(size, nanoseconds / 1e3) for size, nanoseconds in points]


def milli(points):
    return [(size, nanoseconds / 1e6) for size, nanoseconds in points]


def cpu_a_request(gateways, path_of, rounds=24, times=150):
    """Microseconds of processor time at each size: the best of several rounds around all gateways."""
    best = {}
    with contextlib.ExitStack() as stack:
        clients = {size: stack.enter_context(contextlib.closing(Wire.to(it.port))) for size, it in gateways.items()}
        for turn in range(rounds + 1):
            for size, gateway in gateways.items():
                asked = post(path_of(size), ASKED)
                before = cpu(gateway)
                for _ in range(times):
                    clients[size].send(asked)
                    head, _ = clients[size].message()
                    if b" 200 " not in head.split(b"\r\n")[0]:
                        raise SystemExit(f"{path_of(size)}: {head.decode()}")
                used = seconds_since(before, gateway) / times * 1e6
                # The first round warms up.
                best[size] = min(best.get(size, math.inf), used) if turn else math.inf
    return list(best.items())


def reload_seconds(gateways, config_of, rounds=3):
    """From the wish to the published snapshot at each size; the best of several rounds around all gateways."""
    best = {}
    for turn in range(rounds):
        for size, gateway in gateways.items():
            gateway.write_config(f'[server]\ndrain = "{31 + turn}s"\n{config_of(size)}')
            began = time.perf_counter()
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=60)) as admin:
                admin.request("POST", "/reload")
                answer = admin.getresponse().read().decode()
            best[size] = min(best.get(size, math.inf), time.perf_counter() - began)
            if "published" not in answer:
                raise SystemExit(f"the reload was not published: {answer}")
            rest(gateway)
    return list(best.items())


def memory_over_first(gateways):
    """KiB at rest over those of the first one, which is taken out."""
    for gateway in gateways.values():
        rest(gateway)
    kib = {size: gateway.memory_kib() for size, gateway in gateways.items()}
    first = next(iter(gateways))
    gateways.pop(first)
    return [(size, kib[size] - kib[first]) for size in gateways]


def routes():
    """Through the whole gateway and, for the lookup alone, in a process without one."""
    lookup = library("route", POWERS, [100_000] * 5, rounds=15)
    config = library("config", POWERS, [50, 20, 5, 2, 1], rounds=7)

    def config_of(size):
        return MOCK + "".join(ROUTE.format(f"/teams/{n}/v1/chat/completions", "mock") for n in range(size))

    with contextlib.ExitStack() as stack:
        gateways = {size: stack.enter_context(Gateway(config_of(size))) for size in [1, *POWERS]}
        memory = memory_over_first(gateways)
        request = cpu_a_request(gateways, lambda size: f"/teams/{size // 2}/v1/chat/completions")
        reload = reload_seconds(gateways, config_of)
    return [
        Curve("Lookup of a route", "routes", "µs", "flat", micro(lookup)),
        Curve("Processor time of a request", "routes", "µs", "flat", request),
        Curve("Config of routes, read", "routes", "ms", "linear", milli(config)),
        Curve("Reload of routes", "routes", "ms", "linear", [(size, seconds * 1e3) for size, seconds in reload]),
        Curve("Memory of routes", "routes", "KiB", "linear", memory, NOISE_KIB),
    ]


def tokens():
    lease = library("lease", POWERS, [100_000] * 5, rounds=15)
    busy = library("lease-least-busy", POWERS, [20_000, 5_000, 500, 50, 10])
    resting = library("lease-all-rest", POWERS, [20_000, 5_000, 500, 50, 10])
    config = '[tokens.pool]\nfile = "tokens.txt"\n[upstreams.server]\nprotocol = "openai"\nbase_url = "{}"\n'
    config += 'tokens = "pool"\n' + ROUTE.format("/v1/chat/completions", "server")
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(contextlib.closing(Sink()))
        gateways = {}
        for size in [1, *POWERS]:
            file = "".join(f"sk-token-number-{n:08}-of-a-pool\n" for n in range(size)).encode()
            gateway = Gateway(config.format(sink.url), {"tokens.txt": file})
            gateways[size] = stack.enter_context(gateway)
        memory = memory_over_first(gateways)
        request = cpu_a_request(gateways, lambda _: "/v1/chat/completions")
    return [
        Curve("Lease, round robin", "tokens", "µs", "flat", micro(lease)),
        Curve("Lease, least busy", "tokens", "µs", "flat", micro(busy)),
        Curve("Refusal while all rest", "tokens", "µs", "linear", micro(resting)),
        Curve("Processor time of a request", "tokens", "µs", "flat", request),
        Curve("Memory of tokens", "tokens", "KiB", "linear", memory, NOISE_KIB),
    ]


def streams():
    config = '[upstreams.server]\nprotocol = "openai"\nbase_url = "{}"\nmax_concurrency = 5000\n'
    config += ROUTE.format("/v1/chat/completions", "server")
    memory, busy = [], []
    with contextlib.closing(Streams()) as peers, Gateway(config.format(peers.url)) as gateway:
        peers.open(gateway.port, 20)
        peers.shut()
        rest(gateway)
        base = gateway.memory_kib()
        for count in [125, 250, 500, 1_000, 2_000]:
            peers.open(gateway.port, count - peers.count())
            rest(gateway)
            memory.append((count, gateway.memory_kib() - base))
            before = cpu(gateway)
            events = sum(peers.event() for _ in range(8))
            busy.append((count, seconds_since(before, gateway) / events * 1e6))
        gateway.stop()
    return [
        Curve("Memory of open streams", "streams", "KiB", "linear", memory, NOISE_KIB),
        Curve("Processor time of an event", "streams", "µs", "flat", busy),
    ]


def plugins():
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path"]
    folder = ROOT / "target/plugins"
    subprocess.run([*command, "tests/plugins/fixture/Cargo.toml", "--target-dir", folder], cwd=ROOT, check=True)
    library = (folder / "release/libfixture.so").read_bytes()
    starts, gateways = {}, {}
    with contextlib.ExitStack() as stack:
        for size in [0, 1, 2, 4, 8, 16, 32]:
            files, text = {}, MOCK + ROUTE.format("/v1/chat/completions", "mock")
            for n in range(size):
                files[f"plugins/f{n}.so"] = library.replace(b"version-0000001", b"version-%07d" % (n + 2))
                text += f'[plugins.f{n}]\nfile = "f{n}.so"\n[[routes]]\npath = "/f{n}/{{*mode}}"\n'
                text += f'methods = ["GET", "POST"]\nplugin = "f{n}"\n'
            for _ in range(2):
                with Gateway(text, files) as gateway:
                    starts[size] = min(starts.get(size, math.inf), gateway.ready_ms())
            gateways[size] = stack.enter_context(Gateway(text, files))
            starts[size] = min(starts[size], gateways[size].ready_ms())
        memory = memory_over_first(gateways)
        request = cpu_a_request(gateways, lambda size: f"/f{size - 1}/echo")
    start = [(size, starts[size] - starts[0]) for size in gateways]
    return [
        Curve("Start with plugins", "plugins", "ms more", "linear", start),
        Curve("Memory of plugins", "plugins", "KiB", "linear", memory, NOISE_KIB),
        Curve("Processor time of a request", "plugins", "µs", "flat", request),
    ]


def bodies():
    sizes = [1 << power for power in range(10, 27, 2)]
    config = '[server]\nmax_body = "128MiB"\n[upstreams.server]\nprotocol = "openai"\nbase_url = "{}"\n'
    config += ROUTE.format("/v1/chat/completions", "server")
    config += '[[routes]]\npath = "/v1/{{*rest}}"\nplugin = "passthrough"\nupstream = "server"\n'
    out = []
    for path, name, shape in (("/v1/things", "a streamed body", "flat"), ("/v1/chat/completions", "a JSON body", "linear")):
        took, memory = [], []
        for size in sizes:
            with contextlib.closing(Sink()) as sink, Gateway(config.format(sink.url)) as gateway:
                upload(gateway.port, path, 1 << 10)
                before = gateway.memory_kib("VmHWM")
                took.append((size, min(upload(gateway.port, path, size) for _ in range(9)) * 1e3))
                memory.append((size, gateway.memory_kib("VmHWM") - before))
                gateway.stop()
        out.append(Curve(f"Time of {name}", "bytes", "ms", "linear", took))
        out.append(Curve(f"Memory of {name}", "bytes", "KiB", shape, memory, NOISE_KIB))
    return out


def answers():
    sizes, times = [1, 2, 4, 8, 16], [8, 4, 2, 1, 1]
    found = []
    for case, name in (("snapshots", "Answer in snapshots"), ("deltas", "Answer in deltas")):
        points = library(case, sizes, times)
        found.append(Curve(name, "MiB", "ms", "linear", milli(points)))
    return found


ALL = {
    "routes": routes,
    "tokens": tokens,
    "streams": streams,
    "plugins": plugins,
    "bodies": bodies,
    "answers": answers,
}
