"""The official Anthropic SDK passes through the example plugin `messages`, whatever the upstream speaks."""

import http.server
import threading

import anthropic
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from conftest import KEY, fake_chatgpt, library, started
from pydantic import TypeAdapter

WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def config(upstream, upstreams):
    routes = [
        f'[[routes]]\npath = "{path}"\nplugin = "messages"\nupstream = "{upstream}"\nretry = {{ attempts = 1 }}\n'
        for path in ("/v1/messages", "/v1/messages/count_tokens")
    ]
    return f'[auth]\nkeys = ["{KEY}"]\n{upstreams}\n{"".join(routes)}'


def sdk(aurora):
    return anthropic.Anthropic(base_url=aurora.url, auth_token=KEY, api_key=None, max_retries=0, timeout=30)


@pytest.fixture(scope="module")
def on_mock(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages") / "aurora"
    text = config("mock", '[upstreams.mock]\nprotocol = "mock"')
    with started(folder, text, [library("messages_plugin")]) as aurora:
        yield aurora


@pytest.fixture(scope="module")
def on_openai(tmp_path_factory, mock):
    """In front of a server that speaks chat completions."""
    folder = tmp_path_factory.mktemp("messages") / "aurora"
    upstream = f"""
[tokens.pool]
values = ["{KEY}"]
[upstreams.openai]
protocol = "openai"
base_url = "{mock.url}/v1"
tokens = "pool"
models = {{ claude = "mock-chat" }}
"""
    with started(folder, config("openai", upstream), [library("messages_plugin")]) as aurora:
        yield aurora


@pytest.fixture(scope="module")
def on_chatgpt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages")
    with fake_chatgpt(folder) as upstream:
        text = config("chatgpt", upstream)
        with started(folder / "aurora", text, [library("messages_plugin")]) as aurora:
            yield aurora


@pytest.fixture(params=["on_mock", "on_openai"])
def client(request):
    """The official SDK with nothing changed but base URL and key."""
    return sdk(request.getfixturevalue(request.param))


@pytest.fixture(params=["on_mock", "on_openai", "on_chatgpt"])
def any_client(request):
    return sdk(request.getfixturevalue(request.param))


def ask(text):
    return {"model": "auto", "max_tokens": 200, "messages": [{"role": "user", "content": text}]}


def test_a_message(any_client):
    message = any_client.messages.create(**ask("hello aurora"))
    TypeAdapter(Message).validate_python(message.model_dump())
    assert [block.type for block in message.content] == ["text"]
    assert "hello aurora" in message.content[0].text
    assert (message.role, message.model, message.stop_reason) == ("assistant", "auto", "end_turn")
    assert message.id.startswith("msg_") and message._request_id.startswith("req_")
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0


def test_a_message_in_events(any_client):
    with any_client.messages.stream(**ask("one two three")) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert "one two three" in text and message.content[0].text == text
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0


def test_the_events_have_the_official_shape_and_order(client):
    events = list(client.messages.create(**ask("one two three"), stream=True))
    for event in events:
        TypeAdapter(RawMessageStreamEvent).validate_python(event.model_dump())
    kinds = [event.type for event in events if event.type != "content_block_delta"]
    assert kinds == ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"]
    assert len(events) > len(kinds) + 1


def test_system_settings_and_pictures_are_taken(client):
    pixel = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    content = [{"type": "image", "source": pixel}, {"type": "text", "text": "what is it?"}]
    message = client.messages.create(
        model="auto",
        max_tokens=200,
        system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        messages=[{"role": "user", "content": content}],
        extra_body={"temperature": 0.5, "top_p": 0.9},  # left out of this SDK, and still sent by older ones
        metadata={"user_id": "u-1"},
        thinking={"type": "disabled"},
    )
    assert "what is it?" in message.content[0].text
    assert "1 picture" in message.content[0].text or "1 image" in message.content[0].text


def test_a_tool_is_called_and_its_result_taken(client):
    asked = ask("what is the weather in Oslo?") | {"tools": [WEATHER]}
    first = client.messages.create(**asked)
    call = first.content[-1]
    assert (first.stop_reason, call.type, call.name) == ("tool_use", "tool_use", "get_weather")
    assert "city" in call.input

    asked["messages"] += [
        {"role": "assistant", "content": first.content},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny, 21 degrees"}],
        },
    ]
    second = client.messages.create(**asked)
    assert "sunny, 21 degrees" in second.content[0].text


def test_a_tool_is_called_in_events(client):
    choice = {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
    with client.messages.stream(**ask("anything"), tools=[WEATHER], tool_choice=choice) as stream:
        kinds = {event.type for event in stream}
        message = stream.get_final_message()
    assert {"input_json", "content_block_stop"} <= kinds
    assert message.stop_reason == "tool_use"
    assert "city" in message.content[-1].input


def test_an_answer_that_is_cut_says_so(client):
    message = client.messages.create(**ask("word " * 60) | {"max_tokens": 5})
    assert message.stop_reason == "max_tokens"


def test_an_alias_of_a_model_works(on_openai):
    message = sdk(on_openai).messages.create(**ask("hi") | {"model": "claude"})
    assert "mock-chat" in message.content[0].text and message.model == "claude"


def test_the_field_at_fault_is_named(client):
    with pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(**ask("hi"), extra_body={"temperature": "hot"})
    assert raised.value.type == "invalid_request_error"
    assert raised.value.api_message.startswith("temperature:")
    assert raised.value.request_id.startswith("req_")


def test_tokens_are_not_counted(client):
    with pytest.raises(anthropic.APIStatusError) as raised:
        client.with_options(max_retries=2).messages.count_tokens(model="auto", messages=ask("hi")["messages"])
    assert raised.value.status_code == 501
    assert raised.value.error_code == "unsupported_operation"


def test_a_wrong_key_is_refused(client):
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(auth_token="sk-wrong").messages.create(**ask("hi"))


class Scripted(http.server.BaseHTTPRequestHandler):
    """Refuses with the status in the model's name, such as `status-429`; `cut` breaks off."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if '"cut"' in body:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(b'data: {"choices":[{"index":0,"delta":{"content":"half"}}]}\n\n')
            self.close_connection = True
            return
        status = int(body.split('"status-')[1][:3])
        answer = b'{"error":{"message":"as told","type":"t","param":"p","code":"c"}}'
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        # A server error with it would rest the upstream, which all tests here share.
        if status == 429:
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def on_scripted(tmp_path_factory):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    upstream = f'[upstreams.fake]\nprotocol = "openai"\nbase_url = "http://127.0.0.1:{server.server_port}/v1"\nbreaker = {{ enabled = false }}'
    folder = tmp_path_factory.mktemp("messages") / "aurora"
    with started(folder, config("fake", upstream), [library("messages_plugin")]) as aurora:
        yield sdk(aurora)
    server.shutdown()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (422, anthropic.UnprocessableEntityError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
    ],
)
def test_a_refusal_of_the_upstream_has_its_class(on_scripted, status, error, kind, stream):
    with pytest.raises(error) as raised:
        on_scripted.messages.create(**ask("hi") | {"model": f"status-{status}"}, stream=stream)
    assert raised.value.type == kind
    if status == 429:
        assert raised.value.response.headers["retry-after"] == "7"


def test_a_cut_answer_raises_and_is_never_a_finished_one(on_scripted):
    texts, kinds = [], []
    with pytest.raises(anthropic.APIStatusError) as raised:
        for event in on_scripted.messages.create(**ask("hi") | {"model": "cut"}, stream=True):
            kinds.append(event.type)
            if event.type == "content_block_delta":
                texts.append(event.delta.text)
    assert texts == ["half"] and "message_stop" not in kinds
    assert raised.value.type == "api_error"
    assert raised.value.error_code == "stream_truncated"

    with pytest.raises(anthropic.InternalServerError):
        on_scripted.messages.create(**ask("hi") | {"model": "cut"})
