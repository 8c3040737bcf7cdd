"""Nonce puzzles in plain Python: what a search must find, and the facts that are known before."""
import hashlib
import struct


def encode(append, nonce):
    if append == "decimal":
        return b"%d" % nonce
    if append == "hex":
        return b"%x" % nonce
    order, bits = append[:2], int(append[2:])
    return nonce.to_bytes(bits // 8, "big" if order == "be" else "little")


class Puzzle:
    """block ‖ nonce ‖ suffix; header=True: the nonce ends a block header, digest reversed."""

    def __init__(self, block=b"COMSM0010cloud", append="decimal", suffix=b"", hash="sha256d",
                 order="msb", target=None, bits=None):
        self.midstate = hashlib.sha256(block)  # blocks may be long
        self.append, self.suffix, self.hash, self.order = append, suffix, hash, order
        self.target = target if target is not None else 2 ** (256 - bits) - 1

    def digest(self, nonce):
        first = self.midstate.copy()
        first.update(encode(self.append, nonce) + self.suffix)
        if self.hash == "sha256":
            return first.digest()
        if self.hash == "sha256d":
            return hashlib.sha256(first.digest()).digest()
        return hashlib.sha256(first.hexdigest().encode()).digest()

    def key(self, nonce):
        digest = self.digest(nonce)
        if self.order == "lsb":
            digest = bytes(int(f"{b:08b}"[::-1], 2) for b in digest)
        return int.from_bytes(digest, "little" if self.order == "reversed" else "big")

    def zero_bits(self, nonce):
        return 256 - self.key(nonce).bit_length()

    def hits(self, first, count):
        return [n for n in range(first, first + count) if self.key(n) <= self.target]


class Report:
    """nonce.bin of a slice, as jobs/nonce/README.md describes it; to be told lies with."""

    def __init__(self, puzzle, first, last, everything=False):
        length = last - first + 1
        self.range = first, last
        self.count = min(1024, length)
        self.ends = [length * (i + 1) // self.count for i in range(self.count)]
        keys = [puzzle.key(n) for n in range(first, last + 1)]
        self.words = [key >> 224 for key in keys]
        self.hits = [first + i for i, key in enumerate(keys) if key <= puzzle.target]
        self.total = len(self.hits)
        searched = self.count
        if self.hits and not everything:
            self.hits, self.total = self.hits[:1], 1
            searched = self.window_of(self.hits[0]) + 1
        self.windows = [self.window(i) for i in range(searched)]

    def window_of(self, nonce):
        return next(i for i, end in enumerate(self.ends) if nonce - self.range[0] < end)

    def window(self, i, without=()):
        """[nonce, word, sum] of window i, as if some of its nonces did not exist."""
        first = self.range[0]
        part = [(self.words[at], first + at)
                for at in range(self.ends[i - 1] if i else 0, self.ends[i])
                if first + at not in without]
        word, nonce = min(part)
        return [nonce, word, sum(w for w, _ in part) % 2**32]

    def bytes(self):
        out = b"preon-n1" + struct.pack("<QQIIQII", *self.range, self.count, len(self.windows),
                                        self.total, len(self.hits), 0)
        out += b"".join(struct.pack("<Q", h) for h in self.hits)
        return out + b"".join(struct.pack("<QII", *w) for w in self.windows)


# Block headers of the Bitcoin main chain (height: header), and the hash as it is usually printed.
HEADERS = {
    0: ("0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b2"
        "7ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c", "1d00ffff",
        2083236893, "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"),
    1: ("010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744"
        "bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299", "1d00ffff",
        2573394689, "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048"),
    2: ("010000004860eb18bf1b1620e37e9490fc8a427514416fd75159ab86688e9a8300000000d5fdcc541e25de1c"
        "7a5addedf24858b8bb665c9f36ef744ee42c316022c90f9bb0bc6649ffff001d08d2bd61", "1d00ffff",
        1639830024, "000000006a625f06636b8bb6ac7b960a8d03705d1ace08b1a19da3fdcc99ddbd"),
    3: ("01000000bddd99ccfda39da1b108ce1a5d70038d0a967bacb68b6b63065f626a0000000044f672226090d85d"
        "b9a9f2fbfe5f0f9609b387af7be5b7fbb7a1767c831c9e995dbe6649ffff001d05e0ed6d", "1d00ffff",
        1844305925, "0000000082b5015589a3fdf2d4baff403e6f0be035a5d9742c1cae6295464449"),
    125552: ("0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc"
             "8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695",
             "1a44b9f2", 2504433986,
             "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d"),
}

# Lowest nonces from 0 of COMSM0010cloud with 13 zero bits: (options, nonce, digest).
LOWEST_13 = [
    (["--hash=sha256"], 106, "00025a55f59d170e6880e1c2983e64198e2b39ab12660bb7f36c45c2d5da6951"),
    (["--hash=sha256", "--bit-order=lsb"], 3276,
     "0080026a8d24e545061e3a14416676dd82dc57dc141d436106c9eccbdb6dc67f"),
    ([], 294, "0004d1186f3ee857ebb35f726b2358b3a58e82090ceaf36759be1459c30575b9"),
    (["--bit-order=lsb"], 9248,
     "00005ae06e5bef512aff1c22c4f3269f0c181298137c85c07f93cf001b4f447e"),
    (["--hash=sha256hex"], 1534,
     "000192d92b9aa9fcb08050e2f4f32625019845c60ce986ddd1c70acfcdc47e73"),
    (["--hash=sha256hex", "--bit-order=lsb"], 4223,
     "00604bfaa358803f401259a82038961ce915edfc3f36decb42050a8c9639b953"),
    (["--append=hex"], 660, "0004d1186f3ee857ebb35f726b2358b3a58e82090ceaf36759be1459c30575b9"),
    (["--append=hex", "--bit-order=lsb"], 17650,
     "00002b1ef1acfab81a691a2b839b491fb0284105c036177abf0cee4f5db0009a"),
    (["--append=le32"], 900, "0002d2f0e932d67cd470cd4100b3d73fd4b763dadb1660ae406547002ed47a86"),
    (["--append=le32", "--bit-order=lsb"], 6132,
     "0040f8cca264e99156dbb094d28a86e610cf9fbf8e8cb3a73534e0ec14ecd56e"),
]

# Published in the log of a cloud nonce search, which asked for 20 bits from the low end.
PUBLISHED = (["--difficulty=20", "--bit-order=lsb"], 1074435534,
             "0000608a103c8c0966b6e7cefaea4efba26ed42c9b4cadcf030e3cc3b8c44a7d")


def known_answers():
    """(options, around, nonce, digest as sha256sum prints it) of all of the above."""
    for header, nbits, nonce, shown in HEADERS.values():
        yield ([f"--header={header}", f"--nbits={nbits}"], True, nonce,
               bytes.fromhex(shown)[::-1].hex())
    yield PUBLISHED[0], True, PUBLISHED[1], PUBLISHED[2]
    for options, nonce, digest in LOWEST_13:
        yield ["--difficulty=13", "--lowest", *options], False, nonce, digest
