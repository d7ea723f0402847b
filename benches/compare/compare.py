"""Aurora beside nginx, haproxy and a raw hyper proxy, on this machine and in one interleaved run.

Every gateway is pinned to one CPU, the upstream and the load to another. Windows of two seconds go A..Z, then Z..A, so
that a noisy neighbour meets everybody. CPU is what the kernel accounted to the gateway's processes. Ratios are taken
within a round; what is printed is their median and their range. No round is dropped, and every answer is checked.

`run` builds what is needed and starts this. A run of everything, with all rounds, rewrites the table and the plot of docs/performance.md.
"""

import argparse
import contextlib
import os
import pathlib
import signal
import sys
import tempfile
import time

import gateways
import measure
import processes
import report

ROUNDS = 5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", metavar="SECTION,...", help=", ".join(measure.SECTIONS))
    parser.add_argument("--also", metavar="NAME=BINARY", action="append", default=[], help="another build of Aurora")
    asked = parser.parse_args()
    asked.sections = asked.only.split(",") if asked.only else list(measure.SECTIONS)
    if unknown := set(asked.sections) - set(measure.SECTIONS):
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(measure.SECTIONS)}")
    if asked.rounds < 1 or not all("=" in also for also in asked.also):
        parser.error("at least one round; NAME=BINARY")
    return asked


def main():
    asked = arguments()
    # As an interrupt does: everything that was started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    files = processes.prepare()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="aurora-compare-") as folder, contextlib.ExitStack() as running:
        folder = pathlib.Path(folder)
        mock = running.enter_context(gateways.mock(folder))
        mock.wait_until_it_answers()
        binaries = {"aurora": os.environ["AURORA_BINARY"], **dict(also.split("=", 1) for also in asked.also)}

        makers, _ = gateways.makers(folder / "steady", mock.port, files, binaries)
        steady = {name: running.enter_context(make()) for name, make in makers.items()}
        for gateway in steady.values():
            gateway.wait_until_it_answers()
        fresh = gateways.makers(folder / "fresh", mock.port, files, binaries)
        run = measure.Run(mock, *fresh, steady, asked.rounds, files)
        foreign = processes.foreign_share([mock, *steady.values()])
        for section in asked.sections:
            print(f"{section} ...", flush=True)
            measure.SECTIONS[section](run)
        shares = foreign()
    report.show(run, shares, time.monotonic() - began)
    if not (asked.only or asked.also or asked.rounds < ROUNDS):
        report.write(run, shares)


if __name__ == "__main__":
    main()
