"""Debian roots of several architectures, fetched and unpacked without touching the host's package state."""
import os, shutil, subprocess, sys
from pathlib import Path

SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
    "services": "echo 7/tcp\necho 7/udp\ndaytime 13/tcp\ndaytime 13/udp\nqotd 17/tcp\ndomain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nhttps 443/tcp\n",
    "protocols": "ip 0 IP\ntcp 6 TCP\nudp 17 UDP\n",
}


def configured_mirror():
    """The Debian archive that this machine is set up with."""
    for file in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.sources")),
                 *sorted(Path("/etc/apt/sources.list.d").glob("*.list"))]:
        for line in file.read_text().splitlines() if file.exists() else ():
            words = line.split()
            found = [w for w in words if w.startswith(("http://", "https://"))]
            if found and words[0] in ("URIs:", "deb") and found[0].rstrip("/").endswith("/debian"):
                return found[0]
    sys.exit("no Debian archive in /etc/apt/sources.list or sources.list.d")


def apt(state, arch, *words, cwd=None):
    """apt-get with a state of its own: no package installed, one architecture, the plain suite."""
    dirs = ["etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial",
            "var/lib/dpkg", "var/log/apt"]
    for d in dirs:
        (state / d).mkdir(parents=True, exist_ok=True)
    (state / "etc/apt/sources.list").write_text(f"deb [signed-by={KEYRING}] {configured_mirror()} {SUITE} main\n")
    (state / "var/lib/dpkg/status").touch()
    options = {
        "Dir": state, "Dir::State::status": state / "var/lib/dpkg/status", "Dir::Etc::Trusted": KEYRING,
        "APT::Architecture": arch, "APT::Install-Recommends": "false", "APT::Sandbox::User": "root",
        "Acquire::Languages": "none", "Debug::NoLocking": "true", "pkgCacheGen::Essential": "none",
    }
    cmd = ["apt-get", "-qq", "-y"] + [x for k, v in options.items() for x in ("-o", f"{k}={v}")]
    cmd += ["-o", f"APT::Architectures::={arch}", *words]
    env = dict(os.environ, APT_CONFIG=os.devnull, DEBIAN_FRONTEND="noninteractive")
    return subprocess.run(cmd, env=env, capture_output=True, text=True, cwd=cwd)


def unpack(deb, root):
    """Unpacks a package; unlike `dpkg-deb -x` it keeps the links of a merged /usr."""
    fsys = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", root], stdin=fsys.stdout, check=True)
    if fsys.wait():
        sys.exit(f"real-programs: cannot unpack {deb}")


def make(work, arch, packages):
    """A root with `packages` and what they depend on; made once. Returns its path."""
    root, state = work / f"root-{arch}", work / f"apt-{arch}"
    stamp = root / ".packages"
    wanted = " ".join(sorted(packages))
    if stamp.exists() and stamp.read_text().split("\n")[0] == wanted:
        return root
    print(f"fetching Debian {SUITE} {arch}", flush=True)
    for words in (["update"], ["install", "--download-only", *packages]):
        r = apt(state, arch, *words)
        if r.returncode:
            sys.exit(f"real-programs: apt-get {words[0]} for {arch} failed:\n{r.stdout}{r.stderr}")
    if root.exists():
        shutil.rmtree(root)
    # Merged /usr, as every Debian 12 system has it.
    for d in ("bin", "sbin", "lib"):
        (root / "usr" / d).mkdir(parents=True, exist_ok=True)
        (root / d).symlink_to(f"usr/{d}")
    if arch == "amd64":
        (root / "usr/lib64").mkdir()
        (root / "lib64").symlink_to("usr/lib64")
    for d in ("etc", "proc", "dev", "tmp", "root", "var/tmp"):
        (root / d).mkdir(parents=True, exist_ok=True)
    debs = sorted((state / "var/cache/apt/archives").glob("*.deb"))
    for deb in debs:
        unpack(deb, root)
    for name, text in ETC.items():
        (root / "etc" / name).write_text(text)
    # What maintainer scripts would have made.
    for link, target in (("usr/bin/sh", "dash"), ("usr/bin/awk", "gawk"), ("usr/bin/python3", "python3.11")):
        if not (root / link).exists():
            (root / link).symlink_to(target)
    stamp.write_text(wanted + "\n" + "\n".join(d.name for d in debs) + "\n")
    return root


def versions(root):
    """{package: version without binary rebuild suffix} of a root."""
    out = {}
    for name in (root / ".packages").read_text().split("\n")[1:]:
        if name.count("_") == 2:
            package, version, _ = name.split("_")
            head, plus, tail = version.rpartition("+b")
            out[package] = head if plus and tail.isdigit() else version
    return out


def qemu_static(work):
    """A qemu-arm without libraries, to be reached from inside a root."""
    target = work / "qemu-arm-static"
    if not target.exists():
        state, download = work / "apt-amd64", work / "download"
        (download / "qemu").mkdir(parents=True, exist_ok=True)
        r = apt(state, "amd64", "download", "qemu-user-static", cwd=download)
        if r.returncode:
            sys.exit(f"real-programs: qemu-user-static: {r.stderr}")
        unpack(next(download.glob("qemu-user-static_*.deb")), download / "qemu")
        shutil.copy(download / "qemu/usr/bin/qemu-arm-static", target)
        shutil.rmtree(download)
    return target
