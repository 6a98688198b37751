"""In front of an S3 server, which then fails as a file says: `ok` not at all; `slow-down` always, `some-slow-down` every
third time with a request to come later; `some-lost` every third time by carrying the request out and closing the
connection without an answer.

usage: failing-bucket.py ADDRESS BEHIND MODE-FILE
"""

import http.client
import itertools
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
count = itertools.count(1)


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else None
        with open(sys.argv[3]) as file:
            mode = file.read().strip()
        is_third = next(count) % 3 == 0
        if mode == "slow-down" or (mode == "some-slow-down" and is_third):
            self.answer(503, {"Content-Type": "application/xml"}, BUSY)
            return
        behind = http.client.HTTPConnection(sys.argv[2])
        behind.request(self.command, self.path, body, dict(self.headers))
        answer = behind.getresponse()
        content = answer.read()
        behind.close()
        if mode == "some-lost" and is_third:
            self.close_connection = True
            return
        self.answer(answer.status, dict(answer.headers), content)

    def answer(self, status, headers, content):
        self.send_response_only(status)
        hop = ("connection", "transfer-encoding", "content-length")
        for name, value in headers.items():
            if name.lower() not in hop:
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


host, _, port = sys.argv[1].rpartition(":")
Server((host, int(port)), Front).serve_forever()
