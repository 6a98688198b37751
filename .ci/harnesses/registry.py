"""The running program, one that asks it for things, and what must not be."""

import base64
import collections
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
PROGRAM = os.environ.get("CI_PROGRAM", str(TARGET / "release/swr"))
IMAGE = "application/vnd.oci.image.manifest.v1+json"
# What goes wrong with a connection when the other end is killed.
CUT = (OSError, http.client.HTTPException)


class Loss(Exception):
    """Something that must not be."""


class Fault(Loss):
    """An answer that tells of a fault of the server's: only where one was made may it be."""


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Server:
    """The program on a data directory on loopback, open to everybody unless there are accounts."""

    def __init__(self, data, environment=None, under=(), mode=("--open",)):
        # Not from the command line alone: a variable of whoever runs this would be taken for meant.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SWR_")}
        self.process = subprocess.Popen(
            [*under, PROGRAM, "serve", *mode, "--listen", "127.0.0.1:0", "--admin-listen", "off", "--data", data],
            env=inherited | {"SWR_LOG__LEVEL": "error", "SWR_STORAGE__RESERVE": "0B"} | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # With whatever it runs under, in a group of its own.
            start_new_session=True,
        )
        self.address = None
        # Who vouches for it, where it has a certificate.
        self.context = None
        for line in self.process.stdout:
            if line.startswith("listening on"):
                self.address = line.strip().rsplit("://", 1)[1]
                break

    def sockets(self):
        """How many it has open."""
        count = 0
        for descriptor in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                count += os.readlink(descriptor).startswith("socket:")
            except FileNotFoundError:
                pass  # Closed meanwhile.
        return count

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass  # It has gone by itself.

    def kill(self):
        self.signal(signal.SIGKILL)
        self.gone()

    def end(self):
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
        return self.gone()

    def gone(self):
        """What it said last."""
        self.process.wait()
        said = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return said


def started(data, environment=None, under=(), mode=("--open",)):
    """A server, where one that does not start is one of the things that must not be."""
    server = Server(data, environment, under, mode)
    if server.address is None:
        raise Loss(f"it does not start: {server.gone()}")
    return server


class Client:
    """One connection, made anew after it broke; of a user, where there are accounts."""

    def __init__(self, server, user=None):
        if server.context:
            self.connection = http.client.HTTPSConnection(server.address, timeout=20, context=server.context)
        else:
            self.connection = http.client.HTTPConnection(server.address, timeout=20)
        self.known_by = {"Authorization": user.basic} if user else {}
        self.asked = 0

    def ask(self, method, path, body=None, **headers):
        headers = self.known_by | {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body=body, headers=headers)
        answer = self.connection.getresponse()
        content = answer.read()
        self.asked += 1
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def close(self):
        self.connection.close()


class User:
    """Somebody with an access key, and what one proves with it."""

    def __init__(self, shown):
        self.key, self.secret = shown["access_key_id"], shown["secret_access_key"].encode()
        # The same for as long as the key is, as the long-term login of the product's page.
        self.basic = "Basic " + base64.b64encode(f"local@{self.key}:{self.sign(self.key)}".encode()).decode()

    def sign(self, text):
        return hmac.new(self.secret, text.encode(), "sha256").hexdigest()

    def manage(self, client, method, path, body=None):
        """A signed operation of the management protocol."""
        path, body = f"/v2/manage/{path}", b"" if body is None else json.dumps(body).encode()
        headers = {"host": client.connection.host, "x-sdk-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())}
        headers["host"] += f":{client.connection.port}"
        named = [f"{name}:{value}" for name, value in headers.items()]
        hashed = hashlib.sha256(body).hexdigest()
        canonical = "\n".join([method, f"{path}/", "", *named, "", ";".join(headers), hashed])
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        signature = self.sign(f"SDK-HMAC-SHA256\n{headers['x-sdk-date']}\n{hashed}")
        authorization = f"SDK-HMAC-SHA256 Access={self.key}, SignedHeaders={';'.join(headers)}, Signature={signature}"
        return client.ask(method, path, body, **headers, Authorization=authorization)


def administrator_of(data):
    """Gives a registry accounts, and says who administers the first one."""
    return User(run("init", "--data", data))


def administrator_of_another(data, account):
    """Makes one more account, while no server runs, and says who administers that one."""
    run("account", "create", account, "--data", data)
    run("user", "create", "admin", "--account", account, "--role", "administrator", "--data", data)
    return User(run("key", "create", "admin", "--account", account, "--data", data))


def run(*arguments):
    ended = subprocess.run([PROGRAM, *arguments, "--format", "json"], check=True, stdout=subprocess.PIPE)
    return json.loads(ended.stdout)


def expect(expected, what, status, content):
    if status not in expected:
        kind = Fault if status >= 500 else Loss
        raise kind(f"{what}: expected {expected}, got {status} {content[:300]!r}")


def location(headers):
    return re.sub(r"^https?://[^/]*", "", headers["location"])


def push_blob(client, repository, content, chunks=1):
    """A blob, in one request or in several."""
    digest = digest_of(content)
    if chunks == 1:
        path = f"/v2/{repository}/blobs/uploads/?digest={digest}"
        status, _, said = client.ask("POST", path, content)
        expect((201,), f"POST {path}", status, said)
        return digest
    status, headers, said = client.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
    expect((202,), "POST", status, said)
    size = -(-len(content) // chunks)
    for start in range(0, len(content), size):
        chunk = content[start : start + size]
        ranged = f"{start}-{start + len(chunk) - 1}"
        status, headers, said = client.ask("PATCH", location(headers), chunk, Content_Range=ranged)
        expect((202,), "PATCH", status, said)
    finish_upload(client, location(headers), digest)
    return digest


def finish_upload(client, path, digest, content=b""):
    path = f"{path}{'&' if '?' in path else '?'}digest={digest}"
    status, _, said = client.ask("PUT", path, content)
    expect((201,), f"PUT {path}", status, said)


def manifest_of(blobs, note):
    described = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size} for digest, size in blobs
    ]
    config = described[0] | {"mediaType": "application/vnd.oci.image.config.v1+json"}
    manifest = {"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": described[1:]}
    return json.dumps(manifest | {"annotations": {"note": note}}).encode()


def blob_is_whole(client, repository, digest, expected=(200,)):
    """Whether there is such a blob; its bytes are read and are right."""
    status, _, content = client.ask("GET", f"/v2/{repository}/blobs/{digest}")
    expect(expected, f"{digest} of {repository}", status, content)
    if status == 200 and digest_of(content) != digest:
        raise Loss(f"{digest} of {repository} has other bytes")
    return status == 200


def put_manifest(client, repository, tag, manifest):
    path = f"/v2/{repository}/manifests/{tag}"
    status, _, said = client.ask("PUT", path, manifest, Content_Type=IMAGE)
    expect((201,), f"PUT {path}", status, said)


def pull_whole(client, repository, reference):
    """The digest of a manifest, once everything that it names was read and is right; None where there is none."""
    status, headers, manifest = client.ask("GET", f"/v2/{repository}/manifests/{reference}")
    expect((200, 404), f"GET {repository}:{reference}", status, manifest)
    if status == 404:
        return None
    digest = digest_of(manifest)
    if headers["docker-content-digest"] != digest:
        raise Loss(f"{repository}:{reference} is said to be {headers['docker-content-digest']}, and is {digest}")
    named = json.loads(manifest)
    for blob in [named["config"], *named["layers"]]:
        blob_is_whole(client, repository, blob["digest"])
    return digest


def scrub_finds_nothing(data, environment=None):
    """Reads everything in the data directory of a server that is stopped."""
    scrubbed = at_rest("scrub", data, environment)
    if scrubbed.returncode != 0:
        raise Loss(f"a scrub finds: {scrubbed.stdout}{scrubbed.stderr}")


# Nothing waits for anything any more.
WITHOUT_HOLD = {
    "SWR_COLLECTION__UNTAGGED_KEEP": "0s",
    "SWR_COLLECTION__LINK_HOLD": "0s",
    "SWR_COLLECTION__UNSAFE_SHORT_HOLD": "true",
    "SWR_UPLOADS__IDLE": "1ms",
}


def nothing_is_left_but(named, data):
    """Collects in the data directory of a server that is stopped: then the blobs that are named are there, once each,
    and nothing else is; and all of it is right."""
    collect(data)
    # What uploads left when they were swept, and what a scrub finds that has no record after a power cut, is garbage.
    scrub_finds_nothing(data, WITHOUT_HOLD)
    collect(data)
    uploads = files(f"{data}/blobs/uploads")
    if uploads:
        raise Loss(f"of uploads that nobody goes on with {uploads} are left")
    left = collections.Counter(f"sha256:{name.partition('.')[0]}" for name in files(f"{data}/blobs/blobs"))
    wanted = collections.Counter(set(named))
    if left != wanted:
        raise Loss(f"nothing names {sorted((left - wanted).elements())}, and {sorted(wanted - left)} are gone")


def collect(data):
    collected = at_rest("collect", data, WITHOUT_HOLD)
    if collected.returncode != 0:
        raise Loss(f"it does not collect: {collected.stdout}{collected.stderr}")


def at_rest(command, data, environment=None):
    """What the program says on a data directory that no server has."""
    environment = os.environ | {"SWR_STORAGE__RESERVE": "0B"} | (environment or {})
    return subprocess.run([PROGRAM, command, "--data", data], env=environment, capture_output=True, text=True)


def files(folder):
    return [path.name for path in pathlib.Path(folder).rglob("*") if path.is_file()]
