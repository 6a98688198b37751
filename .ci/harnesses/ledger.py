"""What clients were told, and load by many of them."""

import random
import threading
import time

from .registry import (
    CUT,
    Client,
    Fault,
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


# What nothing names goes at once: nobody here is killed later than a second after a push began.
COLLECTED = {
    "SWR_COLLECTION__INTERVAL": "1s",
    "SWR_COLLECTION__UNTAGGED_KEEP": "0s",
    "SWR_COLLECTION__LINK_HOLD": "5s",
    "SWR_COLLECTION__UNSAFE_SHORT_HOLD": "true",
}


class Ledger:
    """What one client was told of its repository, and what it does not know because no answer came."""

    TAGS = ["latest", "a", "b", "c"]

    def __init__(self, number, seed):
        self.repository = f"org/r{number}"
        self.other = f"org/m{number}"
        self.random = random.Random(seed * 1000 + number)
        self.tags = {tag: {None} for tag in self.TAGS}
        # What each manifest names that was ever sent.
        self.named = {}
        self.forget()
        self.acknowledged = 0

    def forget(self):
        """What was known since the last start."""
        # Blobs that were sent; those of them that were acknowledged, which are held whatever names them; those that were
        # removed again; and those that the other repository was given as well.
        self.sent, self.blobs, self.removed, self.mounted = set(), set(), set(), set()
        # Of an upload that is open: its path, what of it was acknowledged, and what was not.
        self.open = None
        # A fault was told of it: then it may be gone.
        self.may_be_gone = False
        # Uploads that were ended.
        self.cancelled = set()

    def content(self):
        # None of them comes twice.
        length = self.random.choice([8, 100, 5000, 70_000, 1_200_000])
        return self.random.randbytes(length)

    def act(self, client):
        acts = {
            self.push: 12,
            self.append: 6,
            self.cancel: 1,
            self.mount: 2,
            self.pull: 4,
            self.remove_tag: 2,
            self.remove: 2,
            self.remove_blob: 2,
        }
        self.random.choices(list(acts), list(acts.values()))[0](client)
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
        self.named[digest] = [digest for digest, _ in blobs]
        # Until there is an answer it is either.
        self.tags[tag] = self.tags[tag] | {digest}
        put_manifest(client, self.repository, tag, manifest)
        self.tags[tag] = {digest}

    def mount(self, client):
        if unmounted := sorted(self.blobs - self.mounted):
            digest = self.random.choice(unmounted)
            path = f"/v2/{self.other}/blobs/uploads/?mount={digest}&from={self.repository}"
            status, _, said = client.ask("POST", path, b"")
            expect((201,), f"POST {path}", status, said)
            self.mounted.add(digest)

    def a_tag(self):
        """One that is there, or may be; or else any."""
        there = [tag for tag, known in self.tags.items() if known != {None}]
        return self.random.choice(there or self.TAGS)

    def remove_tag(self, client):
        tag = self.a_tag()
        known, self.tags[tag] = self.tags[tag], self.tags[tag] | {None}
        status, _, said = client.ask("DELETE", f"/v2/{self.repository}/manifests/{tag}")
        expected = ((404,) if known == {None} else (202,)) if len(known) == 1 else (202, 404)
        expect(expected, f"DELETE {tag}", status, said)
        # What a fault was told of may yet be there after the next start, also where it is not now.
        self.tags[tag] = {None} if status == 202 else known

    def remove(self, client):
        """A manifest, which takes all of its tags along."""
        known = self.tags[self.a_tag()]
        if len(known) > 1 or known == {None}:
            return
        (digest,) = known
        of_it = [tag for tag, known in self.tags.items() if digest in known]
        for tag in of_it:
            self.tags[tag] = self.tags[tag] | {None}
        status, _, said = client.ask("DELETE", f"/v2/{self.repository}/manifests/{digest}")
        expect((202,), f"DELETE {digest}", status, said)
        for tag in of_it:
            self.tags[tag] = self.tags[tag] - {digest}

    def remove_blob(self, client):
        """Refused where a manifest names it, also one that has lost its tags."""
        if not self.blobs:
            return
        digest = self.random.choice(sorted(self.blobs))
        self.blobs.remove(digest)
        status, _, said = client.ask("DELETE", f"/v2/{self.repository}/blobs/{digest}")
        expect((202, 405), f"DELETE {digest}", status, said)
        (self.removed if status == 202 else self.blobs).add(digest)

    def pull(self, client):
        tag = self.random.choice(self.TAGS)
        found = pull_whole(client, self.repository, tag)
        if found not in self.tags[tag]:
            raise Loss(f"{self.repository}:{tag} is {found}, and was acknowledged as {self.tags[tag]}")

    def append(self, client):
        """Adds to an upload, which a kill may leave open."""
        if self.open is not None and self.open[2]:
            # A fault was told of the last piece: it goes on from where it is.
            self.verify_open(client)
            self.open, self.may_be_gone = None, False
        if self.open is None:
            status, headers, said = client.ask("POST", f"/v2/{self.repository}/blobs/uploads/", b"")
            expect((202,), "POST", status, said)
            self.open = (location(headers), b"", b"")
        path, acknowledged, _ = self.open
        chunk = self.content()
        self.open = (path, acknowledged, chunk)
        ranged = f"{len(acknowledged)}-{len(acknowledged) + len(chunk) - 1}"
        status, headers, said = client.ask("PATCH", path, chunk, Content_Range=ranged)
        self.may_be_gone = status >= 500
        expect((202,), "PATCH", status, said)
        self.open = (location(headers), acknowledged + chunk, b"")

    def cancel(self, client):
        """Ends the upload that is open."""
        if self.open is None:
            return
        (path, _, _), self.open = self.open, None
        status, _, said = client.ask("DELETE", path)
        expect((204, 404) if self.may_be_gone else (204,), f"DELETE {path}", status, said)
        self.cancelled.add(path)
        self.may_be_gone = False

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
            held, gone = digest in self.blobs, digest in self.removed
            blob_is_whole(client, self.repository, digest, (200,) if held else (404,) if gone else (200, 404))
        for digest in self.mounted:
            blob_is_whole(client, self.other, digest)
        for path in self.cancelled:
            status, _, said = client.ask("GET", path)
            expect((404,) if sessions_are_synced else (204, 404), f"GET {path}", status, said)
        if self.open is not None and self.open[1]:
            self.verify_open(client, sessions_are_synced)
        self.forget()

    def verify_open(self, client, sessions_are_synced=True):
        """An upload goes on from where it was acknowledged, or from later; where its session may be behind, also from
        earlier, or not at all."""
        path, acknowledged, doubtful = self.open
        status, headers, said = client.ask("GET", path)
        is_there = sessions_are_synced and not self.may_be_gone
        expect((204,) if is_there else (204, 404), f"GET {path}", status, said)
        if status == 404:
            return
        there = int(headers["range"].split("-")[1]) + 1
        # `0-0` is one byte, or none.
        least = len(acknowledged) if sessions_are_synced else 1
        if not least <= there <= len(acknowledged + doubtful):
            raise Loss(f"{path} is at {there}, and was acknowledged at {len(acknowledged)}")
        if there == 1:
            return
        content = (acknowledged + doubtful)[:there]
        digest = digest_of(content)
        self.may_be_gone = True
        finish_upload(client, location(headers), digest)
        blob_is_whole(client, self.repository, digest)


def named_by(ledgers):
    """The blobs that are to stay, whatever is collected: those of images with a tag."""
    known = {digest for ledger in ledgers for (digest,) in ledger.tags.values() if digest is not None}
    return {blob for ledger in ledgers for digest in known & ledger.named.keys() for blob in ledger.named[digest]}


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
