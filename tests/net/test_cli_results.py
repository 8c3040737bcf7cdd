"""What a job left, as the commands give it out: hits, pictures, JSON, and what is false."""
import glob
import hashlib
import json
import os
import struct
import unittest
import zlib

from between import Between
from preon_process import Case

NONCE = ["job", "create", "nonce"]
NONE = ["--difficulty", "60", "--count", "3000", "--slices", "2"]


def png_pixels(path):
    """(width, height, RGB bytes) of a PNG that has no more than Preon's have."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, palette = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(
            kind + body)
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", body)
            assert (depth, colour, interlace) == (8, 2, 0), "not 8-bit RGB"
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    rows, raw, stride = [], zlib.decompress(packed), 3 * width
    above = bytes(stride)
    for y in range(height):
        method, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:
                                                            (y + 1) * (stride + 1)])
        for x in range(stride):
            left = line[x - 3] if x >= 3 else 0
            corner = above[x - 3] if x >= 3 else 0
            line[x] = (line[x] + [0, left, above[x], (left + above[x]) // 2,
                                  paeth(left, above[x], corner)][method]) & 255
        rows.append(bytes(line))
        above = rows[-1]
    return width, height, b"".join(rows)


def paeth(a, b, c):
    nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))
    return nearest[2]


def colour(count, iterations=200):
    """The palette of jobs/mandelbrot/mandelbrot_sys.c."""
    def wave(at, period):
        at %= period
        return min(at, period - at) * 255 // (period // 2)
    inside = count >= iterations
    return bytes(3) if inside else bytes((wave(count, 256), wave(count, 96), wave(count + 24, 64)))


class Results(Case):
    def setUp(self):
        super().setUp()
        self.alone = ["--tracker", "127.0.0.1:9"]

    def preon(self, *words, **more):
        return self.net.preon(*words, *self.alone, **more)

    def last_job(self):
        return self.net.json("job", "list")["jobs"][0]["id"]

    def test_json_ends_as_the_text_does(self):
        """The same job: the same exit code, whoever reads it."""
        for words in [NONCE + ["--all"] + NONE, NONCE + NONE]:
            self.assertEqual(self.preon(*words, check=3).stdout, "none\n")
            job = self.last_job()
            for verb in "follow", "wait":
                self.net.preon("job", verb, job, check=3)
                told = json.loads(self.net.preon("job", verb, job, "--json", check=3).stdout)
                self.assertEqual((told["schema"], told["ended"]), (1, True))
            told = json.loads(self.preon(*words, "--json", check=3).stdout)
            self.assertEqual((told["schema"], told["ended"]), (1, True))
            if "--all" in words:
                self.assertEqual((told["hits"], told["hits_total"]), ([], 0))
                results = self.net.preon("job", "results", job, "--json", check=3)
                self.assertEqual(json.loads(results.stdout)["hits"], [])

    def test_all_hits_are_in_the_json(self):
        words = NONCE + ["--all", "--difficulty", "8", "--start", "9000", "--count", "3000"]
        text = self.preon(*words, "--slices", "5", check=0).stdout
        lines = [line.split() for line in text.splitlines()]
        want = [{"nonce": w[1], "hash": w[3], "zero_bits": int(w[5])} for w in lines]
        self.assertGreater(len(want), 3)
        job = self.last_job()
        for verb in "follow", "results":
            told = self.net.json("job", verb, job)
            self.assertEqual((told["schema"], told["id"], told["hits"], told["hits_total"],
                              told["slices_searched"]), (1, job, want, len(want), 5))

    def test_what_still_runs_is_not_none(self):
        self.net.tracker()
        self.net.peer("master", 1)
        job = self.net.create("nonce", "--all", "--difficulty", "100", "--count", str(2**56),
                              "--slices", str(2**20))
        done = self.net.preon("job", "results", job, check=0)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"preon: 0 hits in \d+ of 1048576 slices")
        self.assertEqual(self.net.json("job", "results", job)["hits_total"], 0)
        self.net.preon("job", "cancel", job, check=0)
        self.net.preon("job", "results", job, check=0)

    def test_chance_of_none_is_told(self):
        """A range of 2^d nonces misses with probability 1/e; the default one in a million times."""
        words = NONCE + ["--difficulty", "12", "--dry-run"]
        for more, chance in ([], "1e-06"), (["--count", "4096"], "0.37"), (["--count", "1"], "1"):
            self.assertIn(f"; the chance that none is a hit: {chance}\n",
                          self.net.preon(*words, *more, check=0).stderr)

    def test_a_picture_is_what_the_slices_say(self):
        """Pixel for pixel, black for what never left; and stdout is one thing."""
        out = self.net.path("out")
        words = ["job", "create", "mandelbrot", "--width", "61", "--height", "43", "--iterations",
                 "200", "--slices", "5"]
        done = self.preon(*words, "-o", out, check=0)
        job = self.last_job()
        path, = glob.glob(out + "/*.png")
        self.assertEqual(done.stdout.splitlines()[-1], path)
        width, height, pixels = png_pixels(path)
        self.assertEqual((width, height), (61, 43))
        self.net.preon("job", "results", job, "--raw", "-o", self.net.path("raw"), check=0)
        raw = b""
        for number in range(5):
            name, = os.listdir(self.net.path("raw", str(number)))
            with open(self.net.path("raw", str(number), name), "rb") as f:
                raw += f.read()
        counts = struct.unpack(f"<{61 * 43}H", raw)
        self.assertGreater(len(set(counts)), 20)
        self.assertIn(200, counts)
        self.assertEqual(pixels, b"".join(map(colour, counts)))
        # As JSON: one object, and nothing behind it.
        told = self.net.json("job", "results", job, "-o", self.net.path("again"))
        self.assertEqual((told["schema"], told["id"], told["files"]), (1, job, 1))
        self.assertEqual(png_pixels(told["picture"]), (width, height, pixels))
        told = self.net.json("job", "results", job, "--raw", "-o", self.net.path("more"))
        self.assertEqual((told["into"], told["files"]), (self.net.path("more"), 5))
        self.assertNotIn("picture", told)
        done = self.preon(*words, "-o", self.net.path("third"), "--json", check=0)
        self.assertEqual(json.loads(done.stdout)["state"], "done")
        self.assertIn(f"preon: {self.net.path('third')}/", done.stderr)

    def test_every_object_says_its_schema(self):
        found = json.loads(self.preon(*NONCE, "--difficulty", "10", "--json", check=0).stdout)
        job = found["id"]
        self.net.tracker()
        self.net.peer("master", 2)
        endless = self.net.json(*NONCE, "--detach", "--difficulty", "70", "--count",
                                str(2**46), "--slices", "99")["id"]
        for words in [["job", "list"], ["job", "status", job], ["job", "follow", job],
                      ["job", "wait", job], ["job", "results", job], ["job", "log", job, "0"],
                      ["job", "results", job, "-o", self.net.path("out")], ["status"], ["doctor"],
                      ["key"], ["job", "cancel", endless], ["job", "rm", endless],
                      NONCE + ["--dry-run"],
                      ["nonce", "verify", "--nonce", found["answer"]["fields"]["nonce"],
                       "--difficulty", "10"]]:
            self.assertEqual(self.net.json(*words)["schema"], 1, words)
        version = self.net.preon("--version", "--json", data=None, check=0).stdout
        self.assertEqual(json.loads(version)["schema"], 1)


class Lies(Case):
    """A peer whose bytes, or answer, are false: exit 5, and nothing of it on stdout."""

    def setUp(self):
        super().setUp()
        self.net.preon(*NONCE, "--difficulty", "10", "--tracker", "127.0.0.1:9", check=0)
        self.job = self.net.json("job", "list")["jobs"][0]["id"]
        self.net.preon("job", "create", "mandelbrot", "--width", "9", "--height", "9", "--slices",
                       "1", "--tracker", "127.0.0.1:9", check=0)
        self.picture = self.net.json("job", "list")["jobs"][0]["id"]
        os.rename(self.net.path("master"), self.net.path("true"))
        self.net.tracker_port = 9
        self.net.peer("true", 0)
        self.between = Between(self.net)
        self.addCleanup(self.between.close)

    def is_hit(self, nonce):
        inner = hashlib.sha256(f"COMSM0010cloud{int(nonce)}".encode()).digest()
        return int(hashlib.sha256(inner).hexdigest(), 16) >> (256 - 10) == 0

    def test_a_false_answer(self):
        answer = self.net.json("job", "status", self.job)["answer"]["fields"]["nonce"]
        self.net.preon("job", "follow", self.job, check=0)  # true as long as nobody changes it
        other = answer
        while self.is_hit(other):
            other = str(int(other) + 1)[-len(answer):].zfill(len(answer))
        self.between.change = lambda said: said.replace(f'"{answer}"'.encode(),
                                                        f'"{other}"'.encode())
        for words in [], ["--json"]:
            done = self.net.preon("job", "follow", self.job, *words, check=5)
            self.assertEqual(done.stdout, "")
            self.assertIn(f"nonce {other} is no hit", done.stderr)

    def test_false_bytes(self):
        out = self.net.path("out")
        words = ["job", "results", self.picture, "--raw", "-o", out]
        self.net.preon(*words, check=0)
        path, = glob.glob(out + "/0/*")
        with open(path, "rb") as f:
            counts = f.read()
        os.unlink(path)
        self.between.change = lambda said: said.replace(counts, counts[:-1] + bytes([counts[-1] ^ 1]))
        done = self.net.preon(*words, check=5)
        self.assertIn("have another hash", done.stderr)
        self.assertEqual(os.listdir(out + "/0"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
