"""Guest systems entered by chroot: under emu, held by an open descriptor, or under qemu-user, registered in a namespace."""
import ctypes, os, select, signal, subprocess, sys
from pathlib import Path

from roots import configured_mirror

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER = 0x20000, 0x20000000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
# emu takes the descriptor that it was executed by for its own if the number is in the range it uses.
EMU_FD = 950
ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "USER": "root", "LOGNAME": "root",
    "TERM": "dumb", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive",
}
# What an ELF file for 32-bit ARM begins with, and the bits of it that matter.
MAGIC = rb"\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00"
MASK = rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
QEMU = "/usr/bin/qemu-arm-static"
libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind=None, flags=0, data=None):
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    check(libc.mount(*words, flags, data and data.encode()), f"mount {target}")


class System:
    """A guest system in a directory. Whatever runs in it ends with the command that started it: each has a process
    namespace of its own, and mounts that nothing else sees. emu itself gets no namespace and no registration."""

    def __init__(self, root, emu=None, options=()):
        self.root, self.emu, self.options = Path(root), emu, list(options)

    def command(self, words, log, proc=True, timeout=3600, env=None):
        """Runs a command to its end with output to `log`: its exit status, 124 if it was too slow."""
        child = self.start(words, log, proc, env)
        try:
            return child.wait(timeout)
        except subprocess.TimeoutExpired:
            return 124
        finally:
            child.end()

    def start(self, words, log, proc=True, env=None):
        """Starts a command."""
        ready, told = os.pipe()
        mapped, map_done = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(ready)
                os.setsid()
                out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                null = os.open("/dev/null", os.O_RDONLY)
                for source, target in ((null, 0), (out, 1), (out, 2)):
                    os.dup2(source, target)
                self.become(words, proc, told, mapped, env or {})
            except BaseException as error:
                print(f"enter: {error}", file=sys.stderr, flush=True)
            os._exit(125)
        os.close(told)
        os.close(mapped)
        if os.read(ready, 1) == b"u":
            for kind in ("uid", "gid"):
                Path(f"/proc/{pid}/{kind}_map").write_text("0 0 4294967295")
            os.write(map_done, b"x")
        os.close(ready)
        os.close(map_done)
        return Child(pid)

    def become(self, words, proc, told, mapped, env):
        # What a background job of a shell, nohup and Python ignore, guests must not.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        flags = CLONE_NEWNS | CLONE_NEWPID
        if self.emu:
            emulator = os.open(self.emu, os.O_RDONLY)
            os.dup2(emulator, EMU_FD, inheritable=True)
        else:
            flags |= CLONE_NEWUSER
        check(libc.unshare(flags), "unshare")
        if not self.emu:
            os.write(told, b"u")
            os.read(mapped, 1)
            os.setgroups([])
        os.close(told)
        os.close(mapped)
        # The namespace's first process, which dies with this one: the kernel then kills the rest.
        follow(os.fork())
        libc.prctl(1, signal.SIGKILL)
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        if not self.emu:
            mount("binfmt_misc", "/proc/sys/fs/binfmt_misc", "binfmt_misc")
            register = os.open("/proc/sys/fs/binfmt_misc/register", os.O_WRONLY)
            os.write(register, b":qemu-arm-private:M::" + MAGIC + b":" + MASK + b":" + QEMU.encode() + b":F")
            os.close(register)
        if proc:
            mount("proc", self.root / "proc", "proc")
            mount("devpts", self.root / "dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620")
            mount("tmpfs", self.root / "dev/shm", "tmpfs", 0, "mode=1777")
        follow(os.fork())
        os.chroot(self.root)
        os.chdir("/")
        os.umask(0o022)
        if self.emu:
            os.execve(EMU_FD, ["emu", *self.options, *words], {**ENV, **env})
        os.execvpe(words[0], words, {**ENV, **env})


def follow(pid):
    """In the parent of `pid`: waits for it, reaps what others leave behind, and ends as it ended."""
    while pid:
        gone, status = os.wait()
        if gone == pid:
            status = os.waitstatus_to_exitcode(status)
            os._exit(status if status >= 0 else 128 - status)


class Child:
    def __init__(self, pid):
        self.pid, self.status = pid, None

    def wait(self, timeout):
        """The exit status; TimeoutExpired."""
        opened = os.pidfd_open(self.pid) if self.status is None else None
        if opened is not None:
            there = select.select([opened], [], [], timeout)[0]
            os.close(opened)
            if not there:
                raise subprocess.TimeoutExpired("", timeout)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def end(self):
        """Ends it and all that it started."""
        if self.status is None:
            try:
                # By its parent's death the first process of the namespace dies, and so does everything in it.
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
