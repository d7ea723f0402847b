"""What is counted."""

import contextlib
import dataclasses
import typing

from gateway import Gateway, Upstream, Wire, post, wait_for


@dataclasses.dataclass(frozen=True)
class Library:
    """A case of the `counts` binary."""

    name: str
    command: str
    size: int
    times: int
    kind: str = "library"


@dataclasses.dataclass(frozen=True)
class Served:
    """Something that the whole gateway does; `drive` does it a number of times and returns the log."""

    name: str
    drive: typing.Callable
    times: int
    kind: str = "gateway"


# Everything that a request passes: key, route, token, access log (as always, to a file), metrics.
CONFIG = """
[auth]
keys = ["sk-bench"]
[tokens.pool]
values = ["sk-token-one", "sk-token-two", "sk-token-three"]
[upstreams.server]
protocol = "openai"
base_url = "{url}"
tokens = "pool"
[[routes]]
path = "/v1/chat/completions"
plugin = "chat"
upstream = "server"
"""

PATH = "/v1/chat/completions"
ASKED = b'{"model": "some-model", "messages": [{"role": "user", "content": "' + b"words " * 150 + b'"}]%s}'
ANSWER = (
    b'{"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "some-model", "choices": '
    b'[{"index": 0, "message": {"role": "assistant", "content": "' + b"words " * 120 + b'"}, "finish_reason": "stop"}], '
    b'"usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}}'
)


@contextlib.contextmanager
def between(wrapper):
    """The gateway, with a client's connection on one side and the upstream on the other."""
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(contextlib.closing(Upstream()))
        gateway = stack.enter_context(Gateway(CONFIG.format(url=upstream.url), wrapper=wrapper))
        client = stack.enter_context(contextlib.closing(Wire.to(gateway.port)))
        yield gateway, client, upstream


def requests(wrapper, times):
    """One request after the other over one connection on each side."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
    with between(wrapper) as (gateway, client, upstream):
        server = None
        for _ in range(times):
            client.send(post(PATH, ASKED % b""))
            server = server or upstream.accept()
            _, body = server.message()
            assert body == ASKED % b"", "the upstream got another body"
            server.send(head, ANSWER)
            _, body = client.message()
            assert body == ANSWER, "the client got another body"
        log = gateway.stop()
        server.close()
    return log


def event(number):
    data = (
        b'data: {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "some-model", '
        b'"choices": [{"index": 0, "delta": {"content": " words"}, "finish_reason": null}], "number": %06d}\n\n' % number
    )
    return b"%x\r\n%s\r\n" % (len(data), data)


def stream(together):
    """One stream of events that come `together` at a time: the next ones when the client has the last ones."""

    def drive(wrapper, times):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        with between(wrapper) as (gateway, client, upstream):
            client.send(post(PATH, ASKED % b', "stream": true'))
            server = upstream.accept()
            server.message()
            server.send(head)
            for first in range(0, times, together):
                server.send(*(event(first + at) for at in range(together)))
                client.until(b'"number": %06d}\n\n\r\n' % (first + together - 1))
            server.send(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
            client.until(b"0\r\n\r\n")
            log = gateway.stop()
            server.close()
        return log

    return drive


def config_of(routes, drain):
    text = f'[server]\ndrain = "{drain}s"\n[upstreams.mock]\nprotocol = "mock"\n'
    route = '[[routes]]\npath = "/teams/{}/v1/chat/completions"\nplugin = "chat"\nupstream = "mock"\n'
    return text + "".join(route.format(n) for n in range(routes))


def reloads(wrapper, times):
    """The file changes, Aurora notices and publishes; then it changes again."""
    with Gateway(config_of(1000, 30), wrapper=wrapper) as gateway:
        for number in range(1, times + 1):
            gateway.write_config(config_of(1000, 30 + number))
            wait_for("a reload", lambda: gateway.reloads() == number)
        return gateway.stop()


ALL = [
    Served("a request, native path", requests, 400),
    Served("a streamed event that comes alone", stream(1), 800),
    Served("a streamed event, 16 at once", stream(16), 3200),
    Served("a reload of 1,000 routes", reloads, 2),
    Library("1 MiB of snapshots (ChatGPT)", "snapshots", 1, 2),
    Library("1 MiB of deltas (ChatGPT)", "deltas", 1, 1),
    Library("a route of 10", "route", 10, 6400),
    Library("a route of 1,000", "route", 1000, 6400),
    Library("a route of 100,000", "route", 100_000, 6400),
    Library("a token of 10", "lease", 10, 6400),
    Library("a token of 100,000", "lease", 100_000, 6400),
    Library("a config of 1,000 routes", "config", 1000, 1),
]
