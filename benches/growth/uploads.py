"""An upstream that swallows bodies, and a client that sends large ones."""

import json
import socket
import threading
import time

from gateway import DEADLINE, Upstream, Wire

PIECE = b"x" * (1 << 18)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Sink(Upstream):
    """Answers every request on every connection, each on a thread of its own, until it is closed."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.thread = threading.Thread(target=self.accept_all, daemon=True)
        self.thread.start()

    def accept_all(self):
        while True:
            try:
                wire = self.accept()
            except OSError:
                return
            self.open.append(wire)
            threading.Thread(target=self.serve, args=(wire,), daemon=True).start()

    def serve(self, wire):
        try:
            while True:
                head = wire.until(b"\r\n\r\n").lower()
                left = int(head.split(b"content-length:")[1].split()[0]) - len(wire.buffer)
                wire.buffer = b""
                room = bytearray(1 << 18)
                while left > 0:
                    left -= wire.connection.recv_into(room, min(left, len(room))) or left
                wire.send(ANSWER)
        except (OSError, SystemExit):
            wire.close()

    def close(self):
        # Wakes the thread that waits in accept.
        self.listener.shutdown(socket.SHUT_RDWR)
        super().close()
        for wire in self.open:
            wire.close()
        self.thread.join(DEADLINE)


def upload(port, path, size):
    """Seconds from the first byte sent to the answer."""
    start, end = (b"", b"")
    if path.endswith("completions"):
        asked = json.dumps({"model": "some-model", "messages": [{"role": "user", "content": ""}]}).encode()
        start, end = asked[:-4], asked[-4:]
    kind = "application/json" if start else "application/octet-stream"
    head = f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n"
    wire = Wire.to(port)
    left = size - len(start) - len(end)
    began = time.perf_counter()
    wire.send(head.encode(), start)
    while left > 0:
        wire.send(PIECE[:left])
        left -= len(PIECE)
    wire.send(end)
    head, _ = wire.message()
    took = time.perf_counter() - began
    wire.close()
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise SystemExit(f"{path}: {head.decode()}")
    return took
