"""An upstream whose streams stay open, and the clients that hold them: one event loop on a thread of its own."""

import asyncio
import threading

from gateway import DEADLINE, post

ASKED = b'{"model": "some-model", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DATA = b'data: {"choices": [{"index": 0, "delta": {"content": " words"}}]}\n\n'
EVENT = b"%x\r\n%s\r\n" % (len(DATA), DATA)


class Streams:
    """Opens streams through a gateway and sends events down all of them."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.clients, self.servers = [], []
        self.server = self.ask(asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=512))
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/v1"

    def ask(self, work):
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, DEADLINE), self.loop).result(DEADLINE)

    def count(self):
        return len(self.clients)

    async def serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
        writer.write(HEAD + EVENT)
        self.servers.append(writer)

    def open(self, port, more):
        """Opens `more` streams and waits for the first event of each, fifty at a time."""

        async def one():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post("/v1/chat/completions", ASKED))
            await reader.readuntil(b"words")
            await reader.readuntil(b"\n\n\r\n")
            self.clients.append((reader, writer))

        async def all_of_them():
            for first in range(0, more, 50):
                await asyncio.gather(*(one() for _ in range(min(50, more - first))))

        self.ask(all_of_them())

    def event(self):
        """Sends an event down every stream and waits until all clients have it; returns how many they were."""

        async def send():
            for writer in self.servers:
                writer.write(EVENT)
            for reader, _ in self.clients:
                await reader.readuntil(b"\n\n\r\n")

        self.ask(send())
        return len(self.clients)

    def shut(self):
        """Ends all streams."""

        async def end():
            for writer in [*self.servers, *(writer for _, writer in self.clients)]:
                writer.transport.abort()

        self.ask(end())
        self.clients, self.servers = [], []

    def close(self):
        self.shut()
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(DEADLINE)
        self.loop.close()
