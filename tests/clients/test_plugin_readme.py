"""A newcomer's run: every step of the README's chapter on plugins, as written, without a restart."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from conftest import BINARY, ROOT, Aurora

README = (ROOT / "README.md").read_text()
CHAPTER = README[README.index("## Write a plugin"):]


def block(language):
    """The first block of that language."""
    return re.search(rf"```{language}\n(.*?)```", CHAPTER, flags=re.S)[1]


def steps(folder):
    """The shell block of the chapter, with the program under test in the place of the release build."""
    program = block("sh").replace("target/release/aurora", str(BINARY))
    ended = subprocess.run(["bash", "-euc", program], cwd=folder, capture_output=True, text=True, env=os.environ)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def answer(aurora):
    try:
        with urllib.request.urlopen(f"{aurora.url}/hello", timeout=10) as response:
            return json.load(response)["message"]
    except urllib.error.HTTPError as error:
        return f"status {error.code}"


def wait_for(aurora, text):
    deadline = time.monotonic() + 30
    while text not in (last := answer(aurora)):
        assert time.monotonic() < deadline, last
        time.sleep(0.1)


def test_every_step_of_the_readme_works_as_written(tmp_path):
    config = (ROOT / "aurora.toml").read_text()
    admin = re.sub(r'listen = "127.0.0.1:9090"', 'listen = "127.0.0.1:0"', config)
    (tmp_path / "plugins").mkdir()
    aurora = Aurora(tmp_path, admin)
    try:
        assert "What comes next" in steps(tmp_path)
        with (tmp_path / "aurora.toml").open("a") as file:
            file.write("\n" + block("toml"))
        wait_for(aurora, "good morning")

        # Change the greeting, build, copy again: the same process answers with the new one.
        source = tmp_path / "greeter/src/lib.rs"
        changed = source.read_text().replace('"{greeting}, ', '"{greeting} again, ')
        assert changed != source.read_text()
        source.write_text(changed)
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=tmp_path / "greeter", check=True)
        shutil.copy(tmp_path / "greeter/target/release/libgreeter.so", tmp_path / "plugins")
        wait_for(aurora, "good morning again")
        assert aurora.process.poll() is None
    finally:
        aurora.stop()
