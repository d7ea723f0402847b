"""A gateway in a folder of its own, and the two sides that talk to it. Shared by benches/counts and benches/growth."""

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / "target/release/aurora"
COUNTS = ROOT / "target/counts/release/counts"

# Whatever is waited for: callgrind makes everything fifty times slower.
DEADLINE = 60.0


def build():
    """Both binaries as the sources are now."""
    for manifest, target in (("Cargo.toml", "target"), ("benches/counts/Cargo.toml", "target/counts")):
        arguments = ["--manifest-path", manifest, "--target-dir", target]
        subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", *arguments], cwd=ROOT, check=True)


class Gateway:
    """`aurora serve` with one worker thread, under `wrapper` where that is given. A context manager."""

    def __init__(self, config, files=None, wrapper=(), binary=BINARY):
        self.config = config
        self.files = files or {}
        self.wrapper = list(wrapper)
        self.binary = binary

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for name, content in self.files.items():
                path = self.folder / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            self.write_config(self.config)
            self.log = self.folder / "log"
            arguments = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
            with (self.folder / "out").open("wb") as out, self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    [*self.wrapper, str(self.binary), *arguments],
                    cwd=self.folder,
                    env={"PATH": os.environ["PATH"], "TOKIO_WORKER_THREADS": "1"},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=log,
                )
            stack.callback(self.kill)
            wait_for("the start", lambda: "\nready in " in self.output())
            self.port = self.port_after("listening on http://")
            self.admin_port = self.port_after("admin    http://")
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def write_config(self, text):
        """Replaces the config as editors do."""
        new = self.folder / "aurora.toml.new"
        new.write_text(text)
        new.replace(self.folder / "aurora.toml")

    def output(self):
        if self.process.poll() is not None:
            raise SystemExit(f"the gateway ended:\n{self.log.read_text()[-2000:]}")
        return (self.folder / "out").read_text()

    def port_after(self, words):
        address = self.output().split(words)[1].split()[0]
        return int(address.rsplit(":", 1)[1])

    def ready_ms(self):
        """How long the start took, by its own word."""
        return float(self.output().split("\nready in ")[1].split()[0])

    def reloads(self):
        """How many reloads were published."""
        return self.log.read_text().count(": reloaded ")

    def memory_kib(self, key="VmRSS"):
        """Resident now; with `VmHWM`, at the most so far."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{key}:")[1].split()[0])

    def stop(self):
        """Ends it cleanly; returns what it wrote to its log."""
        self.process.terminate()
        self.process.wait(DEADLINE)
        return self.log.read_text()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)


def wait_for(what, condition, deadline=DEADLINE, pause=0.02):
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"waited {deadline:.0f} s for {what}")
        time.sleep(pause)


class Wire:
    """One connection, read in lock-step."""

    def __init__(self, connection):
        connection.settimeout(DEADLINE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self.buffer = b""

    @classmethod
    def to(cls, port):
        return cls(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE))

    def send(self, *parts):
        self.connection.sendall(b"".join(parts))

    def until(self, end):
        """Everything up to and with `end`."""
        while end not in self.buffer:
            more = self.connection.recv(1 << 18)
            if not more:
                raise SystemExit(f"the connection ended before {end!r}: {self.buffer[-300:]!r}")
            self.buffer += more
        found, _, self.buffer = self.buffer.partition(end)
        return found + end

    def message(self):
        """A head and its body; one of unknown length keeps its framing."""
        head = self.until(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            return head, self.until(b"0\r\n\r\n")
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(length[0].split(b":")[1]) if length else 0
        while len(self.buffer) < length:
            more = self.connection.recv(1 << 18)
            if not more:
                raise SystemExit("the connection ended inside of a body")
            self.buffer += more
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return head, body

    def close(self):
        self.connection.close()


class Upstream:
    """A listening socket that stands for the upstream server."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.listener.settimeout(DEADLINE)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"

    def accept(self):
        return Wire(self.listener.accept()[0])

    def close(self):
        self.listener.close()


def post(path, body, key="sk-bench"):
    """A request as the bytes of its head and body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\n"
        f"User-Agent: bench\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
