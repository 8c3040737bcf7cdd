"""A master that is short of memory for a moment loses no event: its job ends all the same."""
from preon_process import SHORT, Case, main, needs


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

    @needs("sandbox")
    def test_no_frame_between_own_worker_and_master_is_missed(self):
        """Their link does not break: what is lost of it is said again."""
        net = self.net
        net.tracker()
        net.peer("master", 2, "--jobs", "any", program=SHORT)
        job = net.create("exec", "--quorum", "1", "--slices", "16", "--output", "out.txt", "--",
                         "sh", "-c", "echo fine > out.txt")
        net.preon("job", "wait", job, check=0, seconds=25)


if __name__ == "__main__":
    main()
