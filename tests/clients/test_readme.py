"""Every curl example in the README answers with the right shape, on the config that is shipped."""

import os
import re
import shutil
import subprocess

import pytest

from conftest import BINARY, ROOT

README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"<!-- answers: (.*?) -->\n```sh\n(.*?)```", README, flags=re.S)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The shipped config, untouched but for the ports; the folder that examples run in."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copy(ROOT / "aurora.toml", folder)
    process = subprocess.Popen(
        [BINARY, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
        cwd=folder, env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    addresses = {}
    for line in process.stdout:
        if found := re.match(r"(listening on|admin) +http://(\S+)", line):
            addresses[found[1]] = found[2]
        if line.startswith("ready in"):
            break
    yield folder, addresses
    process.terminate()
    process.wait(timeout=20)


def test_every_curl_example_says_what_it_answers():
    # The chapter on plugins has a test of its own.
    blocks = re.findall(r"(?<!<!-- plugin -->\n)```sh\n(.*?)```", README, flags=re.S)
    assert sum("curl" in block for block in blocks) == len(EXAMPLES) >= 15


def test_the_chinese_readme_has_the_same_lines():
    chinese = (ROOT / "README.zh-CN.md").read_text()
    assert re.findall(r"<!-- answers: (.*?) -->\n```sh\n(.*?)```", chinese, flags=re.S) == EXAMPLES


@pytest.mark.parametrize(("path", "twin"), [("docs/api.md", "docs/api.zh-CN.md")])
def test_the_chinese_documents_have_the_same_commands(path, twin):
    blocks = [re.findall(r"```(?:sh|text)\n(.*?)```", (ROOT / name).read_text(), flags=re.S) for name in (path, twin)]
    commands = [[block for block in found if "curl" in block] for found in blocks]
    assert commands[0] == commands[1] and len(commands[0]) >= 8


@pytest.mark.parametrize(("answer", "command"), EXAMPLES, ids=[str(i) for i in range(len(EXAMPLES))])
def test_a_curl_example_answers(shipped, answer, command):
    folder, addresses = shipped
    command = command.replace("127.0.0.1:8080", addresses["listening on"])
    command = command.replace("127.0.0.1:9090", addresses["admin"])
    command = re.sub(r"\bcurl\b", "curl -fsS", command)
    done = subprocess.run(["bash", "-ec", command], cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert re.search(answer, done.stdout, flags=re.M), done.stdout[:500]


def test_the_files_that_the_examples_wrote_are_what_they_say(shipped):
    folder, _ = shipped
    assert (folder / "cat.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "hello.wav").read_bytes().startswith(b"RIFF")
    assert (folder / "copy.wav").read_bytes() == (folder / "hello.wav").read_bytes()
