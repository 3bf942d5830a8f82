"""Cases of Debian programs: runs one natively, under qemu-user or under emu, and compares two runs."""
import concurrent.futures, contextlib, hashlib, itertools, json, os, pty, re, shutil, signal, subprocess, threading, time
from pathlib import Path

import programs

REPO = Path(__file__).resolve().parent.parent.parent
ENV = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/tmp", "LC_ALL": "C", "TZ": "UTC", "TERM": "dumb", "PYTHONHASHSEED": "0",
       "PYTHONDONTWRITEBYTECODE": "1"}


class Results:
    """JSON lines by key, appended as they come; later lines win."""

    def __init__(self, path):
        self.path, self.lock, self.rows = path, threading.Lock(), {}
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    row = json.loads(line)
                    self.rows[row["key"]] = row
                except ValueError:
                    continue  # the last line of a run that was killed

    def add(self, row):
        with self.lock:
            self.rows[row["key"]] = row
            with self.path.open("a") as f:
                f.write(json.dumps(row) + "\n")


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def fill(directory, case):
    """A fresh directory with the common files and the case's own, all of one age."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, data in {**programs.FILES, **case.files}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        path.chmod(0o644)
    for path in [*directory.rglob("*"), directory]:
        os.utime(path, (1600000000, 1600000000))


def leftovers(directory):
    """Names, kinds and sizes below `directory`."""
    out = []
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            out.append(f"{name} -> {os.readlink(path)}")
        elif path.is_file():
            out.append(f"{name} {path.stat().st_size}")
        else:
            out.append(name)
    return out


def run_pty(cmd, env, typed, timeout):
    """Runs `cmd` on a pseudo-terminal without echo and types `typed`; output, no errors, status and CPU seconds."""
    pid, fd = pty.fork()
    if pid == 0:
        import termios
        mode = termios.tcgetattr(0)
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(0, termios.TCSANOW, mode)
        os.execvpe(cmd[0], cmd, env)
    killer = threading.Timer(timeout, lambda: os.kill(pid, signal.SIGKILL))
    killer.start()
    out = b""

    def type_in():
        # What a key does depends on who is in the foreground when it is pressed: a form feed is a pause.
        for part in typed.split("\f"):
            time.sleep(1)
            with contextlib.suppress(OSError):
                os.write(fd, part.encode())

    typist = threading.Thread(target=type_in)
    typist.start()
    try:
        while data := os.read(fd, 65536):
            out += data
    except OSError:
        pass  # the other side is gone
    _, status, usage = os.wait4(pid, 0)
    killer.cancel()
    typist.join()
    os.close(fd)
    # Prompts and the shell's own remarks depend on timing; the commands' lines do not.
    lines = [line for line in out.decode(errors="replace").replace("\r", "").split("\n") if re.match(r"^(fg|terminal|/dev|[0-9]+$)", line)]
    return "\n".join(lines).encode(), b"", os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def run_pipes(cmd, env, timeout):
    """Runs `cmd` without input; output, errors, status and CPU seconds."""
    late = threading.Event()
    p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                         start_new_session=True)

    def kill():
        late.set()
        os.killpg(p.pid, signal.SIGKILL)

    killer = threading.Timer(timeout, kill)
    killer.start()
    with concurrent.futures.ThreadPoolExecutor(2) as readers:
        out, err = readers.submit(p.stdout.read), readers.submit(p.stderr.read)
        # Not through Popen, which does not tell the times of one child.
        _, status, usage = os.wait4(p.pid, 0)
        killer.cancel()
    p.returncode = os.waitstatus_to_exitcode(status)
    p.stdout.close()
    p.stderr.close()
    return out.result(), err.result(), "timeout" if late.is_set() else p.returncode, usage.ru_utime + usage.ru_stime


class Runner:
    def __init__(self, a, work):
        self.a, self.work = a, work
        self.busybox = work / "root-amd64/bin/busybox"
        self.qemu = work / "qemu-arm-static"

    def run(self, case, tool, arch, slot):
        """Runs a case; a row with status, output and what it left behind."""
        directory = self.work / f"case-{slot}"
        fill(directory, case)
        root = self.work / ("root-amd64" if tool == "native" else f"root-{arch}")
        mode = {"native": "chroot", "qemu": "qemu", "emu": "emu"}[tool]
        cmd = ["unshare", "-Urmnpf", "--kill-child", "/bin/sh", str(REPO / "tools/lib/stage.sh"), mode, str(root), str(self.busybox),
               str(self.qemu), str(directory)]
        if tool == "emu":
            cmd += [*self.a.emu, "-L", str(root)]
        cmd += case.argv
        # Whatever goes wrong, git must not find a repository that the work directory lies in.
        env = dict(ENV, GIT_CEILING_DIRECTORIES=":".join(map(str, [directory, self.work, *self.work.parents, root, root / "tmp", "/tmp"])))
        started = time.monotonic()
        if case.pty:
            out, err, status, cpu = run_pty(cmd, env, case.files[".stdin"], self.a.timeout)
        else:
            out, err, status, cpu = run_pipes(cmd, env, self.a.timeout)
        left = "\n".join(leftovers(directory))
        shutil.rmtree(directory, ignore_errors=True)
        # With --stats: what the busiest of the case's processes executed.
        simd = max(map(int, re.findall(rb"Advanced SIMD at least +(\d+)", err)), default=0)
        return {"simd": simd, "status": status, "out": digest(out), "text": out[:3000].decode(errors="replace"), "err": err[-600:].decode(errors="replace"),
                "left": digest(left.encode()), "files": left[:1500], "seconds": round(time.monotonic() - started, 2), "cpu": round(cpu, 2)}


def difference(want, got):
    """Why two rows disagree, or None."""
    if want["status"] != got["status"]:
        return f"status {got['status']} for {want['status']}"
    if want["out"] != got["out"]:
        pairs = itertools.zip_longest(want["text"].split("\n"), got["text"].split("\n"))
        line = next(((w, g) for w, g in pairs if w != g), ("?", "?"))
        return f"output {line[1]!r:.90} for {line[0]!r:.90}"
    if want["left"] != got["left"]:
        odd = set(got["files"].split("\n")) ^ set(want["files"].split("\n"))
        return f"files left behind: {sorted(odd)[:4]}"
    return None


def unsound(want):
    """A reference that failed compares nothing: why it looks like that, or None."""
    if want["status"] == "timeout" or not want["text"].strip():
        return f"no output, status {want['status']}: {want['err'].strip()[-200:]!r}"
    if re.search(r"\d+ run \['", want["text"]):
        return f"tests fail: {want['text'].strip()[-300:]}"
    sign = re.search(r"(?i)usage:|invalid option|not found|syntax error|unrecognized", want["err"])
    return f"looks failed: {want['err'].strip()[-200:]!r}" if sign else None
