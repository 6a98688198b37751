"""HTTP/2 frame by frame, for clients that no library would be."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
ACK, END_STREAM, END_HEADERS = 1, 1, 4
# Settings: what the other side may name again in its heads; how much of a stream it may send before it is asked for more.
TABLE, WINDOW = 1, 4
WINDOW_MAX = (1 << 31) - 1


def frame(kind, content=b"", flags=0, stream=0):
    return struct.pack(">IBI", len(content) << 8 | kind, flags, stream) + content


def begins(window=None):
    """What a connection begins with. The other side is to name everything as it is."""
    window = b"" if window is None else struct.pack(">HI", WINDOW, window)
    return PREFACE + frame(SETTINGS, struct.pack(">HI", TABLE, 0) + window)


def head(stream, method, path, flags=END_HEADERS):
    """The head of a request; unless it says otherwise, something comes after it."""
    known = {"GET": b"\x82", "POST": b"\x83"}[method] + b"\x86"
    return frame(HEADERS, known + b"\x04" + text(path) + b"\x01" + text("x"), flags, stream)


def text(value):
    """A text in a head, as it is."""
    length, content = len(value), value.encode()
    if length < 0x7F:
        return bytes([length]) + content
    encoded, length = b"\x7f", length - 0x7F
    while length >= 0x80:
        encoded, length = encoded + bytes([length & 0x7F | 0x80]), length >> 7
    return encoded + bytes([length]) + content


def window_update(more, stream=0):
    return frame(WINDOW_UPDATE, struct.pack(">I", more), 0, stream)


def reset(stream):
    """No more of it is wanted."""
    return frame(RST_STREAM, struct.pack(">I", 8), 0, stream)


def much(stream):
    """A head of 16 KB that comes to 48 MB: a long text which is told once, and named again and again."""
    named = b"\x40" + text("x") + text("a" * 4000)
    content = b"\x82\x86\x84\x01" + text("x") + named + b"\xbe" * (16_000 - len(named))
    return frame(HEADERS, content, END_HEADERS | END_STREAM, stream)


class Heard:
    """What the other side has said."""

    def __init__(self):
        self.rest = b""
        # The streams that it has ended.
        self.ended = set()
        # What it answered.
        self.statuses = []

    def take(self, received):
        """Gives what is to be said so that it takes nobody for gone."""
        self.rest += received
        said, at = b"", 0
        while len(self.rest) >= at + 9:
            sized, flags, stream = struct.unpack_from(">IBI", self.rest, at)
            kind, begin, end = sized & 0xFF, at + 9, at + 9 + (sized >> 8)
            if len(self.rest) < end:
                break
            if kind == PING and not flags & ACK:
                said += frame(PING, self.rest[begin:end], ACK)
            if kind == HEADERS:
                self.statuses.append(status_of(self.rest[begin:end]))
            if kind == RST_STREAM or kind in (DATA, HEADERS) and flags & END_STREAM:
                self.ended.add(stream)
            at = end
        self.rest = self.rest[at:]
        return said


# Those that are one byte.
STATUSES = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


def status_of(head):
    """That of an answer's head, which begins with it."""
    # What changes the table goes before.
    head = head.lstrip(bytes(range(0x20, 0x40)))
    if head[0] in STATUSES:
        return STATUSES[head[0]]
    # Its name from the table, then its length, and its digits: those up to 2 are 5 bits, the others 6.
    bits = "".join(f"{byte:08b}" for byte in head[2 : 2 + (head[1] & 0x7F)])
    status = ""
    while len(status) < 3:
        length = 5 if bits.startswith("00") else 6
        status += str(int(bits[:length], 2) - (0 if length == 5 else 0b011001 - 3))
        bits = bits[length:]
    return int(status)
