"""What clients were told, and load by many of them."""

import random
import threading
import time

from .registry import (
    CUT,
    Client,
    Loss,
    blob_is_whole,
    digest_of,
    expect,
    finish_upload,
    location,
    manifest_of,
    pull_whole,
    push_blob,
    put_manifest,
)


class Ledger:
    """What one client was told of its repository, and what it does not know because no answer came."""

    TAGS = ["latest", "a", "b", "c"]

    def __init__(self, number, seed):
        self.repository = f"org/r{number}"
        self.other = f"org/m{number}"
        self.random = random.Random(seed * 1000 + number)
        self.tags = {tag: {None} for tag in self.TAGS}
        # Blobs sent since the last start; those of them that were acknowledged, which are held whatever names them; and
        # those of these that the other repository was given as well.
        self.sent, self.blobs, self.mounted = set(), set(), set()
        # Of an upload that is open: its path, what of it was acknowledged, and what was not.
        self.open = None
        self.acknowledged = 0

    def content(self):
        length = self.random.choice([1, 100, 5000, 70_000, 1_200_000])
        return self.random.randbytes(length)

    def act(self, client):
        acts = [self.push, self.append, self.mount, self.pull, self.remove_tag, self.remove]
        self.random.choices(acts, [6, 2, 1, 2, 1, 1])[0](client)
        self.acknowledged += 1

    def push(self, client):
        blobs = []
        for _ in range(self.random.randint(1, 3)):
            content = self.content()
            digest = digest_of(content)
            self.sent.add(digest)
            push_blob(client, self.repository, content, self.random.choice([1, 1, 2]))
            self.blobs.add(digest)
            blobs.append((digest, len(content)))
        tag = self.random.choice(self.TAGS)
        manifest = manifest_of(blobs, str(self.random.random()))
        digest = digest_of(manifest)
        # Until there is an answer it is either.
        self.tags[tag] = self.tags[tag] | {digest}
        put_manifest(client, self.repository, tag, manifest)
        self.tags[tag] = {digest}

    def mount(self, client):
        if self.blobs:
            digest = self.random.choice(sorted(self.blobs))
            path = f"/v2/{self.other}/blobs/uploads/?mount={digest}&from={self.repository}"
            status, _, said = client.ask("POST", path, b"")
            expect((201,), f"POST {path}", status, said)
            self.mounted.add(digest)

    def remove_tag(self, client):
        tag = self.random.choice(self.TAGS)
        self.tags[tag] = self.tags[tag] | {None}
        status, _, said = client.ask("DELETE", f"/v2/{self.repository}/manifests/{tag}")
        expect((202, 404), f"DELETE {tag}", status, said)
        self.tags[tag] = {None}

    def remove(self, client):
        """A manifest, which takes all of its tags along."""
        tag = self.random.choice(self.TAGS)
        (digest,) = self.tags[tag]
        if digest is None:
            return
        of_it = [tag for tag, known in self.tags.items() if known == {digest}]
        for tag in of_it:
            self.tags[tag] = {digest, None}
        status, _, said = client.ask("DELETE", f"/v2/{self.repository}/manifests/{digest}")
        expect((202,), f"DELETE {digest}", status, said)
        for tag in of_it:
            self.tags[tag] = {None}

    def pull(self, client):
        tag = self.random.choice(self.TAGS)
        found = pull_whole(client, self.repository, tag)
        if found not in self.tags[tag]:
            raise Loss(f"{self.repository}:{tag} is {found}, and was acknowledged as {self.tags[tag]}")

    def append(self, client):
        """Adds to an upload, which a kill may leave open."""
        if self.open is None:
            status, headers, said = client.ask("POST", f"/v2/{self.repository}/blobs/uploads/", b"")
            expect((202,), "POST", status, said)
            self.open = (location(headers), b"", b"")
        path, acknowledged, _ = self.open
        chunk = self.content()
        self.open = (path, acknowledged, chunk)
        ranged = f"{len(acknowledged)}-{len(acknowledged) + len(chunk) - 1}"
        status, headers, said = client.ask("PATCH", path, chunk, Content_Range=ranged)
        expect((202,), "PATCH", status, said)
        self.open = (location(headers), acknowledged + chunk, b"")

    def verify(self, client, blobs_are_held=True, sessions_are_synced=True):
        """Everything, after a start; and what was in doubt is known from here on."""
        for tag, known in self.tags.items():
            found = pull_whole(client, self.repository, tag)
            if found not in known:
                raise Loss(f"{self.repository}:{tag} is {found}, and was acknowledged as {known}")
            self.tags[tag] = {found}
        if not blobs_are_held:
            self.blobs, self.mounted = set(), set()
        for digest in self.sent:
            blob_is_whole(client, self.repository, digest, (200,) if digest in self.blobs else (200, 404))
        for digest in self.mounted:
            blob_is_whole(client, self.other, digest)
        self.sent, self.blobs, self.mounted = set(), set(), set()
        if self.open is not None and self.open[1]:
            self.verify_open(client, sessions_are_synced)
        self.open = None

    def verify_open(self, client, sessions_are_synced):
        """An upload goes on from where it was acknowledged, or from later; where its session may be behind, also from
        earlier, or not at all."""
        path, acknowledged, doubtful = self.open
        status, headers, said = client.ask("GET", path)
        expect((204,) if sessions_are_synced else (204, 404), f"GET {path}", status, said)
        if status == 404:
            return
        there = int(headers["range"].split("-")[1]) + 1
        # `0-0` is one byte, or none.
        least = len(acknowledged) if sessions_are_synced else 1
        if not least <= there <= len(acknowledged + doubtful):
            raise Loss(f"{path} is at {there}, and was acknowledged at {len(acknowledged)}")
        if there == 1 and not sessions_are_synced:
            return
        content = (acknowledged + doubtful)[:there]
        digest = digest_of(content)
        finish_upload(client, location(headers), digest)
        blob_is_whole(client, self.repository, digest)


def act_until(server, ledgers, seconds, end, excused=CUT):
    """Lets a client of each ledger act for so long, and then ends it for all; what is excused may come of that."""
    ended = threading.Event()
    failures = []

    def act(ledger):
        client = Client(server)
        try:
            while not ended.is_set():
                ledger.act(client)
        except excused as error:
            if not ended.is_set():
                failures.append(Loss(f"{ledger.repository}: {error!r}"))
        except Exception as error:  # told below, in the main thread
            failures.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=act, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    ended.set()
    end()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
