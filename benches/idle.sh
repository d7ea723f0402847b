#!/usr/bin/env bash
# Idle resident memory and start-up time of the release binary, on the shipped config.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet
python3 - <<'PYTHON'
import http.client, os, pathlib, shutil, socket, statistics, subprocess, tempfile, time

binary = pathlib.Path("target/release/aurora").resolve()
times, memory = [], []
for _ in range(10):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy("aurora.toml", folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        args = [binary, "serve", "--listen", f"127.0.0.1:{port}", "--admin-listen", "127.0.0.1:0"]
        began = time.perf_counter()
        process = subprocess.Popen(args, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
                connection.request("GET", "/ping")
                assert connection.getresponse().status == 200
                break
            except ConnectionError:
                time.sleep(0.0005)
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(1)
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        memory.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
        process.terminate()
        process.wait()
print(f"start to first 200: {statistics.median(times):.0f} ms (from {min(times):.0f} to {max(times):.0f})")
print(f"idle resident memory: {statistics.median(memory):.1f} MiB (from {min(memory):.1f} to {max(memory):.1f})")
print(f"release binary: {os.path.getsize(binary) / 1048576:.1f} MiB")
PYTHON
