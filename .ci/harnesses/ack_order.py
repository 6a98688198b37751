"""The order of acknowledgement: what has been synced when an answer is sent."""

import os
import pathlib
import random
import re
import tempfile
import time

from .registry import Client, Loss, expect, manifest_of, push_blob, put_manifest, started

TRACED = "openat,write,writev,sendto,sendmsg,pwrite64,pwritev,pwritev2,fsync,fdatasync,renameat,renameat2,mkdirat"
CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)$")
PATH = re.compile(r"^\d+<([^>]*)>")


class Trace:
    """What has been written and not synced, line by line of what strace wrote."""

    def __init__(self, data):
        self.data = os.path.realpath(data)
        self.clock = 0
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
                path, began = self.syncing.pop(thread)
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
                written = self.dirty.pop(f"{old}/{named}", None)
                if written is not None:
                    self.dirty[f"{folder}/{new}"] = written
        elif name == "mkdirat":
            folder = PATH.match(rest)
            if folder and self.counts(folder.group(1)):
                self.dirty[folder.group(1)] = self.clock
        elif '"HTTP/1.1 201' in rest or '"HTTP/1.1 202' in rest:
            self.seen["answers"] += 1
            if self.dirty:
                raise Loss(f"an answer was sent before these were synced: {sorted(self.dirty)}")


def ack_order():
    with tempfile.TemporaryDirectory(prefix="swr-order-") as folder:
        data, log = f"{folder}/data", f"{folder}/trace"
        os.mkdir(data)
        quiet = {"SWR_COLLECTION__ENABLED": "false", "SWR_SCRUB__ENABLED": "false"}
        under = ["strace", "-f", "-y", "-s", "64", "-o", log, "-e", f"trace={TRACED}"]
        server = started(data, quiet, under)
        time.sleep(1)  # what it does at its start has been done
        begun = len(pathlib.Path(log).read_text().splitlines())
        client = Client(server)
        try:
            for chunks, length in [(1, 5), (1, 100_000), (3, 100_000), (2, 3_000_000)]:
                content = random.Random(length + chunks).randbytes(length)
                digest = push_blob(client, "org/app", content, chunks)
                manifest = manifest_of([(digest, length)], f"{chunks} {length}")
                for tag in ["a", "b"]:
                    put_manifest(client, "org/app", tag, manifest)
                status, _, said = client.ask("DELETE", "/v2/org/app/manifests/b")
                expect((202,), "DELETE", status, said)
        finally:
            client.close()
            server.end()
        trace = Trace(data)
        for line in pathlib.Path(log).read_text().splitlines()[begun:]:
            trace.line(line)
        if min(trace.seen.values()) < 4:
            raise Loss(f"too little was seen to tell anything: {trace.seen}")
        print(f"synced before answers: {trace.seen}")
