"""A master that is short of memory for a moment loses no event: its job ends all the same."""
import unittest

from preon_process import SHORT, Case


class ShortOfMemory(Case):
    def test_every_slice_is_judged(self):
        net = self.net
        net.tracker()
        net.peer("master", 2, program=SHORT)
        job = net.create("nonce", "--all", "--difficulty", "8", "--count", "16000", "--slices",
                         "16")
        net.preon("job", "wait", job, check=0, seconds=30)
        with open(net.path("master.log")) as log:
            self.assertIn("out of memory for judging", log.read())


if __name__ == "__main__":
    unittest.main(verbosity=2)
