"""Collection races those who push, delete and mount the same layers, two of them in each repository."""

import collections
import contextlib
import os
import pathlib
import random
import statistics
import tempfile
import threading
import time
import typing

from .registry import (
    Client,
    Loss,
    blob_is_whole,
    digest_of,
    expect,
    finish_upload,
    location,
    manifest_of,
    nothing_is_left_but,
    pull_whole,
    put_manifest,
    scrub_finds_nothing,
    started,
)

# What no repository links goes at once, and what lost its tag. A layer waits this long for its manifest, and half as
# long after somebody was told that it is there: the smallest hold that no push here takes longer than.
COLLECTED = {
    "SWR_COLLECTION__UNTAGGED_KEEP": "0s",
    "SWR_COLLECTION__LINK_HOLD": "20s",
    "SWR_COLLECTION__UNSAFE_SHORT_HOLD": "true",
}
OFTEN = {
    "back to back": COLLECTED | {"SWR_COLLECTION__INTERVAL": "1ms"},
    "each second": COLLECTED | {"SWR_COLLECTION__INTERVAL": "1s"},
    "never": {"SWR_COLLECTION__ENABLED": "false"},
}
# How often the cost of each is measured, in turn; and how much of the server's CPU a push may take with collection, as a
# multiple of what it takes without. The claim is 1.1 of an optimised program: the rest is what a busy machine makes of it.
# Back to back a round begins four times as long after the last one as that took: by itself the program comes no closer.
ROUNDS = 7
CPU_MAX = 1.5
CLIENTS, REPOSITORIES = 8, 4
LAYERS = 40


class Repository:
    """What several clients push to, and which layers some of them are at."""

    def __init__(self, name):
        self.name = name
        self.lock, self.in_use = threading.Lock(), collections.Counter()

    @contextlib.contextmanager
    def using(self, layers):
        """Meanwhile no client removes one of them: whoever asked for that would have to bear what comes of it."""
        digests = [digest_of(layer) for layer in layers]
        with self.lock:
            self.in_use.update(digests)
        try:
            yield digests
        finally:
            with self.lock:
                self.in_use.subtract(digests)


class Pusher:
    """A client whose images are made of layers that others have in theirs."""

    def __init__(self, number, seed, layers, repositories):
        self.shared = repositories[number % REPOSITORIES]
        self.repository = self.shared.name
        self.name, self.names = f"client {number}", [f"{tag}{number}" for tag in "abc"]
        self.random = random.Random(seed * 1000 + number)
        self.layers = layers
        # Tag → the manifest that was acknowledged, and the digests of its layers.
        self.tags = {}
        self.events = 0
        # How long each push took, in seconds; and how many layers were sent.
        self.pushes = []
        self.sent = 0

    def act(self, client):
        acts = [self.push, self.pull, self.remove, self.leave]
        self.random.choices(acts, [6, 2, 3, 1])[0](client)

    def push(self, client):
        began = time.monotonic()
        layers = self.random.sample(self.layers, self.random.randint(1, 4))
        with self.shared.using(layers) as digests:
            for layer in layers:
                self.bring(client, layer)
            described = [(digest, len(layer)) for digest, layer in zip(digests, layers)]
            # Of its own, so that whoever removes one removes no other client's.
            manifest = manifest_of(described, f"{self.name} {self.random.randrange(2)}")
            tag = self.random.choice(self.names)
            put_manifest(client, self.repository, tag, manifest)
        self.tags[tag] = (digest_of(manifest), digests)
        self.pushes.append(time.monotonic() - began)

    def bring(self, client, layer):
        """As clients do: it is there, is mounted, or else sent."""
        digest = digest_of(layer)
        status, _, said = client.ask("HEAD", f"/v2/{self.repository}/blobs/{digest}")
        expect((200, 404), f"HEAD {digest}", status, said)
        if status == 404:
            other = f"org/r{self.random.randrange(REPOSITORIES)}"
            path = f"/v2/{self.repository}/blobs/uploads/?mount={digest}&from={other}"
            status, headers, said = client.ask("POST", path, b"")
            expect((201, 202), f"POST {path}", status, said)
            if status == 202:
                finish_upload(client, location(headers), digest, layer)
                self.sent += 1

    def pull(self, client):
        for tag in self.names:
            found = pull_whole(client, self.repository, tag)
            known, _ = self.tags.get(tag, (None, []))
            if found != known:
                raise Loss(f"{self.repository}:{tag} is {found}, and was acknowledged as {known}")

    def remove(self, client):
        """An image, and its layers unless another one names them."""
        if not self.tags:
            return
        digest, layers = self.tags[self.random.choice(list(self.tags))]
        status, _, said = client.ask("DELETE", f"/v2/{self.repository}/manifests/{digest}")
        expect((202,), f"DELETE {digest}", status, said)
        self.tags = {tag: known for tag, known in self.tags.items() if known[0] != digest}
        for layer in layers:
            with self.shared.lock:
                if self.shared.in_use[layer] == 0:
                    # One that lost its tag may name it still, until collection comes by; which may take the link along.
                    status, _, said = client.ask("DELETE", f"/v2/{self.repository}/blobs/{layer}")
                    expect((202, 404, 405), f"DELETE {layer}", status, said)

    def leave(self, client):
        """A layer that no manifest comes for."""
        layer = self.random.choice(self.layers)
        with self.shared.using([layer]) as (digest,):
            self.bring(client, layer)
            blob_is_whole(client, self.repository, digest)


class Renewer(Pusher):
    """One that brings layers of its own and removes others: the same work, however often it is collected."""

    def act(self, client):
        self.layers = layers_of(self.random, 4)
        self.push(client)
        self.remove(client)


def layers_of(source, count):
    return [source.randbytes(source.choice([100, 20_000, 70_000, 300_000])) for _ in range(count)]


class Round(typing.NamedTuple):
    pushes: int
    # In milliseconds: the server's CPU for a push, and the 99th percentile of how long one takes.
    cpu: float
    p99: float


class Side:
    """A registry that collects so often, and its clients."""

    def __init__(self, data, environment, seed, kind):
        self.data, self.environment = data, environment
        layers = layers_of(random.Random(seed), LAYERS)
        repositories = [Repository(f"org/r{number}") for number in range(REPOSITORIES)]
        self.pushers = [kind(number, seed, layers, repositories) for number in range(CLIENTS)]

    def events(self):
        return sum(pusher.events for pusher in self.pushers)

    def sent(self):
        return sum(pusher.sent for pusher in self.pushers)

    def round(self, events):
        server = started(self.data, self.environment | {"SWR_LOG__LEVEL": "warn"})
        try:
            for pusher in self.pushers:
                pusher.pushes = []
            spent = cpu_seconds(server.process.pid)
            act_for(server, self.pushers, events)
            spent = cpu_seconds(server.process.pid) - spent
            client = Client(server)
            for pusher in self.pushers:
                pusher.pull(client)
            client.close()
        finally:
            said = server.end()
        if said:
            raise Loss(f"it has something to say: {said}")
        pushes = sorted(took for pusher in self.pushers for took in pusher.pushes)
        return Round(len(pushes), 1000 * spent / len(pushes), 1000 * pushes[len(pushes) * 99 // 100])

    def named(self):
        """The layers that images with a tag are made of."""
        return {layer for pusher in self.pushers for _, layers in pusher.tags.values() for layer in layers}

    def layers_left(self):
        return sum(1 for path in pathlib.Path(self.data, "blobs/blobs").rglob("*") if path.is_file())


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def act_for(server, pushers, events):
    """Lets the pushers act at once, each for its part of so many requests."""
    failures = []

    def act(pusher):
        client = Client(server)
        try:
            while client.asked < events / len(pushers) and not failures:
                pusher.act(client)
        except Exception as error:  # told below, in the main thread
            failures.append(error if isinstance(error, Loss) else Loss(f"{pusher.repository}: {error!r}"))
        finally:
            pusher.events += client.asked
            client.close()

    threads = [threading.Thread(target=act, args=(pusher,)) for pusher in pushers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def racing(events, seed):
    with tempfile.TemporaryDirectory(prefix="swr-racing-") as folder:
        side = Side(f"{folder}/raced", OFTEN["back to back"], seed, Pusher)
        for _ in range(3):
            side.round(events / 3)
        scrub_finds_nothing(side.data)
        sent, left = side.sent(), side.layers_left()
        if left >= sent:
            raise Loss(f"nothing was collected of {sent} layers that were sent")
        nothing_is_left_but(side.named(), side.data)
        print(f"{side.events()} requests raced collection, none refused;", end=" ")
        print(f"{left} of {sent} layers are left, none missing", flush=True)

        rounds = {often: [] for often in OFTEN}
        for number in range(ROUNDS):
            # There and back, each in a folder of its own: what a file system makes of one stays the same as long as it is
            # there. And nobody is left the writing of the one before.
            for often in list(OFTEN)[:: 1 if number % 2 == 0 else -1]:
                side = Side(f"{folder}/{often} {number}", OFTEN[often], seed + number, Renewer)
                os.sync()
                rounds[often].append(side.round(events / 5))
                nothing_is_left_but(side.named(), side.data)
        cost(rounds)


def cost(rounds):
    """What collection costs those who push. How long one takes is told and not judged: others use the machine too."""
    without, times = rounds["never"], {}
    for often, measured in rounds.items():
        # Of each round by itself: what else the machine does is much the same in one.
        times[often] = statistics.median(one.cpu / alone.cpu for one, alone in zip(measured, without))
        slower = statistics.median(one.p99 / alone.p99 for one, alone in zip(measured, without))
        cpu, p99 = (statistics.median(of) for of in zip(*((one.cpu, one.p99) for one in measured)))
        print(f"collection {often}: {sum(one.pushes for one in measured)} pushes;", end=" ")
        print(f"{cpu:.2f} ms of the server's CPU for one ({times[often]:.2f} x);", end=" ")
        print(f"99th percentile of how long one takes {p99:.0f} ms ({slower:.2f} x)")
    for often, multiple in times.items():
        if multiple > CPU_MAX:
            raise Loss(f"with collection {often} a push takes more than {CPU_MAX} x of the server's CPU")
