"""What one, two and three replicas over PostgreSQL and a bucket do in a second, and what it costs: the load that
`.ci/postgres bench` puts on them, and beside them on SQLite and files.

usage: replicas.py NAME SECONDS ADDRESSES PIDS [DATABASE-PID DATABASE-URL BUCKET-LOG]

One line of a table for each case: requests a second; CPU time for one request, of all replicas together and of the
database; and how many transactions and requests to the bucket one request came to. Connections are kept, and spread over
the addresses.
"""

import http.client
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../.ci"))
from replicas import MANIFEST, digest_of, manifest_of  # noqa: E402

CONNECTIONS = 6
REPOSITORY = "bench/load"
TICK = os.sysconf("SC_CLK_TCK")


class Connection:
    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=60)

    def ask(self, expected, method, path, body=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, named)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status != expected:
            raise SystemExit(f"{method} {path}: {answer.status} {content[:200]!r}")
        return answer, content

    def push_blob(self, content):
        answer, _ = self.ask(202, "POST", f"/v2/{REPOSITORY}/blobs/uploads/")
        where = answer.headers["Location"]
        separator = "&" if "?" in where else "?"
        self.ask(201, "PUT", f"{where}{separator}digest={digest_of(content)}", content)

    def push_manifest(self, tag, content):
        self.ask(201, "PUT", f"/v2/{REPOSITORY}/manifests/{tag}", content, Content_Type=MANIFEST)


def children(pid):
    """The process and those that it has started."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [pid, *map(int, file.read().split())]


def cpu(pids):
    """Seconds of CPU time, of children that have ended as well."""
    ticks = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


class Meter:
    def __init__(self, pids, database=None, url=None, log=None):
        self.pids, self.database, self.url, self.log = pids, database, url, log

    def transactions(self):
        if not self.url:
            return 0
        question = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        # Sessions tell what they did once they have been idle for ten seconds.
        time.sleep(11)
        told = subprocess.run(
            ["psql", "--tuples-only", "--no-align", f"--dbname={self.url}", f"--command={question}"],
            check=True,
            capture_output=True,
            text=True,
        )
        return int(told.stdout)

    def bucket_requests(self):
        if not self.log:
            return 0
        with open(self.log) as file:
            return sum("HTTP/1.1" in line for line in file)

    def read(self):
        database = children(self.database) if self.database else []
        return cpu(self.pids), cpu(database), self.bucket_requests()


def measure(addresses, seconds, meter, operation):
    connections = [Connection(address) for address, _ in zip(itertools.cycle(addresses), range(CONNECTIONS))]
    counts = [0] * CONNECTIONS
    failed = []

    def work(index):
        try:
            while time.monotonic() < until:
                operation(connections[index], index * 10**7 + counts[index])
                counts[index] += 1
        except BaseException as failure:
            failed.append(failure)

    # Connections, statements and caches are there before the clock runs.
    for index, connection in enumerate(connections):
        operation(connection, random.getrandbits(60))
    transactions = meter.transactions()
    begun, before = time.monotonic(), meter.read()
    until = begun + seconds
    threads = [threading.Thread(target=work, args=(index,)) for index in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, after = time.monotonic() - begun, meter.read()
    if failed:
        raise failed[0]
    done = sum(counts)
    own, database, bucket = ((after[at] - before[at]) / done for at in range(3))
    return done / took, own * 1e6, database * 1e6, (meter.transactions() - transactions) / done, bucket


def main(name, seconds, addresses, pids, database=None, url=None, log=None):
    addresses = addresses.split(",")
    meter = Meter([int(pid) for pid in pids.split(",")], database and int(database), url, log)
    layer = random.randbytes(4096)
    first = Connection(addresses[0])
    for blob in (layer, b"{}"):
        first.push_blob(blob)
    first.push_manifest("latest", manifest_of([layer], "latest"))
    run = random.getrandbits(60)
    cases = {
        "manifest GET by tag": lambda c, n: c.ask(200, "GET", f"/v2/{REPOSITORY}/manifests/latest", Accept=MANIFEST),
        "blob GET, 4 KiB": lambda c, n: c.ask(200, "GET", f"/v2/{REPOSITORY}/blobs/{digest_of(layer)}"),
        "blob push, 4 KiB": lambda c, n: c.push_blob(random.randbytes(4096)),
        "manifest push": lambda c, n: c.push_manifest(f"v{n % 50}", manifest_of([layer], f"{run} {n}")),
    }
    for case, operation in cases.items():
        rate, own, of_database, transactions, bucket = measure(addresses, float(seconds), meter, operation)
        rest = f"{of_database:.0f} | {transactions:.1f} | {bucket:.1f}" if url else "– | – | –"
        print(f"| {case} | {name} | {rate:.0f} | {own:.0f} | {rest} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
