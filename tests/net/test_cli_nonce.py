"""Every nonce puzzle through `preon job create nonce`, against a reference in plain Python."""
import os
import subprocess
import unittest

from nonce_reference import HEADERS, Puzzle, known_answers
from preon_process import BUILD, Case

NONCE = os.path.join(BUILD, "libexec", "preon", "nonce@1")
KERNELS = "avx512", "sha_ni", "armv8", "avx2", "portable"
U32, U64 = 2**32, 2**64
ODD = "x'y %d \\ \"$HOME\" -"
LONG = bytes(i * 7 % 256 for i in range(1024 * 1024))
HEADER = HEADERS[1][0]
TARGET = 0x01234567_89abcdef << 192

# (options, the same for the reference, first nonce, how many)
CASES = [
    ([], dict(bits=9), 0, 3000),
    (["--append", "hex"], dict(append="hex", bits=9), 60000, 10000),
    (["--append", "be32"], dict(append="be32", bits=9), 0, 3000),
    (["--append", "le32"], dict(append="le32", bits=8), U32 - 3000, 3000),
    (["--append", "be64"], dict(append="be64", bits=8), U32 - 1500, 3000),
    (["--append", "le64"], dict(append="le64", bits=8), U64 - 3000, 3000),
    (["--hash", "sha256"], dict(hash="sha256", bits=9), 5, 3000),
    (["--hash", "sha256hex"], dict(hash="sha256hex", bits=9), 0, 3000),
    (["--bit-order", "lsb"], dict(order="lsb", bits=9), 9998, 5000),
    (["--hash", "sha256", "--bit-order", "lsb", "--append", "le32"],
     dict(hash="sha256", order="lsb", append="le32", bits=9), 0, 5000),
    (["--suffix", ODD], dict(suffix=ODD.encode(), bits=9), U32 - 1500, 3000),
    (["--block", "-n" + ODD], dict(block=b"-n" + ODD.encode(), bits=9), 0, 4000),
    (["--block", ""], dict(block=b"", bits=9), 9, 3000),
    (["--block", "blöck " * 80], dict(block="blöck ".encode() * 80, bits=8), 0, 3000),
    (["--block-hex", "00ff0a2725"], dict(block=bytes.fromhex("00ff0a2725"), bits=9), 0, 3000),
    (["--block-file", "@LONG"], dict(block=LONG, bits=9), 0, 3000),
    (["--block-file", "@IT'S", "--append", "be64"], dict(block=LONG[:55], append="be64", bits=9),
     0, 3000),
    (["--zeros", "9"], dict(bits=9), 100, 3000),
    (["--zeros", "2", "--unit", "hex"], dict(bits=8), 100, 3000),
    (["--target", f"{TARGET:064x}"], dict(target=TARGET), 0, 3000),
    (["--nbits", "1f7fffff"], dict(target=0x7fffff << 224), 0, 3000),
    (["--header", HEADER, "--difficulty", "9"],
     dict(block=bytes.fromhex(HEADER)[:76], append="le32", order="reversed", bits=9), 0, 4000),
    (["--header", HEADER, "--nbits", "1d00ffff"],
     dict(block=bytes.fromhex(HEADER)[:76], append="le32", order="reversed",
          target=0xffff << 208), 2573394000, 1000),
]


class NonceCase(Case):
    def shell(self, line, **env):
        """What a line for people says about the digest, in whichever shell they have."""
        said = {subprocess.run([shell, "-c", line], env={**os.environ, **env}, text=True,
                               capture_output=True, check=True).stdout
                for shell in ("sh", "bash")}
        self.assertEqual(len(said), 1, (line, said))
        return said.pop().split()[0]

    def files(self, options):
        """@NAME becomes a file in the test's folder."""
        contents = {"@LONG": LONG, "@IT'S": LONG[:55]}
        words = []
        for word in options:
            if word in contents:
                with open(self.net.path(word[1:]), "wb") as file:
                    file.write(contents[word])
                word = self.net.path(word[1:])
            words.append(word)
        return words


class EveryOption(NonceCase):
    """On a tracker, a master that works too, and a worker."""

    def setUp(self):
        super().setUp()
        self.net.tracker()
        self.net.peer("master", 1)
        self.net.peer("worker", 1)

    def test_the_lowest_hit_is_found(self):
        for options, facts, first, count in CASES:
            with self.subTest(options=[o[:40] for o in options]):
                self.check_case(self.files(options), facts, first, count)

    def check_case(self, words, facts, first, count):
        puzzle = Puzzle(**facts)
        nonce = puzzle.hits(first, count)[0]
        if not any(w in words for w in ("--difficulty", "--zeros", "--target", "--nbits")):
            words = words + ["--difficulty", str(facts["bits"])]
        words += ["--start", str(first)]
        words += ["--end", str(first + count - 1)] if count % 2000 else ["--count", str(count)]
        done = self.net.preon("job", "create", "nonce", *words, "--lowest", "--slices", "3",
                              check=0)
        answer = dict(line.split(None, 1) for line in done.stdout.splitlines())
        self.assertEqual(answer["nonce"], str(nonce))
        self.assertEqual(answer["hash"], puzzle.digest(nonce).hex())
        self.assertEqual(answer["zero_bits"], str(puzzle.zero_bits(nonce)))
        for key in "rate", "search", "received":
            self.assertRegex(answer[key], r"^[0-9.]+ ")
        # Of a long block a job knows the midstate only: the line reads the file named in $BLOCK.
        with open(self.net.path("block"), "wb") as file:
            file.write(facts.get("block", b""))
        self.assertEqual(self.shell(answer["check"], BLOCK=self.net.path("block")), answer["hash"])
        # The same nonce by itself; the next one is none, unless it happens to be.
        shown = self.net.json("nonce", "verify", *words, "--nonce", str(nonce), data=None)
        self.assertEqual((shown["nonce"], shown["hash"], shown["zero_bits"], shown["hit"]),
                         (str(nonce), answer["hash"], puzzle.zero_bits(nonce), True))
        self.assertEqual(self.shell(shown["check"]), answer["hash"])
        if nonce > first:
            self.net.preon("nonce", "verify", *words, "--nonce", str(first), data=None, check=5)

    def test_all_hits_are_listed(self):
        puzzle = Puzzle(bits=8)
        want = "".join(f"nonce {n} hash {puzzle.digest(n).hex()} zero_bits {puzzle.zero_bits(n)}\n"
                       for n in puzzle.hits(9000, 3000))
        words = ["--difficulty", "8", "--start", "9000", "--count", "3000"]
        done = self.net.preon("job", "create", "nonce", "--all", *words, "--slices", "5", check=0)
        self.assertEqual(done.stdout, want)
        said = [line for line in done.stderr.splitlines() if "hits in" in line][0]
        self.assertIn(f"preon: {want.count(chr(10))} hits in 5 slices; check the first: ", said)
        self.assertEqual(self.shell(said.split("check the first: ")[1]), want.split()[3])
        job = self.net.json("job", "list")["jobs"][0]["id"]
        self.assertEqual(self.net.preon("job", "results", job, check=0).stdout, want)
        none = self.net.preon("job", "create", "nonce", "--all", "--difficulty", "60", "--count",
                              "3000", "--slices", "2", check=3)
        self.assertEqual(none.stdout, "none\n")

    def test_known_headers_through_a_job(self):
        for header, nbits, nonce, shown in HEADERS.values():
            done = self.net.preon("job", "create", "nonce", "--header", header, "--nbits", nbits,
                                  "--start", str(nonce - 50000), "--count", "100000", check=0)
            answer = dict(line.split(None, 1) for line in done.stdout.splitlines())
            self.assertEqual(answer["nonce"], str(nonce))
            self.assertEqual(bytes.fromhex(answer["hash"])[::-1].hex(), shown)
            self.assertEqual(self.shell(answer["check"]), answer["hash"])


class Kernels(NonceCase):
    """nonce@1 by itself, with each kernel by name."""

    def usable(self):
        names = [k for k in KERNELS if self.nonce(k, "--difficulty=1").returncode == 0]
        self.assertIn("portable", names)
        return names

    def nonce(self, kernel, *words):
        """What it does, less the progress that whoever takes a second tells."""
        done = subprocess.run([NONCE, "--kernel", kernel, *words], env={}, capture_output=True,
                              text=True, timeout=240)
        done.stdout = "".join(line for line in done.stdout.splitlines(keepends=True)
                              if not line.startswith("progress "))
        return done

    def test_known_answers_with_every_kernel(self):
        for kernel in self.usable():
            for options, around, nonce, digest in known_answers():
                first = nonce - 20000 if around else 0
                done = self.nonce(kernel, *options, f"--start={first}", f"--end={nonce + 5000}")
                self.assertEqual((done.returncode, done.stdout.split()[:4]),
                                 (0, ["nonce", str(nonce), "hash", digest]), (kernel, options))
                # And a slice that has none: all nonces before it.
                done = self.nonce(kernel, *options, f"--start={first}", f"--end={nonce - 1}")
                self.assertEqual((done.returncode, done.stdout), (3, ""), (kernel, options))

    def test_borders_with_every_kernel(self):
        for append, border in (("decimal", 10), ("decimal", U32), ("decimal", U64), ("hex", U32),
                               ("be64", U32), ("le64", U64), ("le32", U32), ("be32", U32)):
            first = max(0, border - 400)
            end = min(border + 400, U32 if append.endswith("32") else U64) - 1
            puzzle = Puzzle(append=append, bits=4)
            want = "".join(f"nonce {n} hash {puzzle.digest(n).hex()} zero_bits "
                           f"{puzzle.zero_bits(n)}\n" for n in puzzle.hits(first, end - first + 1))
            for kernel in self.usable():
                done = self.nonce(kernel, "--all", "--difficulty=4", f"--append={append}",
                                  f"--start={first}", f"--end={end}")
                self.assertEqual(done.stdout, want, (append, border, kernel))


class Slices(NonceCase):
    """How many, when nobody says."""

    def test_they_last_ten_seconds_here(self):
        def said(*words):
            done = self.net.preon("job", "create", "nonce", *words, "--dry-run", check=0)
            slices = [w for w in done.stdout.splitlines() if w.startswith("slices = ")][0]
            line = [w for w in done.stderr.splitlines() if " nonces in " in w]
            return int(slices.split()[2]), line

        self.assertEqual(said("--difficulty", "12")[0], 1)
        self.assertEqual(said("--difficulty", "12", "--all", "--count", "9000")[0], 1)
        self.assertEqual(said("--hash", "sha256hex", "--count", "3", "--append", "le32", "--start",
                              str(U32 - 3))[0], 1)
        # Slices of hours are given hours.
        done = self.net.preon("job", "create", "nonce", "--difficulty", "40", "--slices", "1024",
                              "--dry-run", check=0)
        self.assertIn("\n[limits]\ntime = 14835\ncpu = 14835\n", done.stdout)
        # 2^46 nonces: some three weeks of one thread, a hundred thousand slices.
        slices, line = said("--difficulty", "60", "--count", str(2**46))
        rate = self.net.json("bench", "nonce", "--seconds", "1", data=None)
        self.assertEqual(rate["schema"], 1)
        rate = max(k["one_thread_per_s"] for k in rate["kernels"])
        self.assertGreater(2**46 / slices / rate, 10 / 3)
        self.assertLess(2**46 / slices / rate, 10 * 3)


if __name__ == "__main__":
    unittest.main()
