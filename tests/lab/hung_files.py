"""A file system that does not answer, as a dead NFS server's or a stopped FUSE's: `python hung_files.py FOLDER [idle]`.

Mounted over a folder in the mount namespace it is started in; whoever looks into it sleeps in the kernel until this
program ends. Requests are taken and never answered, so that not even SIGKILL ends a sleeper (D state: fuse_dev.c,
request_wait_answer); with "idle" they are not taken either, as by a stopped daemon, and SIGKILL does.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import time

HEADER = struct.Struct("=IIQ")  # fuse_out_header: length, error, number of the request
# fuse_init_out (include/uapi/linux/fuse.h) of protocol 7.31: versions, read-ahead, flags, background, congestion,
# largest write, granularity of times, pages, alignment, more flags, unused.
INIT = struct.Struct("=IIIIHHIIHHI28x")


def mount(folder: str) -> int:
    """Mount it; the descriptor that its requests come from."""
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    if libc.mount(b"hung:/export", os.fsencode(folder), b"fuse.nfs", 0, options.encode("ascii")):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), folder)
    asked = os.read(device, 1 << 20)
    unique = struct.unpack_from("=Q", asked, 8)[0]
    told = INIT.pack(7, 31, 1 << 16, 0, 12, 9, 1 << 16, 1, 0, 0, 0)
    os.write(device, HEADER.pack(HEADER.size + len(told), 0, unique) + told)
    return device


def main() -> None:
    device = mount(sys.argv[1])
    print("mounted", flush=True)
    while "idle" in sys.argv:
        time.sleep(60)
    while os.read(device, 1 << 20):
        pass


if __name__ == "__main__":
    main()
