"""The order of acknowledgement: what has been synced when an answer is sent."""

import collections
import os
import pathlib
import random
import re
import tempfile
import time

from .registry import (
    Client,
    Loss,
    administrator_of,
    digest_of,
    expect,
    location,
    manifest_of,
    push_blob,
    put_manifest,
    run,
    started,
)

TRACED = "openat,write,writev,sendto,sendmsg,pwrite64,pwritev,pwritev2,fsync,fdatasync,renameat,renameat2,mkdirat"
CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)$")
PATH = re.compile(r"^\d+<([^>]*)>")


class Trace:
    """What has been written and not synced, line by line of what strace wrote."""

    def __init__(self, data, unasked):
        self.data = os.path.realpath(data)
        # Where there are accounts, changes are written that nobody asked for, and may be on their way at any answer.
        self.unasked = unasked
        self.clock = self.answered = 0
        # Whether that was begun and done since the last answer.
        self.log_synced = False
        self.dirty = {}  # path → when it was written last, and is not synced since
        self.syncing = {}  # thread → what it syncs, and when it began
        self.seen = {"content": 0, "name": 0, "facts": 0, "answers": 0}

    def counts(self, path):
        """What is synced for its own sake: neither sessions, which may be behind, nor what the log protects."""
        inside = path.startswith(self.data + "/") and not path.endswith((".session", "-shm", "registry.db", "lock"))
        return inside and not path.endswith(("-reserve", "scrub.json", "scrub.json.new"))

    def line(self, line):
        self.clock += 1
        call = CALL.match(line)
        if not call:
            return
        thread, name, rest = call.groups()
        resumed = " resumed>" in line
        if name in ("fsync", "fdatasync"):
            if not resumed:
                self.syncing[thread] = (PATH.match(rest).group(1), self.clock)
            if "unfinished" not in line and "= 0" in line:
                path, began = self.syncing.pop(thread, ("", 0))
                self.log_synced |= path.endswith("-wal") and began > self.answered
                if self.dirty.get(path, began) < began:
                    del self.dirty[path]
                    kind = "facts" if path.endswith("-wal") else "name" if os.path.isdir(path) else "content"
                    self.seen[kind] += 1
        elif resumed:
            return
        elif name in ("pwrite64", "pwritev", "pwritev2"):
            path = PATH.match(rest).group(1)
            if self.counts(path):
                self.dirty[path] = self.clock
        elif name in ("renameat", "renameat2"):
            old, named, folder, new = re.match(r'\d+<([^>]*)>, "([^"]*)", \d+<([^>]*)>, "([^"]*)"', rest).groups()
            if self.counts(f"{folder}/{new}"):
                self.dirty[folder] = self.clock
                if f"{old}/{named}" in self.dirty:
                    raise Loss(f"{folder}/{new} got its name before its bytes were synced")
        elif name == "mkdirat":
            folder = PATH.match(rest)
            if folder and self.counts(folder.group(1)):
                self.dirty[folder.group(1)] = self.clock
        elif '"HTTP/1.1 20' in rest:
            self.seen["answers"] += 1
            dirty = [path for path in self.dirty if not (self.unasked and path.endswith("-wal"))]
            if dirty:
                raise Loss(f"an answer was sent before these were synced: {sorted(dirty)}")
            if not self.log_synced and (self.unasked or "HTTP/1.1 201" in rest):
                raise Loss("a change of facts was answered before its log was synced")
            self.answered, self.log_synced = self.clock, False


def ack_order():
    seen = collections.Counter(seen_of(change_images))
    seen.update(seen_of(change_organisations))
    if min(seen.values()) < 4:
        raise Loss(f"too little was seen to tell anything: {seen}")
    print(f"synced before answers: {dict(seen)}")


def seen_of(change):
    """What is synced before the answers to changes; nothing but changes is asked for, so that each answer is one."""
    with tempfile.TemporaryDirectory(prefix="swr-order-") as folder:
        data, log = f"{folder}/data", f"{folder}/trace"
        os.mkdir(data)
        quiet = {"SWR_COLLECTION__ENABLED": "false", "SWR_SCRUB__ENABLED": "false"}
        under = ["strace", "-f", "-y", "-s", "64", "-o", log, "-e", f"trace={TRACED}"]
        with_accounts = change is change_organisations
        who = with_people(data) if with_accounts else []
        server = started(data, quiet, under, () if with_accounts else ("--open",))
        try:
            begun = settled(data, log)
            client = Client(server)
            try:
                change(client, *who)
            finally:
                client.close()
        finally:
            server.end()
        trace = Trace(data, with_accounts)
        for line in pathlib.Path(log).read_text().splitlines()[begun:]:
            trace.line(line)
        if trace.seen["answers"] != client.asked:
            raise Loss(f"{client.asked} answers came, and these were seen: {trace.seen}")
        return trace.seen


def settled(data, log):
    """How many lines there are once what it does to its data at its start has been done: no sync is under way, and for a
    second there has been no line about the data.
    """
    ends, about = time.monotonic() + 30, None
    while True:
        lines = pathlib.Path(log).read_text().splitlines()
        syncing = sum("sync(" in line and "unfinished" in line for line in lines)
        syncing -= sum("sync resumed" in line for line in lines)
        before, about = about, sum(f"<{os.path.realpath(data)}" in line for line in lines)
        if before == about and not syncing:
            return len(lines)
        if time.monotonic() > ends:
            raise Loss("it does not settle after its start")
        time.sleep(1)


def change_images(client):
    def change(expected, method, path, body=b""):
        status, headers, said = client.ask(method, path, body)
        expect((expected,), f"{method} {path}", status, said)
        return headers

    for chunks, length in [(1, 5), (1, 100_000), (3, 100_000), (2, 3_000_000)]:
        content = random.Random(length + chunks).randbytes(length)
        digest = push_blob(client, "org/app", content, chunks)
        manifest = manifest_of([(digest, length)], f"{chunks} {length}")
        for tag in ["a", "b"]:
            put_manifest(client, "org/app", tag, manifest)
        change(202, "DELETE", "/v2/org/app/manifests/b")
        change(201, "POST", f"/v2/org/other/blobs/uploads/?mount={digest}&from=org/app")
        change(202, "DELETE", f"/v2/org/app/manifests/{digest_of(manifest)}")
        change(202, "DELETE", f"/v2/org/app/blobs/{digest}")
        upload = location(change(202, "POST", "/v2/org/app/blobs/uploads/"))
        upload = location(change(202, "PATCH", upload, content))
        change(204, "DELETE", upload)


def with_people(data):
    """An administrator, and a user of the same account."""
    administrator = administrator_of(data)
    return [administrator, run("user", "create", "member", "--account", "default", "--data", data)]


def change_organisations(client, administrator, member):
    def change(expected, method, path, body=None):
        status, _, said = administrator.manage(client, method, f"namespaces{path}", body)
        expect((expected,), f"{method} {path}", status, said)

    for name in ["one", "two"]:
        grant = {"user_id": member["id"], "user_name": member["name"], "auth": 1}
        change(201, "POST", "", {"namespace": name})
        change(200, "POST", f"/{name}/access", [grant])
        change(201, "PATCH", f"/{name}/access", [grant | {"auth": 3}])
        change(204, "DELETE", f"/{name}/access", [member["id"]])
        change(204, "DELETE", f"/{name}")
