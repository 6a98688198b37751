"""Slow and hostile clients, and one that is served meanwhile."""

import collections
import contextlib
import itertools
import os
import pathlib
import random
import resource
import selectors
import socket
import struct
import tempfile
import threading
import time

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
# How long an upload that was broken off may lie, in seconds.
IDLE = 10

# More than a kernel takes for a client that does not read.
LAYER = random.Random(0).randbytes(8 << 20)
UPLOAD = f"""\
POST /v2/org/hostile/blobs/uploads/?digest={digest_of(LAYER)} HTTP/1.1\r
Host: x\r
Content-Length: {len(LAYER)}\r
\r
""".encode()
TRUNCATED = UPLOAD + LAYER[:100_000]
READ = f"GET /v2/org/app/blobs/{digest_of(LAYER)} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


class Kind:
    """Clients that hold on to their connections: how many, for how long they may, what they begin with, what they add
    each second."""

    def __init__(self, count, within, begins=b"", adds=b"", reads=True):
        self.count, self.within, self.begins, self.adds, self.reads = count, within, begins, adds, reads


KINDS = {
    "says nothing": Kind(50, HEAD),
    "sends its head byte by byte": Kind(1000, HEAD, b"GET /v2/ HTTP/1.1\r\nX-Slow: ", b"a"),
    "stalls in a body": Kind(50, STALL, TRUNCATED),
    "sends its body byte by byte": Kind(50, STALL, UPLOAD, b"a"),
    "does not read": Kind(50, STALL, READ, reads=False),
}


class Held:
    """One of them."""

    def __init__(self, address, what):
        self.what, self.kind = what, KINDS[what]
        self.socket = socket.socket()
        if not self.kind.reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(address)
        self.began = time.monotonic()
        self.socket.sendall(self.kind.begins)
        self.socket.setblocking(False)
        self.answer = b""

    def add(self):
        try:
            self.socket.send(self.kind.adds)
        except OSError:
            pass  # It has been shown the door, as will be read.

    def has_ended(self):
        try:
            received = self.socket.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.answer += received
        return not received


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
                    reading.discard(one)
                    longest[one.what] = max(longest[one.what], time.monotonic() - one.began)
            if time.monotonic() >= second:
                second += 1
                for one in reading:
                    one.add()
                    if time.monotonic() - one.began > one.kind.within + LATE:
                        raise Loss(f"a client that {one.what} is still there after {one.kind.within + LATE} s")
    return longest


def come_and_go(address, answers, ended):
    """Clients that break off by themselves, one after the other, until it has ended."""
    while not ended.wait(0.2):
        for begins, leave in itertools.product([TRUNCATED, READ], [reset, half_close, socket.socket.close]):
            with socket.create_connection(address, timeout=20) as connection:
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


def sockets(server):
    """How many the server has open."""
    count = 0
    for descriptor in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            count += os.readlink(descriptor).startswith("socket:")
        except FileNotFoundError:
            pass  # Closed meanwhile.
    return count


def memory(server, what):
    """`VmRSS`, what is resident now, or `VmHWM`, the most that ever was; in bytes."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) << 10


def hostile():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with tempfile.TemporaryDirectory(prefix="swr-hostile-") as data:
        environment = {"SWR_UPLOADS__IDLE": f"{IDLE}s", "SWR_COLLECTION__INTERVAL": "1s"}
        # A mistake that is planted in the configuration, and not in the program.
        if os.environ.get("PLANTED_FAULT") == "patience without end":
            environment["SWR_HTTP__STALL"] = "1h"
        server = started(data, environment)
        try:
            kept = survived(server, data)
        finally:
            said = server.end()
        if said:
            raise Loss(f"it has something to say: {said}")
        left = {f"sha256:{name.partition('.')[0]}" for name in files(f"{data}/blobs/blobs")}
        if left != kept:
            raise Loss(f"nobody was told of {left - kept}, and {kept - left} are gone")
        scrub_finds_nothing(data)


def survived(server, data):
    """Gives the blobs that are to be there, and nothing else."""
    host, port = server.address.split(":")
    address = (host, int(port))
    healthy, answers = Healthy(server), collections.Counter()
    healthy.push(LAYER)
    with meanwhile(healthy.act):
        time.sleep(5)
    alone, healthy.pulls = healthy.p99(), []
    connections, before = sockets(server), memory(server, "VmRSS")

    held = [Held(address, what) for what, kind in KINDS.items() for _ in range(kind.count)]
    with meanwhile(healthy.act, lambda ended: come_and_go(address, answers, ended)):
        longest = hold_on(held)
    readers = f"a client that does not read is still there after {STALL + LATE} s"
    wait_until(held[-1].began + STALL + LATE, readers, lambda: sockets(server) <= connections)
    broken_off = f"uploads that were broken off are still there after {IDLE + LATE} s"
    wait_until(time.monotonic() + IDLE + LATE, broken_off, lambda: not files(f"{data}/blobs/uploads"))

    come_and_gone = answers.total()
    answers.update(status_of(one.answer) for one in held)
    if any(status and status >= 500 for status in answers):
        raise Loss(f"hostile clients were answered {dict(answers)}")
    most = memory(server, "VmHWM")
    if most > RESIDENT_MAX:
        raise Loss(f"{most >> 20} MiB were resident")
    print(f"{len(held)} clients held on, {come_and_gone} came and went; they were answered {dict(answers)}")
    for what, seconds in longest.items():
        print(f"{what}: gone after {seconds:.0f} s at the latest")
    after = memory(server, "VmRSS")
    print(f"resident: {before >> 20} MiB before, {most >> 20} MiB at most, {after >> 20} MiB afterwards")
    print(f"a healthy client: {len(healthy.blobs)} pushes, and {len(healthy.pulls)} pulls of a manifest meanwhile")
    print(f"the 99th percentile of these: {healthy.p99():.1f} ms, and {alone:.1f} ms when it was alone")
    return healthy.blobs
