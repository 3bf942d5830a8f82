"""The cases of tools/real-programs: what runs, with which Debian packages, and how the output is judged."""
import bz2, gzip, io, lzma, random, tarfile, zipfile
from dataclasses import dataclass, field

import busybox

PACKAGES = ("busybox-static coreutils dash bash python3.11 libpython3.11-testsuite perl lua5.4 sqlite3 gawk sed grep tar gzip "
            "bzip2 xz-utils zstd openssl git cpp-12 findutils diffutils libc-bin ncurses-base base-files").split()


@dataclass
class Case:
    group: str
    name: str
    argv: list
    # "native": the x86-64 program of the same version; "qemu": qemu-user in the same root, where the output
    # depends on the machine.
    reference: str = "native"
    # A pseudo-terminal as standard input, output and error.
    pty: bool = False
    files: dict = field(default_factory=dict)

    @property
    def key(self):
        return f"{self.group}/{self.name}"


def text_files():
    """The files that every case finds in its directory."""
    r = random.Random(20240229)
    words = "the quick brown fox jumps over a lazy dog while seven small cats sleep under old oak trees".split()
    lines = [" ".join(r.choice(words) for _ in range(r.randint(4, 11))) for _ in range(200)]
    text = "\n".join(lines) + "\n"
    numbers = "\n".join(str(r.randint(-10**6, 10**6)) for _ in range(300)) + "\n"
    wordlist = "\n".join(r.choice(words) + str(r.randint(0, 40)) for _ in range(3000)) + "\n"
    binary = bytes(r.getrandbits(8) for _ in range(65536))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(zipfile.ZipInfo("words", (2020, 1, 1, 0, 0, 0)), wordlist, zipfile.ZIP_DEFLATED)
    return {
        "text": text, "text2": text.replace("fox", "cat", 7).replace("oak", "elm", 3), "numbers": numbers, "words": wordlist,
        "binary": binary, "binary2": binary[:1000] + b"?" + binary[1001:], "dir/one": "1\n", "dir/two": "2\n" * 9, "dir/sub/three": "",
        "words.xz": lzma.compress(wordlist.encode()), "words.lzma": lzma.compress(wordlist.encode(), lzma.FORMAT_ALONE),
        "words.bz2": bz2.compress(wordlist.encode()), "words.zip": zipped.getvalue(),
        "text.gz": gzip.compress(text.encode(), mtime=0), "arch.a": ar({"one": b"1\n", "two": b"2\n"}),
        "pkg.deb": ar({"debian-binary": b"2.0\n",
                       "control.tar.gz": tar_gz({"./control": b"Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"}),
                       "data.tar.gz": tar_gz({"./etc": None, "./etc/hello": b"hello\n"})}),
    }


def ar(members):
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name + '/':16}{0:<12}{0:<6}{0:<6}{'100644':8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def tar_gz(members):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as t:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mode = (tarfile.DIRTYPE, 0, 0o755) if data is None else (tarfile.REGTYPE, len(data), 0o644)
            t.addfile(info, io.BytesIO(data or b""))
    return gzip.compress(raw.getvalue(), mtime=0)


FILES = text_files()

COREUTILS = {
    "arch": "test -n \"$(arch)\" && echo ok",
    "b2sum": "b2sum text binary",
    "base32": "base32 binary | md5sum; base32 text | base32 -d | cmp - text",
    "base64": "base64 -w 40 text | head -n 3; base64 binary | base64 -d | cmp - binary && echo same",
    "basename": "basename -a -s .c /x/y.c z.c",
    "basenc": "basenc --base16 text | md5sum; basenc --z85 -w0 <dir/one 2>&1 | wc -l",
    "cat": "cat -A text | tail -n 2; cat -s -n numbers | md5sum",
    "chmod": "chmod -v u=rwx,g=rx,o= text; stat -c %A text",
    "cksum": "cksum text binary; cksum -a sha384 text",
    "comm": "sort words >a; sort text >b; comm -12 a b | wc -l; comm -3 a b | md5sum",
    "cp": "cp -av dir copy | sort; cp --backup=numbered text text2; ls text2*",
    "csplit": "csplit -s text '/fox/' '{3}'; wc -l xx*",
    "cut": "cut -d' ' -f2- --output-delimiter=_ text | head -n 4; cut -c2-5,8 text | md5sum",
    "date": "TZ=Europe/Vienna date -d '2024-02-29 +1 year' +%F; TZ=UTC date -d @1e9 -R; date -u -d '1970-01-01 UTC +1000000000 sec' '+%c'",
    "dd": "dd if=binary of=o bs=512 skip=1 seek=2 count=9 conv=notrunc status=none; md5sum o",
    "df": "df --output=target / | tail -n 1 | wc -l",
    "dir": "dir -1 dir",
    "dircolors": "dircolors -b | md5sum",
    "dirname": "dirname /a/b c d/",
    "du": "du -b text binary; du -ab dir | sort | wc -l",
    "echo": "/usr/bin/echo -e 'x\\ty\\x41'",
    "env": "env -i X=1 env; env -u HOME printenv HOME; echo $?",
    "expand": "printf '\\ta\\tb\\n' | expand -t 3",
    "expr": "expr 7 \\* 6; expr substr abcdef 2 3; expr 99999999999999999999 + 1; expr a : b",
    "factor": "factor 340282366920938463463374607431768211455 97 1000000007",
    "false": "false; echo $?",
    "fmt": "fmt -w 33 text | head -n 5",
    "fold": "fold -s -w 21 text | md5sum",
    "head": "head -n -195 text; head -c 1K binary | md5sum",
    "id": "id -u; id -gn",
    "install": "install -D -m 750 text a/b/c; stat -c '%a %s' a/b/c",
    "join": "sort -u words >a; sort -u text | cut -d' ' -f1 >b; sed 's/$/ 1/' a >c; join a c | md5sum",
    "link": "link text h; stat -c %h h",
    "ln": "ln -sv text s; ln -srv dir/one t; readlink t",
    "logname": "logname >/dev/null 2>&1; echo ran",
    "ls": "ls -l --time-style=+%Y dir | wc -l; ls -Q -S --group-directories-first; ls -R --color=always dir | od -c | md5sum",
    "md5sum": "md5sum text binary words >m; md5sum --quiet -c m && echo good; md5sum --tag text",
    "mkdir": "mkdir -pv a/b/c; mkdir dir 2>&1; echo $?",
    "mkfifo": "mkfifo -m 600 p; stat -c '%F %a' p",
    "mktemp": "f=$(mktemp -p . XXXXXXXX.t); echo ${#f}; rm $f",
    "mv": "mv -v text z; mv -n z numbers; ls",
    "nice": "echo $(( $(nice -n 5 nice) - $(nice) ))",
    "nl": "nl -ba -w3 -s: text | tail -n 2",
    "nohup": "nohup echo ran 2>/dev/null",
    "nproc": "test $(nproc) -ge 1 && echo ok",
    "numfmt": "numfmt --to=iec 1234567890 1000; numfmt --from=si 3.5G; numfmt --to=si --suffix=B --round=nearest 12345678",
    "od": "od -A d -t fF -N 64 binary; od -t x2z -N 40 text; od -t d8 binary | md5sum; od -t fL -N 32 dir/two >/dev/null; echo $?",
    "paste": "paste -d '|,' text numbers words | head -n 2",
    "pathchk": "pathchk -p a/b 'x y'; echo $?",
    "pr": "pr -3 -t -l 40 words | md5sum",
    "printenv": "A=5 printenv A",
    "printf": "/usr/bin/printf '%08.3f|%+d|%#x|%5s|%q\\n' 3.14159 7 255 ab 'a b'; /usr/bin/printf '%a %e %Lg\\n' 1 1e300 0.1 | cut -d' ' -f2-",
    "ptx": "head -n 5 text | ptx -w 50 | md5sum",
    "pwd": "/usr/bin/pwd -P",
    "readlink": "ln -s dir/../text l; readlink -f l; readlink -m nosuch/../x",
    "realpath": "realpath --relative-to=dir text",
    "rm": "rm -rv dir | sort; rm nosuch; echo $?",
    "rmdir": "mkdir -p a/b; rmdir -pv a/b",
    "seq": "seq -f %05.2f 1 0.7 4; seq -s' ' 10 -3 -5; seq 1000000 | md5sum",
    "sha1sum": "sha1sum text binary",
    "sha224sum": "sha224sum text",
    "sha256sum": "sha256sum text binary words",
    "sha384sum": "sha384sum text",
    "sha512sum": "sha512sum text binary",
    "shred": "shred -n 2 -z -u text; ls text 2>/dev/null; echo $?",
    "shuf": "shuf -i 1-100 | sort -n | md5sum; shuf --random-source=binary words | md5sum",
    "sleep": "sleep 0.02s; echo $?",
    "sort": "sort -k3,3 -k1,1r text | md5sum; sort -g numbers | head -n 2; sort -R --random-source=binary words | md5sum; sort -S 16K -u words | wc -l; sort -V words | tail -n 1; sort --parallel=2 words | md5sum",
    "split": "split -l 50 -d text p; md5sum p*; split -n 3 binary q; wc -c q*",
    "stat": "stat -c '%n %s %F %a %h' text dir; stat -c %Y text | wc -l",
    "stdbuf": "seq 5 | stdbuf -oL head -n 2",
    "stty": "stty </dev/null; echo $?",
    "sum": "sum text; sum -s binary",
    "sync": "sync text && echo ok",
    "tac": "tac -s ' ' text | md5sum",
    "tail": "tail -n +198 text; tail -c 7 text; tail -q -n 1 text numbers",
    "tee": "seq 3 | tee a b | tail -n 1; cmp a b && echo same",
    "test": "test text -nt nosuch; echo $?; /usr/bin/test -s text -a -r dir && echo yes",
    "timeout": "timeout -s INT 0.1 sleep 9; echo $?; timeout 5 true; echo $?",
    "touch": "touch -d '2001-02-03 04:05:06.789 UTC' n; stat -c %.3Y n; touch -t 200001010000 n; stat -c %s n",
    "tr": "tr '[:lower:]' '[:upper:]' <text | md5sum; tr -cs a-z '\\n' <text | sort | uniq -c | sort -rn | head -n 5; tr -d '\\n' <numbers | wc -c",
    "true": "true; echo $?",
    "truncate": "truncate -s 1M t; stat -c %s t; truncate -s '<1K' t; stat -c %s t",
    "tsort": "printf 'a b\\nb c\\nd b\\n' | tsort",
    "tty": "tty </dev/null; echo $?",
    "uname": "uname -s; uname -o",
    "unexpand": "printf '                x\\n' | unexpand -a | od -c",
    "uniq": "sort words | uniq -c | sort -k1,1rn -k2 | head -n 3; uniq -w 2 -D text | md5sum",
    "unlink": "unlink text; echo $?",
    "users": "users >/dev/null; echo $?",
    "vdir": "vdir dir | wc -l",
    "wc": "wc text binary words; wc -L text; seq 100000 | wc -lc",
    "who": "who >/dev/null; echo $?",
    "whoami": "whoami",
    "yes": "yes | head -n 100000 | md5sum",
}

SHELL = {
    "arithmetic": "i=0; s=0; while [ $i -lt 2000 ]; do s=$(( (s * 31 + i) % 1000003 )); i=$((i + 1)); done; echo $s $((1 << 40)) $((-7 / 2)) $((-7 % 3))",
    "expansion": "x=path/to/file.tar.gz; echo ${x##*/} ${x%%.*} ${x%/*} ${#x} ${y:-default} ${y+set}; set -- 'a b' c; for w in \"$@\"; do echo \"<$w>\"; done; echo $*",
    "here-document": "v=value; cat <<A\n$v `echo sub` $((2+3))\nA\ncat <<'B'\n$v\nB\ncat <<-C\n\tstripped\n\tC\n",
    "trap": "trap 'echo usr1' USR1; trap 'echo exit $?' EXIT; kill -USR1 $$; (trap 'echo sub' EXIT); (kill -TERM $$) & wait; trap '' TERM; kill -TERM $$; echo alive; exit 3",
    "pipes": "seq 1 2000 | sort -r | head -n 50 | tail -n 5; cat text | while read a b; do echo $a; done | sort | uniq -c | sort -rn | head -n 3; ! false | true; echo $?",
    "functions": "fib() { [ $1 -lt 2 ] && { r=$1; return; }; fib $(($1-1)); local a=$r; fib $(($1-2)); r=$((r + a)); }; fib 9; echo $r",
    "redirection": "exec 3>out; echo three >&3; exec 3>&-; cat out; { echo o; echo e >&2; } >both 2>&1; cat both; echo new >|out; cat <out; ls nosuch 2>/dev/null || echo failed",
    "jobs": "sleep 0.1 & p=$!; wait $p; echo $?; (exit 7) & wait $!; echo $?; sleep 9 & kill $!; wait $! 2>/dev/null; echo $?",
    "case-and-glob": "mkdir g; cd g; touch a1 a2 b1 .h; echo *; echo [!a]*; echo a?; case a1 in b*|a[0-9]) echo match;; esac; echo \\*",
    "getopts": "set -- -a -b val -c rest; while getopts ab:c o; do echo $o $OPTARG; done; shift $((OPTIND-1)); echo $*",
    "read": "printf 'a:b:c\\nsecond line\\n' | { IFS=: read x y; echo $x-$y; read l; echo $l; }; echo 'a\\tb' | { read -r z; echo \"$z\"; }",
    "subshells": "x=1; (x=2; echo $x); echo $x; echo $(echo $(echo deep)); a=$(printf 'x\\n\\n'); echo ${#a}",
    "exec-and-status": "(exec sh -c 'exit 42'); echo $?; sh -c 'kill -9 $$'; echo $?; nosuchcommand 2>/dev/null; echo $?; ./text 2>/dev/null; echo $?",
    "eval-and-umask": "v='echo $((6*7))'; eval \"$v\"; umask 027; : >f; stat -c %a f; ulimit -n >/dev/null && echo limit",
    "script": "printf '#!/bin/sh\\necho script $0 $1\\n' >s; chmod +x s; ./s arg; printf '#!/usr/bin/env -S sh -e\\necho env $#\\n' >t; chmod +x t; ./t 1 2; printf 'echo plain\\n' >u; chmod +x u; ./u",
}
BASH = {
    "arrays": "a=(x 'y z' w); a+=(last); echo ${#a[@]} \"${a[1]}\" ${!a[@]} \"${a[@]:1:2}\"; unset 'a[0]'; echo ${a[*]}; for i in {1..300}; do b[i*i]=$i; done; echo ${#b[@]} ${b[10000]}",
    "associative": "declare -A m; while read -r w _; do ((m[$w]++)); done <text; for k in \"${!m[@]}\"; do echo $k ${m[$k]}; done | sort; [[ -v m[the] ]] && echo has",
    "regex": "[[ 'key=value42' =~ ^([a-z]+)=([a-z]+)([0-9]+)$ ]] && echo ${BASH_REMATCH[@]}; [[ abc == a* && ! x < a ]] && echo yes",
    "substitution": "s=hello; echo ${s^^} ${s/l/L} ${s//l/L} ${s:1:3} ${s: -2} ${s@Q}; printf '%(%Y)T %s %q\\n' 0 x 'a b'; printf -v v %05d 42; echo $v",
    "process-substitution": "diff <(sort words) <(sort -r words) | wc -l; while read l; do ((n++)); done < <(seq 500); echo $n; mapfile -t L <text; echo ${#L[@]}",
    "coproc": "coproc C { while read x; do echo $((x * 2)); done; }; echo 21 >&${C[1]}; read y <&${C[0]}; echo $y",
    "traps": "trap 'echo err $LINENO' ERR; false; trap - ERR; trap 'echo debug' DEBUG; :; trap - DEBUG; f() { trap 'echo ret' RETURN; }; f; trap 'echo bye' EXIT; kill -INT $BASHPID; echo no",
    "here-string": "read -ra w <<<'one two three'; echo ${w[2]}; cat <<<\"$(tr a-z A-Z <<<abc)\"; exec {fd}<text; read -u $fd l; echo $l",
    "arithmetic": "((x = 5, y = x ** 3)); echo $y $((16#ff)) $((2#1011)) $((x > 3 ? 1 : 0)); for ((i = 0, s = 0; i < 5000; i++)); do ((s ^= i * 2654435761)); done; echo $s; let 'z = 7 % 4'; echo $z",
    "job-control": "set -m; sleep 2 & sleep 1 & jobs | wc -l; wait -n; echo $?; wait; (sleep 5; :) & kill -STOP %%; sleep 0.5; jobs | grep -c Stopped; kill -KILL %%; sleep 0.3; jobs >/dev/null 2>&1; echo ${#DIRSTACK[@]}",
    "select-and-brace": "echo {a..e} {1..10..3} pre{x,y}post; echo 2 | { select c in one two; do echo $c; break; done 2>/dev/null; }; shopt -s extglob nullglob; eval 'echo !(text*|words*|binary*) *.none'",
    "nameref": "f() { declare -n r=$1; r+=(new); }; arr=(a); f arr; echo ${arr[@]}; declare -i n=5+5; echo $n; declare -r c=1; (c=2) 2>/dev/null; echo $?",
}
# Typed at an interactive shell on a pseudo-terminal; a form feed is a pause, \x1a Ctrl-Z, \x03 Ctrl-C, \x04 Ctrl-D.
PTY_ANY = {
    "keys": "PS1=\nsleep 30\n\f\x1a\fjobs >j; grep -c Stopped j; rm j\ncommand fg >/dev/null\n\f\x03\fecho fg $?\ncat\nfg line\n\f\x04\fecho fg $?\n(trap 'echo fg trapped; exit 4' INT; sleep 30; :)\n\f\x03\fecho fg $?\nsleep 30 | cat\n\f\x1a\fcommand bg >/dev/null; kill %%; wait; echo fg done\nexit 6\n",
    "size": "PS1=\nstty rows 33 cols 77; stty size | tr ' ' 0; stty -icanon min 1; stty -a | grep -c -e -icanon; stty sane; tty | cut -c1-9; test -t 2 && echo terminal; exit 5\n",
}
PTY = {
    "job-control": "set +o history; PS1=; bind 'set enable-bracketed-paste off' 2>/dev/null\nsleep 30 &\nkill %1; wait 2>/dev/null\nsleep 0.3 & fg >/dev/null\necho fg $?\nsleep 30 & kill -STOP $!; sleep 0.1; jobs | grep -c Stopped\nkill -9 %%; tty | cut -c1-9; stty size | wc -w; test -t 0 && echo terminal\nexit 5\n",
}

PYTHON = ("json re struct math cmath fractions random calendar collections heapq itertools functools hashlib zlib bz2 csv base64 threading "
          "subprocess socket select queue string bisect textwrap").split()
PYTHON_RUN = """import os, sys, unittest, warnings
warnings.simplefilter("ignore")
from test import support
support.verbose = 0
# Need other accounts or a device, or fail in a chroot natively.
out_of_reach = ("test_user", "test_group", "VSOCK", "GetServBy", "TestUnixDomain")
def tests(suite):
    for t in suite:
        yield from tests(t) if isinstance(t, unittest.TestSuite) else [t]
loaded = unittest.defaultTestLoader.loadTestsFromName("test.test_%s")
suite = unittest.TestSuite(t for t in tests(loaded) if not any(o in t.id() for o in out_of_reach))
with open(os.devnull, "w") as null:
    result = unittest.TextTestRunner(stream=null, buffer=True).run(suite)
print(result.testsRun, "run", sorted(t.id() for t, _ in result.failures + result.errors))
"""
PYTHON_SCRIPTS = {
    "threads": "import threading\nn=0\nl=threading.Lock()\ndef f():\n global n\n for _ in range(20000):\n  with l: n+=1\nt=[threading.Thread(target=f) for _ in range(4)]\n[x.start() for x in t];[x.join() for x in t]\nprint(n)",
    "subprocess": "import subprocess,sys\nprint(subprocess.run([sys.executable,'-c','print(6*7)'],capture_output=True,text=True).stdout, subprocess.call(['sh','-c','exit 9']))\np=subprocess.Popen(['sort','-r'],stdin=subprocess.PIPE,stdout=subprocess.PIPE)\nprint(p.communicate(b'a\\nc\\nb\\n'))",
    "sockets": "import socket,threading\ns=socket.create_server(('127.0.0.1',0))\ndef srv():\n c,_=s.accept()\n d=b''\n while len(d)<1<<20: d+=c.recv(65536)\n c.sendall(str(sum(d)).encode());c.close()\nt=threading.Thread(target=srv);t.start()\nc=socket.create_connection(s.getsockname());c.sendall(bytes(range(256))*4096)\nprint(c.recv(99));t.join()",
    "multiprocessing": "import multiprocessing as m\ndef f(x): return x**3\nif __name__=='__main__':\n with m.get_context('fork').Pool(2) as p: print(sum(p.map(f,range(1000))))",
    "asyncio": "import asyncio\nasync def h(r,w):\n w.write((await r.readline()).upper());await w.drain();w.close()\nasync def main():\n s=await asyncio.start_server(h,'127.0.0.1',0)\n a=s.sockets[0].getsockname()\n async def c(i):\n  r,w=await asyncio.open_connection(*a);w.write(b'msg%d\\n'%i);return await r.readline()\n print(await asyncio.gather(*[c(i) for i in range(20)]))\n p=await asyncio.create_subprocess_exec('echo','hi',stdout=-1);print(await p.communicate())\nasyncio.run(main())",
    "numbers": "import decimal,fractions,math,statistics\ndecimal.getcontext().prec=60\nprint(decimal.Decimal(2).sqrt(), fractions.Fraction(1,3)+fractions.Fraction(1,7), math.factorial(60), 3**200 % 10**9)\nprint([float.hex(f(0.7)) for f in (math.sqrt,math.fsum.__self__ and math.floor,math.fabs)] if 0 else float.hex(math.sqrt(0.7)), statistics.pstdev([1,2,3.5]), round(2.675,2), 1e308*10, -0.0, float('nan'))",
}

PERL = {
    "regex": "perl -ne '$n{$1}++ while /\\b(\\w)(?=\\w*o)/g; END { print map { \"$_ $n{$_}\\n\" } sort keys %n }' text",
    "data": "perl -MData::Dumper -e '$Data::Dumper::Sortkeys=1; @a = map { { n => $_, sq => $_**2 } } 1..3; print Dumper(\\@a); print join(\",\", sort { $b <=> $a } map { int } <STDIN>), \"\\n\"' <numbers",
    "pack": "perl -e 'print unpack(\"H*\", pack(\"NvCdw\", 1, 2, 3, 4.5, 300)), \"\\n\"; print join(\",\", unpack(\"(A3)*\", \"abcdefgh\")), \"\\n\"'",
    "modules": "perl -MList::Util=sum,shuffle -MPOSIX=floor,strftime -MDigest::SHA=sha256_hex -MMIME::Base64 -MTime::Local -e 'print sum(1..100), floor(-1.5), strftime(\"%F\", gmtime 86400), sha256_hex(\"x\"), encode_base64(\"hello\"), timegm(0,0,0,1,0,100), \"\\n\"'",
    "fork-and-pipe": "perl -e '$|=1; pipe R,W; if (!fork) { print W \"child\\n\"; exit 3 } close W; print <R>; wait; print $?>>8, \"\\n\"; print `echo sub`; $SIG{ALRM}=sub{print \"alarm\\n\"}; alarm 1; select undef,undef,undef,2; open P,\"|sort\"; print P \"b\\na\\n\"; close P'",
    "float": "perl -e 'printf \"%.17g %s %e\\n\", 0.1+0.2, 1e15/3, 2**0.5; print 10/3, \" \", 1e100, \" \", int(-7.9), \" \", 7 % -3, \"\\n\"; for (1..200000) { $s += sqrt($_) } printf \"%.10f\\n\", $s'",
    "bigint": "perl -Mbigint -e 'print 2**200, \"\\n\", 3**77 % 1000007, \"\\n\"'",
    "sprintf-and-sort": "perl -e 'open F,\"words\"; chomp(@w=<F>); print join(\" \", (sort { length $a <=> length $b or $a cmp $b } @w)[0..9]), \"\\n\"; local $_=join \"\",@w; print tr/a-e//, \"\\n\"; s/(\\d+)/$1*2/gee; print length, \"\\n\"'",
}
LUA = {
    "tables": "lua5.4 -e 't={} for i=1,2000 do t[i]=(i*7919)%2003 end table.sort(t) print(t[1],t[1000],t[2000],#t,table.concat(t,\",\",1,5))'",
    "strings": "lua5.4 -e 'for l in io.lines(\"text\") do for w in l:gmatch(\"%a+\") do n=(n or 0)+#w end end print(n, (\"x\"):rep(3,\"-\"), string.format(\"%q %5.2f %x\",\"a\\n\",math.pi,255), (\"hello\"):gsub(\"l\",\"L\"))'",
    "numbers": "lua5.4 -e 'print(1//0.0, 7//2, -7//2, 7%-3, 2^53, math.maxinteger+1, 1e15, 0x7fffffffffffffff, 3|4, ~0, 1<<62, math.tointeger(3.0), 10/2) local s=0 for i=1,300000 do s=s+i%7*0.5 end print(s)'",
    "coroutines": "lua5.4 -e 'local function gen(n) return coroutine.wrap(function() for i=1,n do coroutine.yield(i*i) end end) end local s=0 for v in gen(1000) do s=s+v end print(s) print((pcall(error,{1}))) print(select(\"#\",table.unpack({1,nil,3},1,3)))'",
    "closures": "lua5.4 -e 'local function fib(n) if n<2 then return n end return fib(n-1)+fib(n-2) end print(fib(22)) print(os.date(\"!%F\",86400), os.getenv(\"HOME\")~=nil) f=io.popen(\"echo piped\") print(f:read(\"a\"))'",
}
SQLITE = {
    "queries": "sqlite3 :memory: \"create table t(a integer primary key, b text, c real); with recursive n(i) as (select 1 union all select i+1 from n where i<3000) insert into t select i, hex(i*7919), i*0.37 from n; select count(*), sum(a), round(avg(c),6), max(b) from t; create index x on t(b); select a, b from t where b like '3%' order by b desc limit 5; select c, count(*) over (order by a rows 3 preceding) from t limit 4;\"",
    "file": "sqlite3 db \"create table w(w); begin;\" '.import words w' 'commit;' \"select w, count(*) n from w group by w order by n desc, w limit 5\"; sqlite3 db 'pragma integrity_check; vacuum; select count(distinct w) from w'; sqlite3 db .dump | md5sum",
    "json-and-text": "sqlite3 :memory: \"select json_extract('{\\\"a\\\":[1,2,{\\\"b\\\":3.5}]}', '\\$.a[2].b'); select printf('%.3f|%05d|%s', 2.0/3, 42, upper('x')); select strftime('%Y-%m-%d', 86400*365, 'unixepoch'); create virtual table f using fts5(x); insert into f values('the quick fox'),('lazy dog'); select x from f where f match 'fox'; select quote(x'00ff'), 9223372036854775807+0, 1e308*10;\"",
}
TEXT_TOOLS = {
    "gawk": {
        "words": "gawk '{for(i=1;i<=NF;i++) n[$i]++} END {PROCINFO[\"sorted_in\"]=\"@val_num_desc\"; for(w in n) print w, n[w]}' text | sort | head -n 20",
        "functions": "gawk 'function f(n) { return n < 2 ? n : f(n-1) + f(n-2) } BEGIN { print f(20), substr(\"hello\", 2, 3), index(\"abc\", \"c\"), strtonum(\"0x1F\"), gensub(/(a)(b)/, \"\\\\2\\\\1\", \"g\", \"abab\"); printf \"%d %.4e %c|%-5s|\\n\", 3.9, 12345.678, 65, \"x\"; print strftime(\"%F\", 0, 1), and(12, 10), lshift(1, 10) }'",
        "numbers": "gawk '{ s += $1; q += $1 * $1 } END { printf \"%d %.6f %g\\n\", s, q / NR, sqrt(q) ; print length(2^53), 1e6 * 1e6, int(-3.7), (exp(1) > 2.718), atan2(0, -1) }' numbers",
        "pipes": "gawk 'BEGIN { while ((\"sort -n numbers\" | getline l) > 0) if (++n <= 3) print l; print \"b\\na\" | \"sort\"; close(\"sort\"); c = \"cat\"; print \"two-way\" |& c; close(c, \"to\"); c |& getline x; print x }'",
    },
    "sed": {
        "substitute": "sed -E 's/([a-z]+) ([a-z]+)/\\2 \\1/3; s/o/0/2g; y/abc/ABC/' text | md5sum; sed -n '/fox/,/dog/{=;p}' text | head -n 8",
        "program": "sed -n '1!G;h;$p' numbers | head -n 3; sed ':a;N;$!ba;s/\\n/,/g' dir/two; sed -s -n '$=' text numbers; sed '2q' text; sed 's/.*/\\U&/;5q' text | tail -n 1",
        "in-place": "sed -i.bak -e '1d;$d' -e '3i inserted' text; diff text.bak text; sed --debug -n 1p dir/one | head -n 1",
    },
    "grep": {
        "patterns": "grep -nE '^(the|a) .*(fox|dog)$' text | head -n 5; grep -c . words; grep -oP '(?<=small )\\w+' text | sort | uniq -c; grep -vwF -f dir/one words | wc -l",
        "files": "grep -rc 2 dir | sort; grep -l fox text numbers; grep -A1 -B1 -m2 -n oak text; grep -q nosuch text; echo $?; grep -a -c . binary; grep -i --color=always FOX text | head -n 1 | od -c | md5sum",
    },
    "find": {"expressions": "find . -type f -size +1k -printf '%s %P\\n' | sort; find dir -name 't*' -o -type d -print | sort; find . -maxdepth 1 -newer text -o -regex '.*b.*y' | sort; find dir -type f -exec md5sum {} + | sort; seq 20 | xargs -n 7 -P 2 echo | sort"},
    "diff": {"unified": "diff -u --label a --label b text text2; diff -rq dir dir; diff -y -W 60 dir/one dir/two; cmp -l binary binary2; sdiff -s text text2 | wc -l; diff3 text text2 text >/dev/null; echo $?"},
}
ARCHIVES = {
    "tar": {
        "create": "tar --sort=name --mtime=@0 --owner=0 --group=0 -cf t.tar dir text binary; md5sum t.tar; tar -tvf t.tar | cut -c1-10,40- | md5sum; mkdir o; tar -xf t.tar -C o; diff -r dir o/dir && cmp binary o/binary && echo same",
        "compressed": "for c in gzip bzip2 xz zstd; do tar --$c -cf t.$c dir text; tar -tf t.$c | wc -l; tar -xOf t.$c text | md5sum; done; tar -cf - dir | tar -xvf - -C . --transform s/dir/renamed/ | sort; tar -df <(tar -c text) 2>/dev/null; tar --exclude='*two' -cvf /dev/null dir | sort",
    },
    "gzip": {"levels": "for l in 1 6 9; do gzip -n -$l -c words | md5sum; gzip -n -$l -c binary | gzip -dc | cmp - binary && echo same; done; gzip -n -k text2; gzip -l text2.gz; gzip -t text2.gz && echo good; zcat text.gz | md5sum; head -c 100 text.gz >bad.gz; gzip -t bad.gz 2>/dev/null; echo $?"},
    "bzip2": {"levels": "for l in 1 9; do bzip2 -$l -c words | md5sum; done; bzip2 -c binary | bzip2 -dc | cmp - binary && echo same; bzip2 -t words.bz2 && echo good; bzcat words.bz2 | md5sum; bzip2 -dc <text 2>/dev/null; echo $?"},
    "xz": {"formats": "for l in 0 6 9e; do xz -$l -T1 -c words | md5sum; done; xz -T2 --block-size=16KiB -c binary | xz -dc | cmp - binary && echo same; xz --format=lzma -c text | xz -dc | md5sum; xz -t words.xz && echo good; xz -l words.xz | tail -n 1 | md5sum; xz --check=sha256 -c text | md5sum; xz --x86 --lzma2 -c binary | xz -dc | cmp - binary && echo filtered"},
    "zstd": {"levels": "for l in 1 3 12 19; do zstd -q --single-thread -$l -c words | md5sum; done; zstd -q -c binary | zstd -dcq | cmp - binary && echo same; zstd -q -T2 text -o t.zst; zstd -tq t.zst && echo good; zstd --train -q words text numbers -B1024 -o dict 2>/dev/null; echo $?; zstd -q --long -c words | zstd -dcq | md5sum; zstd -b1 -i0 -q words >/dev/null 2>&1; echo $?"},
}
OPENSSL = {
    "digests": "for d in md5 sha1 sha224 sha256 sha384 sha512 sha3-256 blake2b512 sm3 ripemd160; do openssl dgst -$d text binary; done; openssl dgst -sha256 -hmac key text",
    "ciphers": "for c in aes-128-cbc aes-256-ctr aes-256-ofb camellia-256-cbc chacha20 aria-128-cbc sm4-cbc des-ede3-cbc; do openssl enc -$c -K $(printf '%064d' 7 | cut -c1-$(case $c in *128*|sm4*) echo 32;; des*) echo 48;; *) echo 64;; esac)) -iv $(printf '%032d' 5 | cut -c1-$(case $c in des*) echo 16;; *) echo 32;; esac)) -in binary -out e; md5sum e; done; openssl enc -aes-256-cbc -pbkdf2 -k pass -in text -out e && openssl enc -d -aes-256-cbc -pbkdf2 -k pass -in e | cmp - text && echo same",
    "keys": "openssl genrsa -out k 1024 2>/dev/null; openssl dgst -sha256 -sign k -out s text; openssl rsa -in k -pubout -out p 2>/dev/null; openssl dgst -sha256 -verify p -signature s text; openssl ecparam -name prime256v1 -genkey -noout -out e; openssl dgst -sign e -out s2 text; openssl ec -in e -pubout -out ep 2>/dev/null; openssl dgst -verify ep -signature s2 text; openssl genpkey -algorithm ed25519 -out d; openssl pkey -in d -noout && echo ok; openssl prime 1000000007; openssl rand 32 | wc -c; openssl passwd -6 -salt abc pass; rm -f k s p e s2 ep d",
    "tls": "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out c -subj /CN=localhost -days 2 2>/dev/null; openssl s_server -accept 127.0.0.1:8443 -key k -cert c -quiet -naccept 2 -www >/dev/null 2>&1 & p=$!; n=0; for v in -tls1_3 -tls1_2; do until echo Q | openssl s_client -connect 127.0.0.1:8443 -CAfile c $v >out 2>/dev/null || [ $n -gt 40 ]; do n=$((n+1)); sleep 0.2; done; grep -oE 'New, .*|Verify return code.*' out | sort -u; done; wait $p; echo $?; rm -f k c out",
}
GIT = {
    "clone": "export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z' GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a; git init -q -b main r; cp -r dir text r; cd r; git add .; git commit -q -m first; sed -i 's/fox/cat/' text; git commit -q -am second; git checkout -q -b side HEAD~1; echo new >new; git add new; git commit -q -m side; git checkout -q main; git merge -q -m merged side; git log --format='%H %s' --graph; git diff HEAD~1 --stat; cd ..; git clone -q r c; cd c; git log --oneline | wc -l; git fsck 2>/dev/null; git status --short; git gc -q; git count-objects -v | grep -v size; git blame -s text | md5sum; git archive HEAD | tar -t; git rev-parse HEAD^{tree}",
}


def c_source(lines):
    """A C program of about `lines` lines with all kinds of statements, for cc1."""
    out = ["typedef unsigned int u32; typedef unsigned long long u64; int printf(const char *, ...);", "struct node { struct node *next; u32 key; double weight; };"]
    i = 0
    while len(out) < lines - 30:
        out += f"""static u32 mix{i}(u32 a, u32 b) {{
    for (u32 k = 0; k < {i % 7 + 3}; k++) {{
        a ^= b << {i % 13 + 1};
        b += a * {2654435761 - i}u;
        if (a & {1 << i % 20}) a -= b >> {i % 9 + 1};
    }}
    return a ^ b;
}}
static double sum{i}(const double *v, int n) {{
    double s = {i}.5;
    for (int k = 0; k < n; k++) s += v[k] * {i % 10 + 1}.25 - (k & {i % 5 + 1});
    return s;
}}
int pick{i}(struct node *n, u32 key, u64 big) {{
    switch (key % 6) {{
    case 0: return (int)mix{i}(key, 3);
    case 1: return n && n->next ? (int)n->next->key : -{i};
    case 2: return (int)(big / (key + {i + 1}));
    case 3: return (int)sum{i}(&n->weight, 1);
    case 4: return (int)(big % 1000003) - (int)key;
    default: while (n && n->key != key) n = n->next; return n ? 1 : 0;
    }}
}}""".split("\n")
        i += 1
    out.append("int main(void) { struct node n = {0, 5, 1.5}; int s = 0;")
    out += [f"    s += pick{k}(&n, {k}u, {k * 12345}ull);" for k in range(i)][: max(0, lines - len(out) - 2)]
    return "\n".join(out + ["    printf(\"%d\\n\", s); return 0; }"]) + "\n"


def cases(arch):
    """Every case for a guest architecture."""
    triplet = {"armhf": "arm-linux-gnueabihf", "armel": "arm-linux-gnueabi"}[arch]
    out = []

    def scripts(group, table, shell=("/bin/dash", "-c"), **kw):
        out.extend(Case(group, name, [*shell, script], **kw) for name, script in table.items())

    wrap = "b() { /bin/busybox \"$@\"; }; "
    scripts("busybox", {n: wrap + s for n, s in busybox.SCRIPTS.items()}, ("/bin/busybox", "sh", "-c"))
    scripts("coreutils", COREUTILS)
    scripts("dash", SHELL)
    scripts("bash", {**SHELL, **{"bash-" + k: v for k, v in BASH.items()}}, ("/bin/bash", "-c"))
    out.extend(Case("bash", "pty-" + n, ["/bin/bash", "--norc", "-i"], pty=True, files={".stdin": t}) for n, t in PTY.items())
    for name, argv in {"bash": ["/bin/bash", "--norc", "--noediting", "-i"], "dash": ["/bin/dash", "-i"]}.items():
        out.extend(Case(name, "pty-" + n, argv, pty=True, files={".stdin": t}) for n, t in PTY_ANY.items())
    out.extend(Case("python", "test_" + m, ["/usr/bin/python3.11", "-c", PYTHON_RUN % m]) for m in PYTHON)
    out.extend(Case("python", n, ["/usr/bin/python3.11", "script.py"], files={"script.py": t}) for n, t in PYTHON_SCRIPTS.items())
    scripts("perl", PERL)
    scripts("lua", LUA)
    scripts("sqlite3", SQLITE)
    for group, table in {**TEXT_TOOLS, **ARCHIVES}.items():
        scripts(group, table, ("/bin/bash", "-c"))
    scripts("openssl", OPENSSL)
    scripts("git", GIT)
    cc1 = f"/usr/lib/gcc/{triplet}/12/cc1"
    for level in ("-O0", "-O2"):
        argv = ["/bin/dash", "-c", f"{cc1} -quiet {level} large.c -o large.s && md5sum large.s && wc -l large.s"]
        out.append(Case("cc1", "large" + level, argv, reference="qemu", files={"large.c": c_source(2000)}))
    return out
