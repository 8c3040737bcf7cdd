"""A second, small implementation of the peer protocol (peer/README.md), by which tests play peers.

What it is not: polite. Any frame may be sent at any time, with any content.
"""
import hashlib
import os
import socket
import ssl
import struct
import subprocess
import threading

HELLO, PING, ERROR, BYE = 1, 2, 3, 4
JOIN, ENLIST, ASSIGN, STARTED, PROGRESS, VOTE, GIVE_UP, CANCEL, RELEASE, ENDED, \
    OFFER, IDLE, LEAVE = range(16, 29)
MANIFEST, LEAVES, BLOCK, HAVE, STOP = range(32, 37)
CRITICAL, ANSWER, MORE = 1, 2, 4
KEEP, DROP = 1, 2
SECONDS = 20 * float(os.environ.get("PREON_PATIENCE", "1"))


def tag(name):
    return b"\0preon1 " + name.encode().ljust(8, b"\0")


def bytes16(b):
    return struct.pack("<H", len(b)) + b


def leaf(block):
    return hashlib.sha256(tag("block") + block).digest()


def root_of_one_block(content):
    """Of a file of at most 256 KiB."""
    leaves = leaf(content) if content else b""
    return hashlib.sha256(tag("file") + struct.pack("<QB", len(content), 18) + leaves).digest()


def outputs_hash(outputs, class_=0, code=0):
    """outputs: name -> (size, root)."""
    body = struct.pack("<BiI", class_, code, len(outputs))
    for name, (size, root) in sorted(outputs.items()):
        body += bytes16(name.encode()) + struct.pack("<Q", size) + root
    return hashlib.sha256(tag("outs") + body).digest()


class Identity:
    """An Ed25519 key with its certificate; signs through the openssl command."""

    def __init__(self, folder, name):
        self.folder = folder
        self.key_file = os.path.join(folder, name + ".pem")
        self.cert_file = os.path.join(folder, name + ".crt")
        self._openssl("genpkey", "-algorithm", "ed25519", "-out", self.key_file)
        self._openssl("req", "-x509", "-key", self.key_file, "-out", self.cert_file, "-days", "9",
                      "-subj", "/CN=anybody")
        spki = self._openssl("pkey", "-in", self.key_file, "-pubout", "-outform", "DER")
        self.public = spki[-32:]
        self.id = hashlib.sha256(spki).digest()

    @staticmethod
    def _openssl(*words):
        return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout

    def sign(self, message):
        path = self.key_file + ".message"
        with open(path, "wb") as f:
            f.write(message)
        return self._openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.key_file, "-in", path)

    def tls(self, server=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self.cert_file, self.key_file)
        context.set_alpn_protocols(["preon/1"])
        return context


class Closed(Exception):
    """The other side has ended the link."""


def hello_body(port=0, slots=2, token=0):
    return struct.pack("<HQBBHHQI", 1, 0, 3, 2, slots, port, token, 0) + bytes16(b"x86_64") + b"\x01" + \
        bytes16(b"nonce@1")


class Link:
    """One link, after TLS. Frames that are not waited for are kept in self.heard."""

    def __init__(self, stream):
        self.stream = stream
        self.stream.settimeout(SECONDS)
        self.pending = b""
        self.heard = []
        self.number = 0
        self.idle = None  # slots, as the other side said last

    @classmethod
    def dial(cls, identity, port, hello=True):
        raw = socket.create_connection(("127.0.0.1", port), SECONDS)
        link = cls(identity.tls().wrap_socket(raw))
        if hello:
            link.send(HELLO, hello_body(), flags=CRITICAL)
        return link

    def raw(self, data):
        try:
            self.stream.sendall(data)
        except (OSError, ssl.SSLError) as e:
            raise Closed(str(e)) from e

    def send(self, type_, body=b"", flags=CRITICAL, request=0, length=None):
        self.raw(struct.pack("<IBBHI", len(body) if length is None else length, type_, flags, 0,
                             request) + body)

    def ask(self, type_, body):
        """Its answer: (type, body)."""
        self.number += 1
        self.send(type_, body, request=self.number)
        return self.wait(lambda t, flags, number, _: flags & ANSWER and number == self.number)

    def _more(self):
        try:
            data = self.stream.recv(65536)
        except socket.timeout:
            raise AssertionError(f"silence; heard {[h[0] for h in self.heard]}") from None
        except (OSError, ssl.SSLError) as e:
            raise Closed(str(e)) from e
        if not data:
            raise Closed("end of stream")
        self.pending += data

    def frame(self):
        """The next one: (type, flags, request, body). PINGs are answered on the way, IDLE is kept."""
        while True:
            while len(self.pending) < 12:
                self._more()
            length, type_, flags, _, request = struct.unpack("<IBBHI", self.pending[:12])
            while len(self.pending) < 12 + length:
                self._more()
            body = self.pending[12:12 + length]
            self.pending = self.pending[12 + length:]
            if type_ == IDLE:
                self.idle = struct.unpack("<H", body)[0]
                continue
            if type_ != PING or flags & ANSWER:
                return type_, flags, request, body
            self.send(PING, flags=ANSWER, request=request)

    def wait(self, suits):
        while True:
            frame = self.frame()
            if suits(*frame):
                return frame[0], frame[3]
            self.heard.append(frame)

    def until_closed(self):
        """Reads to the end, which must come."""
        try:
            while True:
                self.heard.append(self.frame())
        except Closed as e:
            return str(e)

    def close(self):
        self.stream.close()


class Worker:
    """Somebody who joins a job, by the book or not."""

    def __init__(self, identity, port, job):
        self.identity = identity
        self.job = bytes.fromhex(job)
        self.link = Link.dial(identity, port)
        self.run = bytes(16)
        self.papers = b""

    def key(self, run=None):
        return self.job + (run or self.run)

    def join(self):
        type_, body = self.link.ask(JOIN, self.job)
        if type_ == JOIN:
            self.run, self.papers = body[:16], body
        return type_

    def enlist(self, slots=2, held=(), public=None):
        body = self.key() + (public or self.identity.public) + struct.pack("<HH", slots, len(held))
        for slice_, attempt in held:
            body += struct.pack("<QQ", slice_, attempt)
        return self.link.ask(ENLIST, body)[0]

    def assigned(self):
        """The next assignment: (slice, attempt)."""
        kept = [h for h in self.link.heard if h[0] == ASSIGN]
        if kept:
            self.link.heard.remove(kept[0])
            body = kept[0][3]
        else:
            _, body = self.link.wait(lambda t, *_: t == ASSIGN)
        assert body[:48] == self.key()
        return struct.unpack("<QQ", body[48:64])

    def vote_body(self, slice_, attempt, outputs=None, *, class_=0, code=0, run=None, hash_=None,
                  signature=None, tail=b""):
        """outputs: [(index, name, bytes)], which ride along."""
        outputs = outputs or []
        roots = {name: (len(b), root_of_one_block(b)) for _, name, b in outputs}
        claimed = hash_ or outputs_hash(roots, class_, code)
        what = self.key(run) + struct.pack("<QQ", slice_, attempt)
        body = what + struct.pack("<BiII", class_, code, 5, 5) + claimed
        body += signature or self.identity.sign(tag("vote") + what + claimed)
        body += bytes([len(outputs)])
        for index, name, content in outputs:
            body += struct.pack("<HQ", index, len(content)) + roots[name][1]
        return body + b"\x01" + b"".join(b for _, _, b in outputs) + bytes16(tail) + bytes16(b"")

    def vote(self, *words, **more):
        """What the master answers: KEEP or DROP."""
        type_, body = self.link.ask(VOTE, self.vote_body(*words, **more))
        assert type_ == VOTE, (type_, body)
        return body[0]


class Job:
    """A job of our own: its manifest, signed papers, and the grant to any peer."""

    def __init__(self, owner, args, slices=4, more=""):
        self.owner = owner
        self.text = ("preon job 1\n[job]\nname = forged\n" f"slices = {slices}\n"
                     f"owner = {owner.public.hex()}\nsalt = {os.urandom(16).hex()}\n"
                     "[exec]\n" + "".join(f"arg = {a}\n" for a in args) + more).encode()
        self.id = hashlib.sha256(self.text).digest()
        self.run = os.urandom(16)

    def papers(self, peer, signature=None, expires_ms=0, serial=1):
        """The body of a JOIN answer."""
        owner = signature or self.owner.sign(b"preon-owner-1\0" + self.id)
        grant = self.id + self.run + struct.pack("<IQB", serial, expires_ms, 1) + peer
        grant += self.owner.sign(b"preon-grant-1\0" + grant)
        return self.run + owner + bytes16(grant)


class Listener:
    """Where a fake master waits for workers."""

    def __init__(self, identity):
        self.context = identity.tls(server=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def accept(self, seconds=SECONDS):
        """A worker's link, whose HELLO is read."""
        self.socket.settimeout(seconds)
        raw, _ = self.socket.accept()
        raw.settimeout(SECONDS)
        link = Link(self.context.wrap_socket(raw, server_side=True))
        link.send(HELLO, hello_body(self.port), flags=CRITICAL)
        assert link.frame()[0] == HELLO
        return link

    def close(self):
        self.socket.close()


class LyingTracker:
    """Answers OK to everything, and hires whoever comes to whatever it is told."""

    def __init__(self, at=("127.0.0.1", 0)):
        self.socket = socket.create_server(at)
        self.port = self.socket.getsockname()[1]
        self.clients = []
        self.taken = []  # tokens
        self.passed = []
        self.tokens = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                client, _ = self.socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
        except OSError:
            pass  # closed

    def _serve(self, client):
        with client, client.makefile() as lines:
            for line in lines:
                word = line.split()[0]
                if word == "HELLO":
                    client.sendall(b"HELLO preon/1 127.0.0.1 1800 45\n")
                    self.clients.append(client)
                elif word in ("TAKE", "PASS"):
                    (self.taken if word == "TAKE" else self.passed).append(int(line.split()[1]))
                else:
                    client.sendall(b"PONG\n" if word == "PING" else b"OK 0\n")

    def hire(self, port, job, at="127.0.0.1"):
        self.tokens += 1
        for client in self.clients:
            client.sendall(f"HIRE {self.tokens} {at} {port} {job}\n".encode())

    def close(self):
        self.socket.close()
