"""An account that floods, and another one that is served meanwhile."""

import collections
import contextlib
import http.client
import multiprocessing
import os
import random
import socket
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
# And how long who is beside it asks before, in seconds.
SETTLES = 0.2
# How often the one that is served asks, in a second: less than any limit here.
PACE = 90
# What a flood may make of how long its requests take: so many times as long as when the same account keeps within its
# limits, or this in milliseconds on a machine that has other things to do.
TIMES, FLOOR = 2, 30
# What a flood may be answered beside 429.
ANSWERED = (200, 201, 202)
# More than a kernel takes for a client that reads little at a time.
LAYER = random.Random(0).randbytes(8 << 20)


class Kind:
    """A flood: what is limited against it, over how many connections it comes, and what each asks again and again.

    Whoever keeps within the limit asks the same over `within` connections, each so often in a second at most.
    """

    def __init__(self, limit, connections, within, *asks):
        self.limit, self.connections, self.within, self.asks = limit, connections, within, asks


KINDS = {
    "requests": Kind({"RATE": "100", "BURST": "100"}, 32, (1, PACE), "GET", "/v2/flood/app/tags/list"),
    "pulls at once": Kind({"CONCURRENT": "4"}, 32, (4, None), "GET", f"/v2/flood/app/blobs/{digest_of(LAYER)}"),
    # Each counts as 4 MiB.
    "bodies at once": Kind(
        {"BODY_BYTES": "8MiB"}, 32, (2, None), "POST", f"/v2/flood/app/blobs/uploads/?digest={digest_of(LAYER)}", LAYER
    ),
    # Whoever has begun as many as may be asks for no more.
    "open uploads": Kind({"UPLOADS": "20"}, 4, (0, None), "POST", "/v2/flood/app/blobs/uploads/", b""),
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

    def round(self):
        """How long each of its requests takes, in milliseconds."""
        self.took, ends = [], time.monotonic() + LASTS
        while time.monotonic() < ends:
            self.push()
            for _ in range(4):
                self.pull()
        return [1000 * took for took in self.took]


@contextlib.contextmanager
def beside(server, user, asks, connections, pace, answers):
    """Meanwhile somebody asks for this, from another process, which has a core of its own if anybody has."""
    ours, theirs = multiprocessing.Pipe()
    others = multiprocessing.get_context("fork").Process(
        target=ask_until_told, args=(server, user, asks, connections, pace, theirs)
    )
    others.start()
    time.sleep(SETTLES)
    try:
        yield
    finally:
        ours.send("end")
        answers.update(ours.recv())
        # With whatever it waits for.
        others.kill()
        others.join()


def ask_until_told(server, user, asks, connections, pace, pipe):
    answers = collections.Counter()

    def ask():
        while True:
            client = Client(server, user)
            try:
                client.connection.connect()
                client.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                while True:
                    status, headers, _ = client.ask(*asks)
                    waits = headers.get("retry-after", "")
                    answers[(status, status != 429 or waits.isdecimal() and int(waits) > 0)] += 1
                    if pace:
                        time.sleep(1 / pace)
            except (OSError, http.client.HTTPException):
                answers[(None, True)] += 1  # Where a body is refused, it is not read.
            finally:
                client.close()

    for _ in range(connections):
        threading.Thread(target=ask, daemon=True).start()
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
    calm, user = Calm(server, users["calm"]), users["flood"]
    alone, within, flooded = [], [], []
    kept, answers = collections.Counter(), collections.Counter()
    for _ in range(ROUNDS):
        alone += calm.round()
        with beside(server, user, kind.asks, *kind.within, kept):
            within += calm.round()
        with beside(server, user, kind.asks, kind.connections, None, answers):
            flooded += calm.round()
    judge(what, kept, answers, *map(p99, (alone, within, flooded)))


def p99(took):
    return sorted(took)[len(took) * 99 // 100]


def told(answers):
    return {status: sum(count for (other, _), count in answers.items() if other == status) for status, _ in answers}


def judge(what, kept, answers, alone, within, flooded):
    print(f"{what}: a flood was answered {told(answers)}, whoever keeps within the limit {told(kept)}.", end=" ")
    print(f"The 99th percentile of others is {alone:.1f} ms alone, {within:.1f} beside the one and", end=" ")
    print(f"{flooded:.1f} beside the flood ({flooded / within:.2f} x)", flush=True)
    if not told(kept).keys() <= {*ANSWERED}:
        raise Loss(f"{what}: somebody who keeps within the limit was answered {told(kept)}")
    if answers[(429, False)]:
        raise Loss(f"{what}: somebody was refused and not told when to come again")
    if not told(answers).keys() <= {*ANSWERED, 429, None}:
        raise Loss(f"{what}: a flood was answered {told(answers)}")
    if not answers[(429, True)]:
        raise Loss(f"{what}: nothing of a flood was refused")
    if flooded > max(TIMES * within, FLOOR):
        raise Loss(f"{what}: beside a flood others wait {flooded:.0f} ms, more than {TIMES} x as long and {FLOOR} ms")
