"""An account that floods, and another one that is served meanwhile."""

import collections
import contextlib
import http.client
import multiprocessing
import os
import random
import socket
import statistics
import tempfile
import threading
import time

from .registry import (
    Client,
    Loss,
    administrator_of,
    administrator_of_another,
    digest_of,
    expect,
    manifest_of,
    push_blob,
    put_manifest,
    started,
)

# How many rounds there are of each, and how long one lasts, in seconds.
ROUNDS, LASTS = 5, 1.5
# How often the one that is served asks, in a second: less than any limit here.
PACE = 50
# What a flood may make of how long its requests take: so many times as long as when it is alone, or this in milliseconds
# on a machine that has other things to do.
TIMES, FLOOR = 5, 500
# What a flood may be answered beside 429.
ANSWERED = (200, 201, 202)
# More than a kernel takes for a client that reads little at a time.
LAYER = random.Random(0).randbytes(8 << 20)


class Kind:
    """A flood: what is limited against it, over how many connections it comes, and what each asks again and again."""

    def __init__(self, limit, connections, *asks):
        self.limit, self.connections, self.asks = limit, connections, asks


KINDS = {
    "requests": Kind({"RATE": "100", "BURST": "100"}, 32, "GET", "/v2/flood/app/tags/list"),
    "pulls at once": Kind({"CONCURRENT": "4"}, 32, "GET", f"/v2/flood/app/blobs/{digest_of(LAYER)}"),
    "bodies at once": Kind(
        {"BODY_BYTES": "8MiB"}, 32, "POST", f"/v2/flood/app/blobs/uploads/?digest={digest_of(LAYER)}", LAYER
    ),
    "open uploads": Kind({"UPLOADS": "20"}, 4, "POST", "/v2/flood/app/blobs/uploads/", b""),
}


class Calm:
    """One that pushes and pulls at its pace, and is refused nothing."""

    def __init__(self, server, user):
        self.client, self.random = Client(server, user), random.Random(0)
        self.manifests = []
        # How long each request took, in seconds.
        self.took = []
        self.push()

    def push(self):
        content = self.random.randbytes(20_000)
        digest = self.asking(push_blob, self.client, "calm/app", content)
        manifest = manifest_of([(digest, len(content))], "")
        self.asking(put_manifest, self.client, "calm/app", "latest", manifest)
        self.manifests.append(digest_of(manifest))

    def pull(self):
        path = f"/v2/calm/app/manifests/{self.random.choice(self.manifests)}"
        status, _, said = self.asking(self.client.ask, "GET", path)
        expect((200,), f"GET {path}", status, said)

    def asking(self, ask, *arguments):
        began = time.monotonic()
        answer = ask(*arguments)
        self.took.append(time.monotonic() - began)
        time.sleep(1 / PACE)
        return answer

    def p99(self):
        """The 99th percentile of how long its requests take in a round, in milliseconds."""
        self.took, ends = [], time.monotonic() + LASTS
        while time.monotonic() < ends:
            self.push()
            for _ in range(4):
                self.pull()
        return 1000 * sorted(self.took)[len(self.took) * 99 // 100]


@contextlib.contextmanager
def flooded(server, user, kind, answers):
    """Meanwhile it comes from another process, which has a core of its own if anybody has."""
    ours, theirs = multiprocessing.Pipe()
    flood = multiprocessing.get_context("fork").Process(target=flood_until_told, args=(server, user, kind, theirs))
    flood.start()
    try:
        yield
    finally:
        ours.send("end")
        answers.update(ours.recv())
        # With whatever it waits for.
        flood.kill()
        flood.join()


def flood_until_told(server, user, kind, pipe):
    answers = collections.Counter()

    def flood():
        while True:
            client = Client(server, user)
            try:
                client.connection.connect()
                client.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                while True:
                    status, headers, _ = client.ask(*kind.asks)
                    waits = headers.get("retry-after", "")
                    answers[(status, status != 429 or waits.isdecimal() and int(waits) > 0)] += 1
            except (OSError, http.client.HTTPException):
                answers[(None, True)] += 1  # Where a body is refused, it is not read.
            finally:
                client.close()

    for _ in range(kind.connections):
        threading.Thread(target=flood, daemon=True).start()
    pipe.recv()
    pipe.send(answers.copy())
    pipe.recv()


def limits():
    with tempfile.TemporaryDirectory(prefix="swr-limits-") as data:
        users = {"calm": administrator_of(data), "flood": administrator_of_another(data, "flooding")}
        for what, kind in KINDS.items():
            environment = {f"SWR_LIMITS__ACCOUNT__{name}": value for name, value in kind.limit.items()}
            # A mistake that is planted in the configuration, and not in the program.
            if os.environ.get("PLANTED_FAULT") == "no limits":
                environment = {}
            server = started(data, environment | {"SWR_LIMITS__HOLD": "100ms"}, mode=())
            try:
                held_off(what, kind, server, users)
            finally:
                said = server.end()
            if said:
                raise Loss(f"it has something to say: {said}")


def held_off(what, kind, server, users):
    client = Client(server, users["flood"])
    for name, user in users.items():
        # There from the first kind on.
        status, _, said = user.manage(client, "POST", "namespaces", {"namespace": name})
        expect((201, 409), f"making the organisation {name}", status, said)
    push_blob(client, "flood/app", LAYER)
    put_manifest(client, "flood/app", "latest", manifest_of([(digest_of(LAYER), len(LAYER))], ""))
    client.close()
    calm = Calm(server, users["calm"])
    alone, beside, answers = [], [], collections.Counter()
    for _ in range(ROUNDS):
        alone.append(calm.p99())
        with flooded(server, users["flood"], kind, answers):
            beside.append(calm.p99())
    judge(what, answers, statistics.median(alone), statistics.median(beside))


def judge(what, answers, alone, beside):
    told = {status: count for (status, _), count in answers.items()}
    print(f"{what}: a flood was answered {told}; the 99th percentile of others is {beside:.0f} ms", end=" ")
    print(f"beside it, and {alone:.0f} ms when they are alone ({beside / alone:.1f} x)", flush=True)
    if answers[(429, False)]:
        raise Loss(f"{what}: somebody was refused and not told when to come again")
    if not told.keys() <= {*ANSWERED, 429, None}:
        raise Loss(f"{what}: a flood was answered {told}")
    if not answers[(429, True)]:
        raise Loss(f"{what}: nothing of a flood was refused")
    if beside > max(TIMES * alone, FLOOR):
        raise Loss(f"{what}: others wait {beside:.0f} ms, more than {TIMES} x as long and {FLOOR} ms")
