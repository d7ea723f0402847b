"""The example plugins, each loaded into the gateway and asked."""

import json
import subprocess
import urllib.request

import pytest

from conftest import BINARY, ROOT, started

FOLDER = ROOT / "target/plugins/examples"

CONFIG = """
[upstreams.mock]
protocol = "mock"

[plugins]
{filters}

[plugins.hello]
greeting = "hi"

[[routes]]
path = "/v1/chat/completions"
plugin = "chat"
upstream = "mock"
"""

ROUTE = """
[[routes]]
path = "/{name}"
plugin = "{name}"
upstream = "mock"
"""

# Name of the plugin, its library, and whether it hands chats on.
PLUGINS = [
    ("hello", "libhello_plugin.so", True),
    ("hello-c", "libhello_c.so", True),
    ("hello-go", "libhello_go.so", True),
    ("hello-zig", "libhello_zig.so", False),
]


def there(name):
    return (FOLDER / name).exists()


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read().decode()


@pytest.fixture(scope="module")
def aurora(tmp_path_factory):
    found = [(name, library) for name, library, _ in PLUGINS if there(library)]
    config = CONFIG.format(filters='filters = ["redact"]') + "".join(ROUTE.format(name=name) for name, _ in found)
    libraries = [FOLDER / library for _, library in found] + [FOLDER / "libredact_filter.so"]
    with started(tmp_path_factory.mktemp("examples") / "aurora", config, libraries) as aurora:
        yield aurora


def needed(library):
    """Rust and C must be there; Go and Zig where their compilers are."""
    if there(library):
        return
    assert library in ("libhello_go.so", "libhello_zig.so"), f"tests/plugins/build makes {library}"
    pytest.skip("its compiler is not on this machine")


@pytest.mark.parametrize("name,library,_", PLUGINS)
def test_it_greets(aurora, name, library, _):
    needed(library)
    with urllib.request.urlopen(f"{aurora.url}/{name}", timeout=10) as response:
        assert response.headers["content-type"] == "application/json"
        assert "anonymous" in json.load(response)["message"]


@pytest.mark.parametrize("name,library,chats", PLUGINS)
def test_it_streams_a_chat_from_the_upstream(aurora, name, library, chats):
    needed(library)
    if not chats:
        pytest.skip("it only greets")
    body = {"model": "mock-chat", "stream": True, "messages": [{"role": "user", "content": "hello there"}]}
    text = post(f"{aurora.url}/{name}", body)
    assert text.count("chat.completion.chunk") > 3 and text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
def test_the_filter_masks_what_goes_to_the_model_and_what_comes_back(aurora, stream):
    body = {"model": "mock-chat", "stream": stream, "messages": [{"role": "user", "content": "write to ann@example.com"}]}
    text = post(f"{aurora.url}/v1/chat/completions", body)
    assert "ann@example.com" not in text and "redacted" in text


@pytest.mark.parametrize("library", [library for _, library, _ in PLUGINS] + ["libredact_filter.so", "libmessages_plugin.so"])
def test_a_library_can_be_inspected_without_running_it(library):
    needed(library)
    ended = subprocess.run([BINARY, "plugin", "inspect", "--format", "json", FOLDER / library], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert shown["interface"] == {"major": 1, "minor": 0, "min_host_minor": 0, "pointer_bits": 64}
    assert shown["manifest"]["version"] and shown["refused"] is None
