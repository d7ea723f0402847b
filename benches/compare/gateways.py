"""What is compared, each with the settings that are fair to it."""

import functools
import os
import pathlib
import shutil

from processes import CLIENT_KEY, GATEWAY_CPU, LOAD_CPU, Process, free_port

PROGRAMS = pathlib.Path(os.environ["PROGRAMS"])
FILTER_LIBRARY = pathlib.Path(os.environ["FILTER_LIBRARY"])

NGINX = """
{user}daemon off;
pid nginx.pid;
worker_processes 1;
worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream mock {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn {connections}
defaults
    mode http
    option http-no-delay
    http-reuse always
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend gateway
    bind 127.0.0.1:{port} backlog 4096
    default_backend mock
backend mock
    server mock 127.0.0.1:{upstream}
"""

AURORA = """
[server]
listen = "127.0.0.1:{port}"
max_in_flight = {in_flight}

[admin]
listen = "127.0.0.1:0"

[auth]
keys_file = "client_keys.txt"

[tokens.mock]
file = "upstream_keys.txt"

[upstreams.mock]
protocol = "openai"
base_url = "http://127.0.0.1:{upstream}/v1"
tokens = "mock"
max_concurrency = 20000
{plugin}
[[routes]]
path = "/v1/chat/completions"
plugin = "chat"
upstream = "mock"
filters = [{filters}]

[[routes]]
path = "/v1/{{*rest}}"
plugin = "passthrough"
upstream = "mock"
"""


def mock(folder):
    port = free_port()
    command = [PROGRAMS / "mock", f"listen=127.0.0.1:{port}"]
    return Process("mock", port, command, own_folder(folder, "mock"), LOAD_CPU)


def nginx(folder, upstream, files):
    port = free_port()
    folder = own_folder(folder, "nginx")
    user = "user root;\n" if os.getuid() == 0 else ""
    # With less than a sixteenth of them left, it closes connections that have not asked yet.
    config = NGINX.format(user=user, files=files, connections=files * 11 // 10, upstream=upstream, port=port)
    (folder / "nginx.conf").write_text(config)
    command = ["nginx", "-p", folder, "-c", "nginx.conf", "-e", "error.log"]
    return Process("nginx", port, command, folder, GATEWAY_CPU)


def haproxy(folder, upstream, files):
    port = free_port()
    folder = own_folder(folder, "haproxy")
    # It counts two descriptors a connection, and refuses to start without them.
    config = HAPROXY.format(connections=(files - 400) // 2, upstream=upstream, port=port)
    (folder / "haproxy.cfg").write_text(config)
    return Process("haproxy", port, ["haproxy", "-db", "-f", "haproxy.cfg"], folder, GATEWAY_CPU)


def raw(folder, upstream):
    port = free_port()
    command = [PROGRAMS / "refproxy", f"listen=127.0.0.1:{port}", f"upstream=127.0.0.1:{upstream}"]
    return Process("raw", port, command, own_folder(folder, "raw"), GATEWAY_CPU)


class Aurora(Process):
    """The full product: client keys checked, upstream tokens leased, routes, the access log in a file, metrics."""

    def __init__(self, name, binary, folder, upstream, with_filter=False):
        port = free_port()
        command = [pathlib.Path(binary).resolve(), "serve"]
        folder = own_folder(folder, name + ("-filter" if with_filter else ""))
        super().__init__(name, port, command, folder, GATEWAY_CPU)
        self.upstream, self.with_filter, self.reloads, self.swaps = upstream, with_filter, 0, 0
        (folder / "client_keys.txt").write_text(f"sk-one\nsk-two\n{CLIENT_KEY}\n")
        (folder / "upstream_keys.txt").write_text("sk-up-one\nsk-up-two\nsk-up-three\n")
        if with_filter:
            (folder / "plugins").mkdir()
            self.swap()
        self.reload()

    def reload(self):
        """Writes the config, another one each time."""
        self.reloads += 1
        plugin = '\n[plugins.nothing]\nfile = "libnothing.so"\n' if self.with_filter else ""
        config = AURORA.format(
            port=self.port,
            upstream=self.upstream,
            in_flight=20000 + self.reloads,
            plugin=plugin,
            filters='"nothing"' if self.with_filter else "",
        )
        self.replace("aurora.toml", config.encode())

    def swap(self):
        """Puts another version of the library in place: what is behind the end of one makes it another file."""
        self.swaps += 1
        self.replace("plugins/libnothing.so", FILTER_LIBRARY.read_bytes() + bytes(self.swaps))

    def generation(self):
        """How often it has changed what it serves with, by its log."""
        return self.log.read_text().count("aurora::reload: reloaded")

    def replace(self, name, content):
        new = self.folder / f"{name}.new"
        new.write_bytes(content)
        new.replace(self.folder / name)


def makers(folder, upstream, files, binaries):
    """What starts each gateway when called, and those of them that are Aurora; all in `folder`."""
    folder.mkdir()
    auroras = {name: functools.partial(Aurora, name, binary, folder, upstream) for name, binary in binaries.items()}
    peers = {
        "nginx": functools.partial(nginx, folder, upstream, files),
        "haproxy": functools.partial(haproxy, folder, upstream, files),
        "raw": functools.partial(raw, folder, upstream),
    }
    return peers | auroras, auroras


def own_folder(folder, name):
    """An empty one: what an instance before it left must not make the next one slower to start."""
    own = folder / name
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    return own
