"""Starts the real binary for the SDK tests: on the built-in mock, and in front of a second one over real sockets."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import threading

import openai
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("AURORA_BINARY", ROOT / "target/debug/aurora")).resolve()
KEY = "sk-client"


class Aurora:
    """A running gateway on a free port, in a folder of its own."""

    def __init__(self, folder, config):
        (folder / "aurora.toml").write_text(config)
        self.process = subprocess.Popen(
            [BINARY, "serve", "--listen", "127.0.0.1:0"],
            cwd=folder,
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = None
        for line in self.process.stdout:
            if found := re.match(r"listening on (http://\S+)", line):
                self.url = found[1]
            if line.startswith("ready in"):
                break
        assert self.url, "aurora did not start"
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)

    def client(self, **settings):
        settings = {"api_key": KEY, "max_retries": 0, "timeout": 30} | settings
        return openai.OpenAI(base_url=f"{self.url}/v1", **settings)


def routes(upstream):
    """The routes of the shipped config, to another upstream, without its listeners."""
    text = (ROOT / "aurora.toml").read_text()
    text = text[text.index("[[routes]]"):text.index("[[expect]]")]
    return text.replace('upstream = "mock"', f'upstream = "{upstream}"')


def library(name):
    """A plugin's library, as `tests/plugins/build` makes it."""
    path = ROOT / "target/plugins/release" / f"lib{name}.so"
    assert path.exists(), f"{path} is not there: tests/plugins/build makes it"
    return path


@contextlib.contextmanager
def started(folder, config, plugins=()):
    """Aurora in `folder`, with these libraries in its folder of plugins."""
    folder.mkdir()
    for plugin in plugins:
        (folder / "plugins").mkdir(exist_ok=True)
        shutil.copy(plugin, folder / "plugins")
    aurora = Aurora(folder, config)
    try:
        yield aurora
    finally:
        aurora.stop()


@contextlib.contextmanager
def fake_chatgpt(folder):
    """The test kit's ChatGPT with accounts in `folder`; gives the config of an upstream `chatgpt` in front of it."""
    fake = subprocess.Popen(
        [BINARY.parent / "fake-chatgpt", "--until-stdin-closes", "--write-dir", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    urls = {}
    for line in fake.stdout:
        if found := re.match(r"(base|OAuth|session) URL +(\S+)", line):
            urls[found[1]] = found[2]
        if line.startswith("device id"):
            break
    try:
        yield f"""
[tokens.chatgpt]
access = "{folder}/access_tokens.txt"
refresh = "{folder}/refresh_tokens.txt"
[upstreams.chatgpt]
protocol = "chatgpt-web"
tokens = "chatgpt"
base_url = "{urls["base"]}"
oauth_url = "{urls["OAuth"]}"
session_url = "{urls["session"]}"
"""
    finally:
        fake.stdin.close()
        fake.wait(timeout=20)


@pytest.fixture(scope="session")
def mock(tmp_path_factory):
    """Aurora on its built-in mock."""
    config = f'[auth]\nkeys = ["{KEY}"]\n[upstreams.mock]\nprotocol = "mock"\n{routes("mock")}'
    with started(tmp_path_factory.mktemp("mock") / "aurora", config) as aurora:
        yield aurora


@pytest.fixture(scope="session")
def proxied(tmp_path_factory, mock):
    """Aurora in front of an upstream that it reaches over HTTP with a token of its own."""
    config = f"""
[auth]
keys = ["{KEY}"]
[tokens.pool]
values = ["{KEY}"]
[upstreams.openai]
protocol = "openai"
base_url = "{mock.url}/v1"
tokens = "pool"
models = {{ fast = "mock-chat" }}
{routes("openai")}"""
    with started(tmp_path_factory.mktemp("proxied") / "aurora", config) as aurora:
        yield aurora


@pytest.fixture(scope="session")
def emulated(tmp_path_factory, mock):
    """As `proxied`, in front of an upstream without a Responses API."""
    config = f"""
[auth]
keys = ["{KEY}"]
[tokens.pool]
values = ["{KEY}"]
[upstreams.openai]
protocol = "openai"
base_url = "{mock.url}/v1"
tokens = "pool"
responses = "emulate"
{routes("openai")}"""
    with started(tmp_path_factory.mktemp("emulated") / "aurora", config) as aurora:
        yield aurora


@pytest.fixture(params=["mock", "proxied", "emulated"])
def client(request):
    """The official SDK with nothing changed but base URL and key."""
    return request.getfixturevalue(request.param).client()
