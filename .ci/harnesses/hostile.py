"""Slow and hostile clients of HTTP/1.1, HTTP/2 and TLS, and one that is served meanwhile."""

import collections
import contextlib
import itertools
import os
import pathlib
import random
import resource
import selectors
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

from . import http2
from .registry import (
    Client,
    Loss,
    digest_of,
    expect,
    files,
    manifest_of,
    pull_whole,
    push_blob,
    put_manifest,
    scrub_finds_nothing,
    started,
)

# How long a head may take; and how long a body or a reader may stand still, as `http.stall` is by default. In seconds.
HEAD, STALL = 10, 60
# What a busy machine is allowed beyond that.
LATE = 20
# The most that the server may have in memory, in bytes.
RESIDENT_MAX = 256 << 20
# How long an upload that was broken off may lie, and how long requests that do not end hold up the server's end; in
# seconds.
IDLE, DRAIN = 10, 5
# How many files a server may have open that has few of them.
FILES = 128

# More than a kernel takes for a client that does not read.
LAYER = random.Random(0).randbytes(8 << 20)
UPLOADED = f"/v2/org/hostile/blobs/uploads/?digest={digest_of(LAYER)}"
UPLOAD = f"""\
POST {UPLOADED} HTTP/1.1\r
Host: x\r
Content-Length: {len(LAYER)}\r
\r
""".encode()
TRUNCATED = UPLOAD + LAYER[:100_000]
BLOB = f"/v2/org/app/blobs/{digest_of(LAYER)}"
READ = f"GET {BLOB} HTTP/1.1\r\nHost: x\r\n\r\n".encode()

# How many streams there are on a connection that has many, which are fewer than may be.
STREAMS = range(1, 200, 2)
# How many frames of a flood there are in a second, on each of its connections.
FLOOD = 5000
OPENED = http2.begins() + http2.head(1, "POST", UPLOADED)


def pulls(streams, window):
    """Begins so many pulls at once, of which so much may be sent."""
    heads = [http2.head(stream, "GET", BLOB, http2.END_HEADERS | http2.END_STREAM) for stream in streams]
    return http2.begins(window) + http2.window_update(http2.WINDOW_MAX - 65_535) + b"".join(heads)


def taken_back(second):
    """Streams that are begun and taken back at once, on and on."""
    first = second * FLOOD * 2 + 1
    pairs = (http2.head(stream, "GET", BLOB) + http2.reset(stream) for stream in range(first, first + FLOOD * 2, 2))
    return b"".join(pairs)


# Each kind has one of its own, as each address has its share of the server.
ADDRESSES = (f"127.0.1.{number}" for number in itertools.count(1))


class Kind:
    """Clients that hold on to their connections: how many, for how long they may, what they begin with, what they add
    in which second. Who has `streams` may keep the connection once all of these were ended. Who is `secret` shakes hands
    before."""

    def __init__(self, count, within, begins=b"", adds=lambda second: b"", reads=True, streams=(), secret=False):
        self.address, self.secret = next(ADDRESSES), secret
        self.count, self.within, self.begins, self.adds = count, within, begins, adds
        self.reads, self.streams = reads, set(streams)


KINDS = {
    "says nothing": Kind(50, HEAD),
    "sends its head byte by byte": Kind(1000, HEAD, b"GET /v2/ HTTP/1.1\r\nX-Slow: ", lambda _: b"a"),
    "stalls in a body": Kind(50, STALL, TRUNCATED),
    "sends its body byte by byte": Kind(50, STALL, UPLOAD, lambda _: b"a"),
    "does not read": Kind(50, STALL, READ, reads=False),
    "begins HTTP/2 and says nothing": Kind(20, HEAD, http2.PREFACE),
    "opens no stream": Kind(20, HEAD, http2.begins()),
    "sends its head frame by frame": Kind(
        20,
        HEAD,
        http2.begins() + http2.frame(http2.HEADERS, b"\x82\x86\x84", 0, 1),
        lambda second: http2.frame(http2.CONTINUATION, b"\x00\x01a\x01b", 0, 1) if second % 3 == 0 else b"",
    ),
    "sends a head without end": Kind(
        4,
        HEAD,
        http2.begins() + http2.frame(http2.HEADERS, b"\x00\x7f" + b"\xff" * 4, 0, 1),
        lambda _: http2.frame(http2.CONTINUATION, b"a" * 16_000, 0, 1) * 20,
    ),
    "packs much into a head": Kind(4, HEAD, http2.begins(), lambda second: http2.much(2 * second + 1)),
    "takes streams back": Kind(4, HEAD, http2.begins(), taken_back),
    "floods with pings": Kind(2, HEAD, http2.begins(), lambda _: http2.frame(http2.PING, b"a" * 8) * FLOOD),
    "floods with settings": Kind(2, HEAD, http2.begins(), lambda _: http2.frame(http2.SETTINGS) * FLOOD),
    "floods with windows": Kind(2, HEAD, http2.begins(), lambda _: http2.window_update(1) * FLOOD),
    "floods with nothing in a body": Kind(
        2, STALL, OPENED, lambda _: http2.frame(http2.DATA, stream=1) * FLOOD, streams=[1]
    ),
    "pings once it was answered": Kind(
        4,
        STALL,
        http2.begins() + http2.head(1, "GET", "/v2/", http2.END_HEADERS | http2.END_STREAM),
        lambda _: http2.frame(http2.PING, b"a" * 8),
    ),
    "sends the body of a stream byte by byte": Kind(
        20, STALL, OPENED, lambda _: http2.frame(http2.DATA, b"a", 0, 1), streams=[1]
    ),
    "opens streams and sends nothing": Kind(
        4,
        STALL,
        http2.begins() + b"".join(http2.head(one, "POST", UPLOADED) for one in STREAMS),
        streams=STREAMS,
    ),
    "has no window": Kind(2, STALL, pulls(STREAMS, 0), streams=STREAMS),
    "does not read its streams": Kind(6, STALL, pulls(STREAMS, http2.WINDOW_MAX), reads=False),
}
# Trusts whoever it is.
SECRET = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
SECRET.check_hostname, SECRET.verify_mode = False, ssl.CERT_NONE
SECRET.set_alpn_protocols(["h2"])
# The beginning of a handshake.
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
OVER_TLS = {
    "never says hello": Kind(50, HEAD),
    "says hello byte by byte": Kind(200, HEAD, HELLO, lambda _: b"a"),
    "shakes hands and says nothing": Kind(20, HEAD, secret=True),
    "opens no stream in secret": Kind(20, HEAD, http2.begins(), secret=True),
    "takes a byte of each answer": Kind(1, STALL, pulls(STREAMS, 1), streams=STREAMS, secret=True),
}


class Held:
    """One of them."""

    def __init__(self, server, what, kind):
        self.what, self.kind = what, kind
        self.socket = socket.socket()
        if not kind.reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.bind((kind.address, 0))
        self.socket.connect(address_of(server))
        if kind.secret:
            self.socket = SECRET.wrap_socket(self.socket)
            if self.socket.selected_alpn_protocol() != "h2":
                raise Loss("no HTTP/2 is spoken over TLS")
        self.began = time.monotonic()
        self.socket.sendall(kind.begins)
        self.socket.setblocking(False)
        self.answer = self.unsent = b""
        self.heard = http2.Heard() if kind.begins.startswith(http2.PREFACE) else None
        self.seconds = 0

    def add(self):
        if not self.unsent:
            self.unsent = self.kind.adds(self.seconds)
            self.seconds += 1
        self.send()

    def send(self):
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except OSError:
            pass  # It reads no more, or it has been shown the door, as will be read.

    def has_ended(self):
        try:
            received = self.socket.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        if self.heard is None:
            self.answer += received
            return not received
        self.unsent += self.heard.take(received)
        self.send()
        return not received or bool(self.kind.streams) and self.kind.streams <= self.heard.ended

    def statuses(self):
        return self.heard.statuses if self.heard else [status_of(self.answer)]


def address_of(server):
    host, port = server.address.split(":")
    return host, int(port)


def hold_on(held):
    """Sees those who read to their end. Says how long the longest of each kind was there."""
    longest = collections.Counter()
    reading = {one for one in held if one.kind.reads}
    with selectors.DefaultSelector() as selector:
        for one in reading:
            selector.register(one.socket, selectors.EVENT_READ, one)
        second = time.monotonic()
        while reading:
            for key, _ in selector.select(max(0, second - time.monotonic())):
                one = key.data
                if one.has_ended():
                    selector.unregister(one.socket)
                    one.socket.close()
                    reading.discard(one)
                    longest[one.what] = max(longest[one.what], time.monotonic() - one.began)
            if time.monotonic() >= second:
                second += 1
                for one in reading:
                    one.add()
                    if time.monotonic() - one.began > one.kind.within + LATE:
                        raise Loss(f"a client that {one.what} is still there after {one.kind.within + LATE} s")
    return longest


def come_and_go(server, answers, ended):
    """Clients that break off by themselves, one after the other, until it has ended."""
    while not ended.wait(0.2):
        for begins, leave in itertools.product([TRUNCATED, READ], [reset, half_close, socket.socket.close]):
            with socket.create_connection(address_of(server), timeout=20) as connection:
                connection.sendall(begins)
                leave(connection)
                answers[answered(connection)] += 1


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def half_close(connection):
    connection.shutdown(socket.SHUT_WR)


def answered(connection):
    """The status that the rest of what comes begins with, or none."""
    answer = b""
    try:
        while received := connection.recv(1 << 20):
            answer = answer or received
    except OSError:
        pass  # It is closed, on this side or on that.
    return status_of(answer)


def status_of(answer):
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else None


class Healthy:
    """A client that pushes and pulls, and is served."""

    def __init__(self, server):
        self.server = server
        # What it was told is there.
        self.blobs = set()
        # How long each pull of a manifest took, in seconds.
        self.pulls = []

    def act(self, ended):
        while not ended.is_set():
            self.push(os.urandom(100_000))

    def push(self, content):
        """An image, which is there; over a connection of its own."""
        client = Client(self.server)
        self.blobs.add(push_blob(client, "org/app", content))
        manifest = manifest_of([(digest_of(content), len(content))], "")
        digest = digest_of(manifest)
        put_manifest(client, "org/app", digest, manifest)
        for _ in range(10):
            began = time.monotonic()
            status, _, said = client.ask("GET", f"/v2/org/app/manifests/{digest}")
            self.pulls.append(time.monotonic() - began)
            expect((200,), "GET of a manifest", status, said)
        pull_whole(client, "org/app", digest)
        client.close()

    def p99(self):
        return sorted(self.pulls)[len(self.pulls) * 99 // 100] * 1000


@contextlib.contextmanager
def meanwhile(*acts):
    """Each of them goes on for as long as this does."""
    ended = threading.Event()
    failures = []

    def go_on(act):
        try:
            act(ended)
        except Exception as error:  # told below, in the main thread
            failures.append(error if isinstance(error, Loss) else Loss(f"meanwhile: {error!r}"))

    threads = [threading.Thread(target=go_on, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def wait_until(deadline, otherwise, holds):
    while not holds():
        if time.monotonic() > deadline:
            raise Loss(otherwise)
        time.sleep(0.2)


def memory(server, what):
    """`VmRSS`, what is resident now, or `VmHWM`, the most that ever was; in bytes."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) << 10


def hostile():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with tempfile.TemporaryDirectory(prefix="swr-hostile-") as folder:
        environment = {
            "SWR_UPLOADS__IDLE": f"{IDLE}s",
            "SWR_COLLECTION__INTERVAL": "1s",
            "SWR_HTTP__DRAIN": f"{DRAIN}s",
        }
        # A mistake that is planted in the configuration, and not in the program.
        if os.environ.get("PLANTED_FAULT") == "patience without end":
            environment["SWR_HTTP__STALL"] = "1h"
        plain, over_tls, scarce = (f"{folder}/{name}" for name in ("plain", "tls", "scarce"))
        with served(plain, environment) as server, served(over_tls, environment, pair=pair_in(folder)) as tls:
            survived(server, tls, plain)
        with served(scarce, environment, ["prlimit", f"--nofile={FILES}"]) as server:
            goes_on_without_files(server)


@contextlib.contextmanager
def served(data, environment, under=(), pair=None):
    """Gives somebody healthy, with a server which comes to its end whoever is still there. Then there is what it was
    given, and nothing else."""
    if pair:
        environment = environment | {"SWR_TLS__CERTIFICATE": pair[0], "SWR_TLS__KEY": pair[1]}
    server = started(data, environment, under)
    if pair:
        server.context = ssl.create_default_context(cafile=pair[0])
    healthy, last = Healthy(server), OVER_TLS if pair else KINDS
    try:
        healthy.push(LAYER)
        yield healthy
        last = [Held(server, what, kind) for what, kind in last.items()]
    finally:
        began = time.monotonic()
        said = server.end()
    took = time.monotonic() - began
    if server.process.returncode != 0 or took > DRAIN + LATE:
        raise Loss(f"its end took {took:.0f} s, and came to {server.process.returncode}")
    if said:
        raise Loss(f"it has something to say: {said}")
    left = {f"sha256:{name.partition('.')[0]}" for name in files(f"{data}/blobs/blobs")}
    if left != healthy.blobs:
        raise Loss(f"nobody was told of {left - healthy.blobs}, and {healthy.blobs - left} are gone")
    scrub_finds_nothing(data)


def pair_in(folder):
    """A certificate for this machine, and its key."""
    certificate, key = f"{folder}/certificate", f"{folder}/key"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    named = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, *named, "-out", certificate, "-keyout", key], check=True, stderr=subprocess.DEVNULL)
    return certificate, key


def survived(healthy, over_tls, data):
    server = healthy.server
    with meanwhile(healthy.act):
        time.sleep(5)
    alone, healthy.pulls = healthy.p99(), []
    connections, before = server.sockets(), memory(server, "VmRSS")

    answers = collections.Counter()
    held = [Held(server, what, kind) for what, kind in KINDS.items() for _ in range(kind.count)]
    held += [Held(over_tls.server, what, kind) for what, kind in OVER_TLS.items() for _ in range(kind.count)]
    with meanwhile(healthy.act, over_tls.act, lambda ended: come_and_go(server, answers, ended)):
        longest = hold_on(held)
    readers = f"a client that does not read is still there after {STALL + LATE} s"
    wait_until(held[-1].began + STALL + LATE, readers, lambda: server.sockets() <= connections)
    broken_off = f"uploads that were broken off are still there after {IDLE + LATE} s"
    wait_until(time.monotonic() + IDLE + LATE, broken_off, lambda: not files(f"{data}/blobs/uploads"))

    come_and_gone = answers.total()
    for one in held:
        answers.update(one.statuses())
    if any(status and status >= 500 for status in answers):
        raise Loss(f"hostile clients were answered {dict(answers)}")
    print(f"{len(held)} clients held on, {come_and_gone} came and went; they were answered {dict(answers)}")
    for what, seconds in longest.items():
        print(f"{what}: gone after {seconds:.0f} s at the latest")
    for server in (healthy.server, over_tls.server):
        most, after = memory(server, "VmHWM"), memory(server, "VmRSS")
        if most > RESIDENT_MAX:
            raise Loss(f"{most >> 20} MiB were resident")
        print(f"resident: {before >> 20} MiB before, {most >> 20} MiB at most, {after >> 20} MiB afterwards")
    print(f"a healthy client: {len(healthy.blobs)} pushes, and {len(healthy.pulls)} pulls of a manifest meanwhile")
    print(f"the 99th percentile of these: {healthy.p99():.1f} ms, and {alone:.1f} ms when it was alone")


def goes_on_without_files(healthy):
    """Whoever has few files shares them out, and goes on though there are none."""
    server = healthy.server
    pid, alone = server.process.pid, server.sockets()
    few = [Held(server, what, KINDS[what]) for what in ["has no window"] * 10]
    time.sleep(3)
    for one in few:
        one.has_ended()
        if any(status >= 500 for status in one.statuses()):
            raise Loss("there were no files for what was begun")
        one.socket.close()
    gone = f"clients that have gone are still there after {LATE} s"
    wait_until(time.monotonic() + LATE, gone, lambda: server.sockets() <= alone)
    # Fewer than it was told of, because of whatever is beside it.
    left = len(open_files(pid)) + 5
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (left, FILES))
    none = [Held(server, what, KINDS[what]) for what in ["says nothing"] * 100]
    time.sleep(1)
    before = processor_time(pid)
    time.sleep(4)
    spent = processor_time(pid) - before
    if len(open_files(pid)) < left:
        raise Loss("there are files that it could have opened")
    if spent > 1:
        raise Loss(f"it spent {spent:.1f} s of 4 on connections that it cannot have")
    for one in none:
        one.socket.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (FILES, FILES))
    healthy.push(os.urandom(100_000))
    print(f"without files: {spent:.1f} s of 4 were spent, and it went on")


def open_files(pid):
    return os.listdir(f"/proc/{pid}/fd")


def processor_time(pid):
    """How long processors have worked for it, in seconds."""
    spent = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")
