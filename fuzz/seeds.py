"""Seeds for each target, made of the fixtures of the tests, so that nothing is copied; and the files of seeds/TARGET."""

import itertools
import json
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
FIXTURES = ROOT / "crates/chatgpt/tests/fixtures"

# Lengths of pieces, as src/lib.rs reads them behind a document: bytes, words, much at once.
LENGTHS = [bytes(8), bytes([0, 3, 15, 31, 63, 1, 127, 255]), bytes([7] * 8)]


def transcripts():
    return [path.read_bytes() for path in sorted(FIXTURES.glob("transcripts/*.sse"))]


def expected():
    return [json.loads(path.read_text()) for path in sorted(FIXTURES.glob("transcripts/*.json"))]


def strings(value):
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from strings(member)


def bodies():
    """All JSON objects in the fixtures that are some body or other."""
    for path in sorted(FIXTURES.glob("bodies/*.json")):
        for member in json.loads(path.read_text()).values():
            yield from objects(member)


def objects(value):
    if isinstance(value, dict):
        yield json.dumps(value).encode()
        for member in value.values():
            yield from objects(member)


def configs():
    folders = [ROOT, ROOT / "crates/config/tests", ROOT / "crates/config/tests/golden", *ROOT.glob("examples/*")]
    return [path.read_bytes() for folder in folders for path in sorted(folder.glob("*.toml")) if path.name != "Cargo.toml"]


def routes():
    for config in configs():
        paths = re.findall(rb'^path = "(/[^"]*)"', config, re.M)
        yield b"\n".join([b"*" + path for path in paths] + [path.replace(b"{", b"").replace(b"}", b"") for path in paths])


def turns():
    bodies = transcripts()
    return bodies + [first + b"\n:next\n" + second for first, second in itertools.pairwise(bodies)]


def answers():
    """What models said, where there is more of it than a word."""
    said = {text for transcript in expected() for text in strings(transcript) if len(text) > 30}
    return [text.encode() for text in sorted(said)]


def cut(documents):
    return [document + next(lengths) for lengths in [itertools.cycle(LENGTHS)] for document in documents]


MADE = {
    "citations": lambda: cut(answers()),
    "config": lambda: [place + config for config in configs() for place in (b"\0\0", b"\0\3")],
    "peek": bodies,
    "reducer": lambda: cut(turns()),
    "routes": routes,
    "service": lambda: [b"\1" + body for body in bodies()],
    "sse": lambda: cut(transcripts()),
    "tool_calls": lambda: cut(answers()),
}


def write(target, folder):
    """Writes the seeds of `target`."""
    folder.mkdir(parents=True)
    own = [path.read_bytes() for path in sorted((HERE / "seeds" / target).glob("*"))]
    for number, seed in enumerate([*own, *MADE.get(target, list)()]):
        (folder / f"{number:04}").write_bytes(seed)
