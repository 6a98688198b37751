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
# And how long the others have been asking before it begins.
SETTLES = 0.2
# How long the server may take to notice that they are gone, in seconds.
NOTICES = 10
# How often the one that is served asks, in a second: less than any limit here.
PACE = 90
# What a flood may make of how long others wait: so many times as long as beside somebody who keeps within the same limits,
# or this in milliseconds on a machine that has other things to do.
TIMES, FLOOR = 2, 30
# How long a refusal takes, in seconds, and how much is read in one of what is sent all the same.
REFUSAL, UNWANTED = 0.1, 128 << 20
# What a flood may be answered beside 429.
ANSWERED = (200, 201, 202)
# More than a kernel takes for a client that reads little at a time.
LAYER = random.Random(0).randbytes(8 << 20)


class Kind:
    """A flood: what is limited against it, over how many connections it comes, and what each asks again and again.

    Whoever keeps within the limit asks the same over so many connections, and each at most so often in a second, if
    anything.
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


class Others:
    """Those that ask for something again and again."""

    def __init__(self, asks, connections, pace=None):
        self.asks, self.connections, self.pace = asks, connections, pace
        self.answers, self.seconds = collections.Counter(), 0

    def told(self):
        """How often each status came."""
        told = collections.Counter()
        for (status, _), count in self.answers.items():
            told[status] += count
        return dict(told)


@contextlib.contextmanager
def beside(server, user, others):
    """Meanwhile somebody asks for this, from another process, which has a core of its own if anybody has."""
    before = server.sockets()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=ask_until_told, args=(server, user, others, theirs))
    began = time.monotonic()
    process.start()
    theirs.close()
    time.sleep(SETTLES)
    try:
        yield
    finally:
        ours.send("end")
        others.answers.update(ours.recv())
        others.seconds += time.monotonic() - began
        # With whatever it waits for; until the server has noticed, that has its places.
        process.kill()
        process.join()
    ends = time.monotonic() + NOTICES
    while server.sockets() > before:
        if time.monotonic() > ends:
            raise Loss(f"{NOTICES} s after they have gone, the connections of others are there")
        time.sleep(0.01)


def ask_until_told(server, user, others, pipe):
    answers = collections.Counter()

    def ask():
        while True:
            client = Client(server, user)
            try:
                client.connection.connect()
                client.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                while True:
                    status, headers, _ = client.ask(*others.asks)
                    waits = headers.get("retry-after", "")
                    answers[(status, status != 429 or waits.isdecimal() and int(waits) > 0)] += 1
                    if others.pace:
                        time.sleep(1 / others.pace)
            except (OSError, http.client.HTTPException):
                answers[(None, True)] += 1  # Where a body is refused, it is not read.
            finally:
                client.close()

    for _ in range(others.connections):
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
    kept, flood = Others(kind.asks, *kind.within), Others(kind.asks, kind.connections)
    alone, within, flooded = [], [], []
    # There and back, since the disk may be slower later on.
    for number in range(ROUNDS):
        for others, took in [(kept, within), (None, alone), (flood, flooded)][:: -1 if number % 2 else 1]:
            with beside(server, user, others) if others else contextlib.nullcontext():
                took += calm.round()
    judge(what, kept, flood, *map(p99, (alone, within, flooded)))


def p99(took):
    return sorted(took)[len(took) * 99 // 100]


def judge(what, kept, flood, alone, within, flooded):
    print(f"{what}: a flood was answered {flood.told()}, whoever keeps within the limit {kept.told()}.", end=" ")
    print(f"The 99th percentile of others is {alone:.1f} ms alone, {within:.1f} beside the one and", end=" ")
    print(f"{flooded:.1f} beside the flood ({flooded / within:.2f} x)", flush=True)
    if not kept.told().keys() <= {*ANSWERED}:
        raise Loss(f"{what}: somebody who keeps within the limit was answered {kept.told()}")
    # Pulls are never done here, and more uploads are not asked for.
    if kept.connections and not kept.answers and flood.told().keys() & {*ANSWERED}:
        raise Loss(f"{what}: a flood is served, and nobody who keeps within the limit")
    if flood.answers[(429, False)]:
        raise Loss(f"{what}: somebody was refused and not told when to come again")
    if not flood.told().keys() <= {*ANSWERED, 429, None}:
        raise Loss(f"{what}: a flood was answered {flood.told()}")
    refused = flood.answers[(429, True)]
    if not refused:
        raise Loss(f"{what}: nothing of a flood was refused")
    # Each of its connections asks once more in each round before it is told so.
    most = flood.connections * (flood.seconds / REFUSAL + ROUNDS)
    if refused > most:
        raise Loss(f"{what}: a flood was refused {refused} times, and not {most:.0f} as its connections may be")
    # The kernels take a part of each.
    unwanted = refused * len(flood.asks[2]) if len(flood.asks) > 2 else 0
    if unwanted > 2 * UNWANTED * flood.seconds:
        raise Loss(f"{what}: {unwanted >> 20} MiB that nobody wanted were read in {flood.seconds:.0f} s")
    if flooded > max(TIMES * within, FLOOR):
        raise Loss(f"{what}: beside a flood others wait {flooded:.0f} ms, more than {TIMES} x as long and {FLOOR} ms")
