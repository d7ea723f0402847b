"""Every error of an upstream reaches the official SDK as the class that says whose fault it is."""

import http.server
import json
import threading
import time

import openai
import pytest

from conftest import KEY, routes, started


class Scripted(http.server.BaseHTTPRequestHandler):
    """Answers with the status in the model's name, such as `status-429`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = body["model"]
        if model == "cut":
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            chunk["choices"] = [{"index": 0, "delta": {"content": "half"}, "finish_reason": None}]
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.close_connection = True
            return
        answer = json.dumps({"error": {"message": "as told", "type": "t", "param": "p", "code": "c"}}).encode()
        self.send_response(int(model.removeprefix("status-")))
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        # A server error with it would rest the upstream, which all tests here share.
        if model == "status-429":
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = f"""
[auth]
keys = ["{KEY}"]
[upstreams.fake]
protocol = "openai"
base_url = "http://127.0.0.1:{server.server_port}/v1"
breaker = {{ enabled = false }}
[upstreams.nobody]
protocol = "openai"
base_url = "http://127.0.0.1:1/v1"
[[routes]]
path = "/v1/embeddings"
plugin = "passthrough"
upstream = "nobody"
retry = {{ attempts = 1 }}
{routes("fake")}"""
    with started(tmp_path_factory.mktemp("errors") / "aurora", config) as aurora:
        yield aurora.client()
    server.shutdown()


def chat(client, model, **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}], **more)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
    ],
)
def test_the_clients_own_mistakes_reach_it_verbatim(client, status, error):
    with pytest.raises(error) as raised:
        chat(client, f"status-{status}")
    assert raised.value.status_code == status
    assert (raised.value.code, raised.value.param, raised.value.type) == ("c", "p", "t")
    assert "as told" in raised.value.message


def test_a_rate_limit_says_when_to_come_back(client):
    with pytest.raises(openai.RateLimitError) as raised:
        chat(client, "status-429")
    assert raised.value.code == "rate_limit_exceeded"
    assert raised.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("status", [401, 403])
def test_an_upstreams_refusal_of_our_token_is_not_the_clients_401(client, status):
    with pytest.raises(openai.InternalServerError) as raised:
        chat(client, f"status-{status}")
    assert (raised.value.status_code, raised.value.code) == (502, "upstream_auth_failed")


def test_a_broken_upstream_is_a_server_error(client):
    with pytest.raises(openai.InternalServerError) as raised:
        chat(client, "status-500")
    assert raised.value.code == "c"


def test_an_unreachable_upstream_is_a_server_error(client):
    with pytest.raises(openai.InternalServerError) as raised:
        client.embeddings.create(model="m", input="x")
    assert (raised.value.status_code, raised.value.code) == (502, "upstream_unreachable")


def test_a_limit_of_the_clients_own_key_says_when_to_come_back(tmp_path):
    """Also where the SDK tries again by itself: the headers tell it when, and not at all where that is of no use."""
    upstream = '[upstreams.mock]\nprotocol = "mock"\n'
    auth = """[auth]
keys = [
  { name = "often", key = "sk-often", limits = { requests_per_minute = 1 } },
  { name = "soon", key = "sk-soon", limits = { requests_per_minute = 60 } },
  { name = "day", key = "sk-day", limits = { tokens_per_day = 1 } },
]
"""
    with started(tmp_path / "aurora", auth + upstream + routes("mock")) as aurora:
        often = aurora.client(api_key="sk-often")
        answer = often.chat.completions.with_raw_response.create(model="m", messages=[{"role": "user", "content": "x"}])
        assert answer.headers["x-ratelimit-limit-requests"] == "1"
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as raised:
            chat(often, "m")
        assert (raised.value.code, raised.value.type) == ("rate_limit_exceeded", "requests")
        assert "requests_per_minute = 1" in raised.value.message
        headers = raised.value.response.headers
        assert 0 < int(headers["retry-after"]) <= 60
        assert 0 < int(headers["retry-after-ms"]) <= 60_000
        assert headers["x-ratelimit-remaining-requests"] == "0"

        soon = aurora.client(api_key="sk-soon", max_retries=4)
        for _ in range(62):
            assert chat(soon, "m").choices

        day = aurora.client(api_key="sk-day", max_retries=4)
        assert chat(day, "m").usage.total_tokens > 1
        began = time.monotonic()
        with pytest.raises(openai.RateLimitError) as raised:
            chat(day, "m")
        assert raised.value.code == "insufficient_quota"
        assert time.monotonic() - began < 0.4, "it tried again"


def test_a_cut_stream_raises_and_is_never_a_finished_answer(client):
    pieces = []
    with pytest.raises(openai.APIError) as raised:
        for chunk in chat(client, "cut", stream=True):
            pieces.append(chunk.choices[0])
    assert [piece.delta.content for piece in pieces] == ["half"]
    assert all(piece.finish_reason is None for piece in pieces)
    assert raised.value.code == "stream_truncated"


def test_a_wrong_key_is_the_only_401(client):
    with pytest.raises(openai.AuthenticationError) as raised:
        chat(client.with_options(api_key="sk-wrong"), "m")
    assert raised.value.code == "invalid_api_key"


def test_an_unknown_path_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.with_options(base_url=str(client.base_url).replace("/v1", "/v7")).models.list()
    assert raised.value.code == "not_found"
