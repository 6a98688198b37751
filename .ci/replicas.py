"""What `.ci/postgres` does to replicas of the registry behind one address: a mixed load that knows what it was
promised, and the questions that show whether it was kept.

usage: replicas.py load ADDRESS SECONDS HISTORY [ENOUGH]
                                                    pushes, tag writes and reads, for so long and on until the file ENOUGH
                                                    is there; what was acknowledged goes into HISTORY
       replicas.py verify ADDRESS HISTORY           everything acknowledged is there, and each tag was one register
       replicas.py restored ADDRESS HISTORY BEGAN ENDED
                                                    the same of a registry restored from a backup that was taken while
                                                    the load went on, between these instants of the monotonic clock
       replicas.py resume PID ADDRESS ADDRESS ADDRESS
                                                    an upload outlives the process PID, which serves the first address
"""

import collections
import hashlib
import http.client
import json
import math
import os
import random
import signal
import socket
import sys
import threading
import time
import urllib.parse

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
REPOSITORY = "replicas/load"


class Refused(Exception):
    """An answer that nobody who asks properly should get."""


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def ask(address, method, path, body=None, headers=()):
    """One request on a connection of its own; `None` for an answer that may come after another try."""
    connection = http.client.HTTPConnection(address, timeout=45)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if answer.status in (502, 503, 504):
        if answer.status == 503 and "Retry-After" not in answer.headers:
            raise Refused(f"{method} {path}: 503 without Retry-After")
        return None
    if answer.status >= 500:
        raise Refused(f"{method} {path}: {answer.status} {content[:200]!r}")
    return answer.status, answer.headers, content


def insist(address, *request, **more):
    """Asks until there is an answer."""
    for _ in range(600):
        answer = ask(address, *request, **more)
        if answer:
            return answer
        time.sleep(0.1)
    raise Refused(f"{request[:2]}: no answer after many tries")


def expect(status, answer):
    if answer[0] != status:
        raise Refused(f"{status} was expected, and not {answer[0]} {answer[2][:200]!r}")
    return answer


def path_of(answer):
    location = urllib.parse.urlsplit(answer[1]["Location"])
    return location.path + ("?" + location.query if location.query else "")


def append(address, upload, content, offset, end):
    length = {
        "Content-Type": "application/octet-stream",
        "Content-Range": f"{offset}-{end - 1}",
    }
    return ask(address, "PATCH", upload, content[offset:end], length)


def progress(answer):
    """How many bytes an upload has, where it is known."""
    if answer[0] == 404:
        return None
    expect(204, answer)
    # Nothing is told as one byte would be; nobody here sends so few.
    last = int(answer[1]["Range"].split("-")[1])
    return last + 1 if last else 0


def upload(address, repository, content):
    """Brings a blob in chunks, going on wherever it was cut off."""
    digest = digest_of(content)
    while insist(address, "HEAD", f"/v2/{repository}/blobs/{digest}")[0] != 200:
        began = expect(202, insist(address, "POST", f"/v2/{repository}/blobs/uploads/"))
        where, offset = path_of(began), 0
        while offset is not None and offset < len(content):
            end = min(len(content), offset + len(content) // 3 + 1)
            answer = append(address, where, content, offset, end)
            if answer and answer[0] == 202:
                where, offset = path_of(answer), end
            else:
                offset = progress(insist(address, "GET", where))
        if offset is None:
            continue
        separator = "&" if "?" in where else "?"
        answer = ask(address, "PUT", f"{where}{separator}digest={digest}")
        # Where the answer was lost, whether the blob is there says what became of it.
        if answer and answer[0] not in (201, 404, 416):
            raise Refused(f"PUT {where}: {answer[0]} {answer[2][:200]!r}")
    return digest


def manifest_of(layers, note):
    config = b"{}"
    described = [
        {"mediaType": "application/octet-stream", "digest": digest_of(layer), "size": len(layer)} for layer in layers
    ]
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json",
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": described,
            "annotations": {"note": note},
        }
    ).encode()


# One register per tag.


def check_register(operations):
    """Says what speaks against one register that each of the operations happened in at some instant between its
    beginning and its end; `None` for nothing.

    An operation is (kind, value, begin, end), kind "write" or "read"; no value is written twice, and a write whose end
    nobody knows ends at infinity. With one write for each value it is enough to look at each value's operations
    together: from the first end among them to the last beginning the register surely had it (where the end comes
    first), so no two of those spans may overlap, and no value may have come and gone within another's.
    """
    values = collections.defaultdict(list)
    for operation in operations:
        values[operation[1]].append(operation)
    sure, brief = [], []
    for value, group in values.items():
        writes = [operation for operation in group if operation[0] == "write"]
        if len(writes) != 1:
            return f"{value} was read, and written {len(writes)} times"
        if len(group) == 1 and math.isinf(writes[0][3]):
            continue  # Perhaps it never happened.
        for kind, _, _, end in group:
            if kind == "read" and end < writes[0][2]:
                return f"{value} was read before it was written"
        first_end = min(operation[3] for operation in group)
        last_begin = max(operation[2] for operation in group)
        (sure if first_end < last_begin else brief).append((*sorted((first_end, last_begin)), value))
    sure.sort()
    for (_, end, one), (begin, _, other) in zip(sure, sure[1:]):
        if begin < end:
            return f"{one} and {other} were there at the same time"
    for begin, end, value in brief:
        for from_, to, other in sure:
            if from_ < begin and end < to:
                return f"{value} came and went while {other} was there"
    return None


def check_checker():
    """A checker that finds nothing would find nothing here."""
    write = lambda value, begin, end: ("write", value, begin, end)
    read = lambda value, begin, end: ("read", value, begin, end)
    good = [
        [write("a", 0, 1), read("a", 2, 3), write("b", 4, 5), read("b", 6, 7)],
        [write("a", 0, 1), write("b", 2, 9), read("a", 3, 4), read("b", 5, 6), read("b", 10, 11)],
        [write("a", 0, 1), write("b", 2, math.inf), read("a", 20, 21), read("b", 22, 23)],
        [write("a", 0, 9), write("b", 0, 9), read("b", 1, 2), read("a", 3, 4)],
        [write("a", 0, 1), write("b", 2, math.inf), read("a", 3, 4)],
    ]
    bad = [
        [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)],
        [write("a", 0, 1), write("b", 2, 9), read("b", 3, 4), read("a", 5, 6)],
        [write("a", 0, 1), read("b", 2, 3), write("b", 4, 5)],
        [write("a", 0, 1), write("b", 2, math.inf), read("b", 3, 4), read("a", 5, 6)],
        [write("a", 0, 1), read("c", 2, 3)],
    ]
    assert all(check_register(history) is None for history in good)
    assert all(check_register(history) for history in bad)


# The load.

TAGS = ["one", "two", "three"]
# How long a client that got no answer waits before it asks again, in seconds: what is being started needs the machine.
AWAY = 0.05


class Load:
    """So many seconds of it, and on until the file `enough` is there, at most five times as long."""

    def __init__(self, address, seconds, enough=None):
        self.address = address
        self.until, self.latest = (time.monotonic() + times * seconds for times in (1, 5))
        self.enough = enough
        self.lock = threading.Lock()
        # No tag of a load is one of another.
        self.name = random.randbytes(4).hex()
        self.pushed = []
        self.registers = {tag: [] for tag in TAGS}
        self.failed = []

    def run(self):
        upload(self.address, REPOSITORY, b"{}")
        for tag in TAGS:
            while not self.write(tag, f"{tag} at first {len(self.registers[tag])}"):
                pass
        workers = [(self.push, number) for number in range(3)]
        workers += [(self.set_tag, number) for number in range(4)]
        workers += [(self.read_tag, number) for number in range(4)]
        threads = [threading.Thread(target=self.work, args=worker) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def goes_on(self):
        now = time.monotonic()
        return now < self.until or self.enough and now < self.latest and not os.path.exists(self.enough)

    def work(self, task, worker):
        count = 0
        try:
            while self.goes_on():
                task(worker, count)
                count += 1
        except Exception as failure:
            self.failed.append(f"{task.__name__}: {failure!r}")

    def push(self, worker, count):
        layers = [random.randbytes(random.randrange(10_000, 400_000)) for _ in range(2)]
        for layer in layers:
            upload(self.address, REPOSITORY, layer)
        manifest = manifest_of(layers, f"push {worker} {count}")
        path = f"/v2/{REPOSITORY}/manifests/push-{self.name}-{worker}-{count}"
        expect(201, insist(self.address, "PUT", path, manifest, {"Content-Type": MANIFEST}))
        with self.lock:
            self.pushed.append((path, digest_of(manifest), [digest_of(layer) for layer in layers], time.monotonic()))

    def write(self, tag, note):
        manifest = manifest_of([], note)
        begin = time.monotonic()
        headers = {"Content-Type": MANIFEST}
        answer = ask(self.address, "PUT", f"/v2/{REPOSITORY}/manifests/{tag}", manifest, headers)
        end = time.monotonic() if answer else math.inf
        if answer:
            expect(201, answer)
        else:
            time.sleep(AWAY)
        with self.lock:
            self.registers[tag].append(("write", digest_of(manifest), begin, end))
        return answer

    def set_tag(self, worker, count):
        self.write(random.choice(TAGS), f"write {worker} {count}")

    def read_tag(self, worker, count):
        tag = random.choice(TAGS)
        begin = time.monotonic()
        answer = ask(self.address, "GET", f"/v2/{REPOSITORY}/manifests/{tag}", headers={"Accept": MANIFEST})
        end = time.monotonic()
        if answer:
            digest = digest_of(expect(200, answer)[2])
            with self.lock:
                self.registers[tag].append(("read", digest, begin, end))
        else:
            time.sleep(AWAY)


def load(address, seconds, history, enough=None):
    running = Load(address, float(seconds), enough)
    running.run()
    with open(history, "w") as file:
        json.dump({"pushed": running.pushed, "registers": running.registers}, file)
    for failure in running.failed:
        print(failure)
    return not running.failed


def expect_pushed(address, pushed):
    for path, digest, layers, _ in pushed:
        found = expect(200, insist(address, "GET", path, headers={"Accept": MANIFEST}))
        if digest_of(found[2]) != digest:
            raise Refused(f"{path} is {digest_of(found[2])}, and {digest} was acknowledged")
        for layer in layers:
            found = expect(200, insist(address, "GET", f"/v2/{REPOSITORY}/blobs/{layer}"))
            if digest_of(found[2]) != layer:
                raise Refused(f"{layer} comes as {digest_of(found[2])}")


def verify(address, history):
    check_checker()
    with open(history) as file:
        told = json.load(file)
    expect_pushed(address, told["pushed"])
    kinds = collections.Counter()
    for tag, operations in told["registers"].items():
        found = expect(200, insist(address, "GET", f"/v2/{REPOSITORY}/manifests/{tag}", headers={"Accept": MANIFEST}))
        last = max(operation[2] for operation in operations) + 1000
        against = check_register([*operations, ["read", digest_of(found[2]), last, last + 1]])
        if against:
            raise Refused(f"{tag} is no register: {against}")
        kinds.update(kind if math.isfinite(end) else "unanswered write" for kind, _, _, end in operations)
    print(f"{len(told['pushed'])} pushes, " + ", ".join(f"{count} {kind}s" for kind, count in sorted(kinds.items())))
    # Enough to say something, also on a slow machine.
    return len(told["pushed"]) >= 3 and kinds["write"] >= 20 and kinds["read"] >= 100


def restored(address, history, began, ended):
    began, ended = float(began), float(ended)
    with open(history) as file:
        told = json.load(file)
    before = [push for push in told["pushed"] if push[3] < began]
    during = [push for push in told["pushed"] if began <= push[3] < ended]
    expect_pushed(address, before)
    # A backup is one instant: whatever else is in it is whole as well.
    for push in during:
        if insist(address, "HEAD", push[0], headers={"Accept": MANIFEST})[0] == 200:
            expect_pushed(address, [push])
    for tag, operations in told["registers"].items():
        found = expect(200, insist(address, "GET", f"/v2/{REPOSITORY}/manifests/{tag}", headers={"Accept": MANIFEST}))
        against = check_register([*operations, ["read", digest_of(found[2]), began, ended]])
        if against:
            raise Refused(f"{tag} is not as it was at any instant of the backup: {against}")
    after = sum(push[3] >= began for push in told["pushed"])
    print(f"{len(before)} pushes before the backup began, {len(during)} meanwhile, {after} since")
    return len(before) >= 3 and after >= 1


# An upload that is begun on one replica.


def resume(pid, first, second, third):
    content = random.randbytes(12_000_000)
    digest = digest_of(content)
    began = expect(202, ask(first, "POST", f"/v2/{REPOSITORY}/blobs/uploads/"))
    half = len(content) // 2
    where = path_of(expect(202, append(first, path_of(began), content, 0, half)))
    # The first is killed in the middle of a body.
    host, port = first.split(":")
    with socket.create_connection((host, int(port))) as cut:
        head = f"PATCH {where} HTTP/1.1\r\nHost: {first}\r\nContent-Range: {half}-{len(content) - 1}\r\n"
        head += f"Content-Type: application/octet-stream\r\nContent-Length: {len(content) - half}\r\n\r\n"
        cut.sendall(head.encode() + content[half : half + 1_000_000])
        time.sleep(0.2)
        os.kill(int(pid), signal.SIGKILL)
    offset = progress(ask(second, "GET", where))
    if offset is None or offset < half:
        raise Refused(f"{half} bytes were acknowledged, and {offset} are there")
    # Two go on at once, with different bytes: one of them is heard.
    others = random.randbytes(len(content))
    answers = {}

    def race(address, name, body):
        answers[name] = append(address, where, body, offset, offset + 500_000)

    racers = [
        threading.Thread(target=race, args=(second, "mine", content)),
        threading.Thread(target=race, args=(third, "other", content[:offset] + others[offset:])),
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    heard = [name for name, answer in answers.items() if answer and answer[0] == 202]
    if len(heard) != 1:
        raise Refused(f"of two that appended, {heard} were heard: {answers}")
    if heard == ["other"]:
        content = content[:offset] + others[offset : offset + 500_000] + content[offset + 500_000 :]
        digest = digest_of(content)
    offset = progress(expect(204, ask(third, "GET", where)))
    where = path_of(expect(202, append(third, where, content, offset, len(content))))
    separator = "&" if "?" in where else "?"
    expect(201, ask(second, "PUT", f"{where}{separator}digest={digest}"))
    found = expect(200, ask(third, "GET", f"/v2/{REPOSITORY}/blobs/{digest}"))
    return digest_of(found[2]) == digest


if __name__ == "__main__":
    tasks = {"load": load, "verify": verify, "restored": restored, "resume": resume}
    try:
        sys.exit(0 if tasks[sys.argv[1]](*sys.argv[2:]) else 1)
    except Refused as refused:
        print(refused)
        sys.exit(1)
