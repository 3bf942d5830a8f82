"""What the tools that run GCC's execution tests share: unpacking, running, results that survive a broken-off run."""
import hashlib, json, subprocess, tarfile, threading


def unpack(archive, inside, to):
    """The files below `inside` of GCC's source archive, once."""
    done = to / ".unpacked"
    if done.exists():
        return
    print(f"unpacking the tests from {archive}", flush=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name.startswith(inside) and member.isfile():
                target = to / member.name[len(inside):]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tar.extractfile(member).read())
    done.touch()


class Results:
    """JSON lines by case, appended as they come."""

    def __init__(self, path):
        self.path, self.lock, self.rows = path, threading.Lock(), {}
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    row = json.loads(line)
                    self.rows[row["case"]] = row
                except ValueError:
                    continue  # the last line of a run that was killed

    def add(self, row):
        with self.lock:
            self.rows[row["case"]] = row
            with self.path.open("a") as f:
                f.write(json.dumps(row) + "\n")


def execute(cmd, timeout, cwd):
    try:
        r = subprocess.run(cmd, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, cwd=cwd)
    except subprocess.TimeoutExpired:
        return {"status": "timeout", "out": "", "err": ""}
    return {"status": r.returncode, "out": hashlib.sha256(r.stdout).hexdigest()[:16],
            "err": r.stderr[-200:].decode(errors="replace")}
