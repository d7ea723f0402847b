"""Every curl line of the chatgpt example's README answers as it says, in front of the fake service."""

import base64
import json
import os
import re
import shutil
import subprocess

import pytest
from conftest import BINARY, ROOT

README = (ROOT / "examples/chatgpt/README.md").read_text()
EXAMPLES = re.findall(r"<!-- answers: (.*?) -->\n```sh\n(.*?)```", README, flags=re.S)


def workspace(token):
    """The account that an access token is for: its own workspace."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims["https://api.openai.com/auth"]["chatgpt_account_id"]


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The shipped example in front of the fake: its folder, its addresses, and the variables of its README."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copy(ROOT / "examples/chatgpt/aurora.toml", folder)
    fake = subprocess.Popen(
        [BINARY.parent / "fake-chatgpt", "--until-stdin-closes", "--write-dir", folder],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    told = {}
    for line in fake.stdout:
        if found := re.match(r"(base URL|OAuth URL|session URL|device id|refresh token|session token) +(\S+)", line):
            told[found[1]] = found[2]
        if line.startswith("device id"):
            break
    # The gateway uses the first lines up; these stay for the README's own exchanges.
    (folder / "refresh_tokens.txt").write_text("")
    (folder / "session_tokens.txt").write_text("")
    gateway = subprocess.Popen(
        [BINARY, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={
            "PATH": os.environ["PATH"],
            "AURORA_UPSTREAMS__CHATGPT__BASE_URL": told["base URL"],
            "AURORA_UPSTREAMS__CHATGPT__OAUTH_URL": told["OAuth URL"],
            "AURORA_UPSTREAMS__CHATGPT__SESSION_URL": told["session URL"],
        },
    )
    addresses = {}
    for line in gateway.stdout:
        if found := re.match(r"(listening on|admin) +http://(\S+)", line):
            addresses[found[1]] = found[2]
        if line.startswith("ready in"):
            break
    token = (folder / "access_tokens.txt").read_text().split()[0].split(":")[0]
    variables = {
        "TOKEN": token,
        "WORKSPACE": workspace(token),
        "REFRESH_TOKEN": told["refresh token"],
        "SESSION_TOKEN": told["session token"],
        "DEVICE_ID": told["device id"],
    }
    yield folder, addresses, variables
    gateway.terminate()
    gateway.wait(timeout=20)
    fake.stdin.close()
    fake.wait(timeout=20)


def test_every_curl_line_says_what_it_answers():
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.S)
    assert sum("curl" in block for block in blocks) == len(EXAMPLES) >= 16


@pytest.mark.parametrize(("answer", "command"), EXAMPLES, ids=[str(i) for i in range(len(EXAMPLES))])
def test_a_curl_line_answers(example, answer, command):
    folder, addresses, variables = example
    command = command.replace("127.0.0.1:8080", addresses["listening on"])
    command = command.replace("127.0.0.1:9090", addresses["admin"])
    # A refusal is an answer, too.
    command = re.sub(r"\bcurl\b", "curl -sS" if "capability" in answer else "curl -fsS", command)
    done = subprocess.run(
        ["bash", "-euc", command], cwd=folder, env=os.environ | variables, capture_output=True, timeout=30
    )
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0, done.stderr.decode()
    assert re.search(answer, output, flags=re.M), output[:500]


def test_the_files_that_the_lines_wrote_are_what_they_say(example):
    folder, _, _ = example
    assert (folder / "cat.png").read_bytes().startswith(b"\x89PNG")
    assert b"Hello, this is a test!" in (folder / "speech.mp3").read_bytes()
