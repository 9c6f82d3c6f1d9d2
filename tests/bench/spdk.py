# SPDX-License-Identifier: GPL-2.0-or-later
"""SPDK's iscsi_tgt, a peer that polls: SPDK_TGT names the program. Measured with v26.05."""
import json, os, signal, socket, time

from loads import region
from targets import TARGET_CORE, Failed, Target, free_port, iload

MIB = 1 << 20
POOLS_BYTES = 1024 * MIB        # for its buffers, amply
OVERCOMMIT = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"
# A file system for huge pages that nobody else sees, and that is gone with the process.
WITH_HUGE_PAGES = ["unshare", "--mount", "sh", "-c", 'mount -t hugetlbfs none "$0" && exec "$@"']


def allow_huge_pages(count):
    """Only allows them: none is reserved, and what the process took goes back when it ends, however it ends."""
    with open(OVERCOMMIT) as f:
        before = int(f.read())
    with open(OVERCOMMIT, "w") as f:
        f.write(str(max(before, count)))
    return before


class Spdk(Target):
    """It polls the target's core as long as it runs, so it runs only while it is measured: wake and rest.

    All its targets share one RAM disk, as our machines share the golden image's memory. Its settings are its own defaults."""
    name = "spdk"
    huge_before = None

    def __init__(self, directory, machines, disk_bytes, data_bytes):
        """Disks of disk_bytes, the first data_bytes of which hold data."""
        super().__init__(directory)
        self.socket = os.path.join(self.dir, "rpc.sock")
        try:
            self.launch(disk_bytes + POOLS_BYTES)
            self.set_up(machines, disk_bytes)
            # What was never written has no memory of its own, and would be read faster than data.
            iload(self, "-n", 1, "-q", 8, "-b", "256k", "-w", "write", "--pass", *region(0, data_bytes))
        except BaseException:
            self.stop()
            raise

    def launch(self, memory_bytes):
        argv = [os.environ["SPDK_TGT"], "-m", hex(1 << TARGET_CORE), "-s", memory_bytes // MIB, "--no-pci",
                "--disable-cpumask-locks", "--num-trace-entries", 0, "--wait-for-rpc", "-r", self.socket]
        huge = os.path.join(self.dir, "huge")
        os.mkdir(huge)
        try:
            self.huge_before = allow_huge_pages(memory_bytes // (2 * MIB))
            self.start([*WITH_HUGE_PAGES, huge, *argv, "--huge-dir", huge])
            self.wait_for_socket()
        except (Failed, OSError) as e:
            print(f"# SPDK starts without huge pages, which costs it about a sixth: {e}", flush=True)
            self.stop()
            self.start([*argv, "--no-huge"])
            self.wait_for_socket()

    def wait_for_socket(self):
        end = time.monotonic() + 30
        while True:
            try:
                return self.rpc("rpc_get_methods")
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise Failed(f"{os.environ['SPDK_TGT']} does not start; see {self.log}") from None
                time.sleep(0.05)

    def set_up(self, machines, disk_bytes):
        self.rpc("iscsi_set_options", max_sessions=machines + 8)
        self.rpc("framework_start_init")
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.rpc("iscsi_create_portal_group", tag=1, portals=[{"host": "127.0.0.1", "port": str(port)}])
        self.rpc("iscsi_create_initiator_group", tag=1, initiators=["ANY"], netmasks=["ANY"])
        self.rpc("bdev_malloc_create", name="ram", num_blocks=disk_bytes // 512, block_size=512)
        for n in range(1, machines + 1):
            self.rpc("iscsi_create_target_node", name=f"iqn.2026-01.test.spdk:{n}", alias_name=f"n{n}", queue_depth=64,
                     luns=[{"bdev_name": "ram", "lun_id": 0}], pg_ig_maps=[{"pg_tag": 1, "ig_tag": 1}], disable_chap=True)
        self.write_list(f"iqn.2026-01.test.spdk:{n} iqn.2026-01.test.iload:{n}" for n in range(1, machines + 1))

    def rpc(self, method, **params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method}
        if params:
            request["params"] = params
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(self.socket)
            s.sendall(json.dumps(request).encode())
            answer = self.read_answer(s, method)
        if "error" in answer:
            raise Failed(f"SPDK: {method}: {answer['error']}; see {self.log}")
        return answer["result"]

    @staticmethod
    def read_answer(connection, method):
        """It says neither how long an answer is nor that it is over."""
        got = b""
        while True:
            more = connection.recv(65536)
            got += more
            try:
                return json.loads(got)
            except ValueError:
                if not more:
                    raise Failed(f"SPDK's answer to {method}: {got!r}") from None

    def wake(self):
        self.process.send_signal(signal.SIGCONT)

    def rest(self):
        self.process.send_signal(signal.SIGSTOP)

    def stop(self):
        if self.process:
            self.wake()
        super().stop()
        if self.huge_before is not None:
            with open(OVERCOMMIT, "w") as f:
                f.write(str(self.huge_before))
        self.huge_before = None
