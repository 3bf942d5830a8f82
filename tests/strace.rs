//! `--strace` line by line: what strace shows for the same calls.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Debian 12's armhf strace 6.1 (`strace -f -o FILE`) prints of the same program.
#[rustfmt::skip]
const EXPECTED: [&str; 64] = [
    r#"open("/dev/null", O_RDWR|O_APPEND) = 3"#,
    r#"fstat64(3, {st_mode=S_IFCHR|0666, st_rdev=makedev(0x1, 0x3), ...}) = 0"#,
    r#"fcntl64(3, F_GETFL) = 0x20402 (flags O_RDWR|O_APPEND|O_LARGEFILE)"#,
    r#"fcntl64(3, F_SETFD, FD_CLOEXEC) = 0"#,
    r#"fcntl64(3, F_GETFD) = 0x1 (flags FD_CLOEXEC)"#,
    r#"fcntl64(3, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=10}) = 0"#,
    r#"_llseek(3, 4294967298, [0], SEEK_SET) = 0"#,
    r#"writev(3, [{iov_base="ab", iov_len=2}, {iov_base="cde", iov_len=3}], 2) = 5"#,
    r#"pipe2([4, 5], O_NONBLOCK|O_CLOEXEC) = 0"#,
    r#"write(5, "line\n", 5) = 5"#,
    r#"readv(4, [{iov_base="li", iov_len=2}, {iov_base="ne\n", iov_len=3}], 2) = 5"#,
    r#"ioctl(3, _IOC(_IOC_NONE, 0x12, 0x34, 0), 0x5) = -1 ENOTTY (Inappropriate ioctl for device)"#,
    r#"ioctl(4, FIONREAD, [0]) = 0"#,
    r#"utimensat(AT_FDCWD, "/no/such", [{tv_sec=1, tv_nsec=2} /* 1970-01-01T00:00:01.000000002+0000 */, UTIME_OMIT], AT_SYMLINK_NOFOLLOW) = -1 ENOENT (No such file or directory)"#,
    r#"mknod("/no/such", S_IFCHR|0600, makedev(0x1, 0x3)) = -1 ENOENT (No such file or directory)"#,
    r#"fchown32(4, -1, -1) = 0"#,
    r#"socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_TCP) = 6"#,
    r#"setsockopt(6, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0"#,
    r#"setsockopt(6, SOL_TCP, TCP_NODELAY, [1], 4) = 0"#,
    r#"setsockopt(6, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=2}, 8) = 0"#,
    r#"getsockopt(6, SOL_SOCKET, SO_TYPE, [1], [64 => 4]) = 0"#,
    r#"getsockname(6, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("0.0.0.0")}, [64 => 16]) = 0"#,
    r#"bind(3, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 ENOTSOCK (Socket operation on non-socket)"#,
    r#"connect(3, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = -1 ENOTSOCK (Socket operation on non-socket)"#,
    r#"connect(3, {sa_family=AF_UNIX, sun_path="/no/such"}, 110) = -1 ENOTSOCK (Socket operation on non-socket)"#,
    r#"socketpair(AF_UNIX, SOCK_DGRAM, 0, [7, 8]) = 0"#,
    r#"sendmsg(7, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", iov_len=5}], msg_iovlen=1, msg_control=[{cmsg_len=16, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3]}], msg_controllen=16, msg_flags=0}, MSG_NOSIGNAL) = 5"#,
    r#"recvmsg(8, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", iov_len=20}], msg_iovlen=1, msg_control=[{cmsg_len=16, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[9]}], msg_controllen=16, msg_flags=0}, 0) = 5"#,
    r#"poll([{fd=3, events=POLLIN|POLLPRI}, {fd=99, events=POLLOUT}], 2, 10) = 2 ([{fd=3, revents=POLLIN}, {fd=99, revents=POLLNVAL}])"#,
    r#"poll([], 0, 0) = 0 (Timeout)"#,
    r#"epoll_create1(EPOLL_CLOEXEC) = 10"#,
    r#"epoll_ctl(10, EPOLL_CTL_ADD, 7, {events=EPOLLOUT|EPOLLET, data={u32=7, u64=7}}) = 0"#,
    r#"epoll_wait(10, [{events=EPOLLOUT, data={u32=7, u64=7}}], 1, 0) = 1"#,
    r#"rt_sigaction(SIGUSR2, {sa_handler=SIG_IGN, sa_mask=[INT], sa_flags=SA_NODEFER}, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, 8) = 0"#,
    r#"rt_sigprocmask(SIG_BLOCK, [TERM RT_4], NULL, 8) = 0"#,
    r#"rt_sigtimedwait([TERM RT_4], NULL, {tv_sec=0, tv_nsec=5}, 8) = -1 EAGAIN (Resource temporarily unavailable)"#,
    r#"rt_sigprocmask(SIG_UNBLOCK, [TERM RT_4], [TERM RT_4], 8) = 0"#,
    r#"timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK) = 11"#,
    r#"timerfd_settime(11, TFD_TIMER_ABSTIME, {it_interval={tv_sec=1, tv_nsec=0}, it_value={tv_sec=0, tv_nsec=1000}}, NULL) = 0"#,
    r#"nanosleep({tv_sec=0, tv_nsec=1000}, NULL) = 0"#,
    r#"futex(STACK, FUTEX_WAIT_PRIVATE, 3, {tv_sec=0, tv_nsec=1}) = -1 EAGAIN (Resource temporarily unavailable)"#,
    r#"prctl(PR_SET_NAME, "other") = 0"#,
    r#"prctl(PR_SET_PDEATHSIG, SIGTERM) = 0"#,
    r#"setrlimit(RLIMIT_CORE, {rlim_cur=0, rlim_max=0}) = 0"#,
    r#"mmap2(NULL, 0, PROT_READ, MAP_PRIVATE, 3, 0x3000) = -1 EINVAL (Invalid argument)"#,
    r#"shmget(IPC_PRIVATE, 0, IPC_CREAT|0600) = -1 EINVAL (Invalid argument)"#,
    r#"unshare(CLONE_VM) = 0"#,
    r#"getpid() = PID"#,
    r#"kill(PID, SIGUSR1) = 0"#,
    r#"--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=PID, si_uid=UID} ---"#,
    r#"sigreturn({mask=[]}) = 0"#,
    r#"wait4(-1, NULL, WNOHANG|WSTOPPED, NULL) = -1 ECHILD (No child processes)"#,
    r#"openat(AT_FDCWD, "/no/such\nfile", O_RDONLY|O_CLOEXEC|O_DIRECTORY) = -1 ENOENT (No such file or directory)"#,
    r#"openat(77, "x", O_WRONLY|O_CREAT|O_NOFOLLOW, 0640) = -1 EBADF (Bad file descriptor)"#,
    r#"faccessat(AT_FDCWD, "/dev/null", R_OK|W_OK) = 0"#,
    r#"open("/dev/zero", O_RDONLY) = 12"#,
    r#"read(12, "\0\0\0\0", 4) = 4"#,
    r#"pwrite64(12, "abcdefghijklmnopqrstuvwxyz012345"..., 36, 5) = -1 EBADF (Bad file descriptor)"#,
    r#"close(12) = 0"#,
    r#"socket(AF_INET, SOCK_RAW|SOCK_CLOEXEC|0x60, IPPROTO_IP) = -1 EINVAL (Invalid argument)"#,
    r#"kill(0, 0) = 0"#,
    r#"umask(022) = 022"#,
    r#"io_uring_setup(1, NULL) = -1 ENOSYS (Function not implemented)"#,
    r#"ftruncate64(-1, 4294967297) = -1 EBADF (Bad file descriptor)"#,
];

/// A line without the caller's id, and without what is another at each run.
fn without_chance(line: &str) -> String {
    let (id, text) = line.split_once(' ').expect("an id");
    // SAFETY: no preconditions.
    let uid = format!("si_uid={}", unsafe { libc::getuid() });
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let number = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let number = number.rsplit_once(['(', '=']).map_or(number, |(_, n)| n);
        if number == id {
            words.push(word.replace(id, "PID"));
        } else if number.len() == 10 && number.starts_with("0xff") {
            words.push(word.replace(number, "STACK"));
        } else {
            words.push(word.replace(&uid, "si_uid=UID"));
        }
    }
    words.join(" ")
}

/// The program fixtures/linux/NAME.c.
fn compiled(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/linux/{name}.c"));
    let status = Command::new("arm-linux-gnueabihf-gcc")
        .args(["-O1", "-static", "-o"])
        .arg(&program)
        .arg(source)
        .status()
        .expect("Debian's gcc-arm-linux-gnueabihf is installed");
    assert!(status.success());
    program
}

#[test]
fn lines_are_those_of_strace() {
    let program = compiled("traced");
    let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
    command.arg("--strace").arg(&program);
    // SAFETY: two system calls in the child, which leave it the descriptors that the program expects to be free.
    unsafe {
        command.pre_exec(|| {
            const CLOSE_RANGE_CLOEXEC: u32 = 4;
            libc::umask(0o22);
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, CLOSE_RANGE_CLOEXEC);
            Ok(())
        });
    }
    let output = command.output().expect("emu starts");
    assert_eq!(output.status.code(), Some(3));
    let trace = String::from_utf8(output.stderr).expect("text");
    let lines: Vec<String> = trace.lines().map(without_chance).collect();
    assert!(
        lines[0].starts_with("execve(") && lines[0].ends_with(" vars */) = 0"),
        "{}",
        lines[0]
    );
    let calls: Vec<&String> = lines
        .iter()
        .skip_while(|call| !call.starts_with("getpgid"))
        .filter(|call| !call.starts_with("getpgid"))
        .collect();
    let (calls, ends) = calls.split_at(calls.len() - 2);
    for (call, expected) in calls.iter().zip(EXPECTED) {
        assert_eq!(*call, expected);
    }
    assert_eq!(calls.len(), EXPECTED.len());
    assert_eq!(ends, ["exit_group(3) = ?", "+++ exited with 3 +++"]);
}

/// What strace 6.1 (`strace -f -o FILE`) prints of the first process; x86-64 has recvfrom for recv.
#[rustfmt::skip]
const WAITING: [&str; 16] = [
    r#"read(3, <unfinished ...>"#,
    r#"<... read resumed>"a", 1) = 1"#,
    r#"poll([{fd=3, events=POLLIN}], 1, -1 <unfinished ...>"#,
    r#"<... poll resumed>) = 1 ([{fd=3, revents=POLLIN}])"#,
    r#"read(3, "b", 1) = 1"#,
    r#"recv(5, <unfinished ...>"#,
    r#"<... recv resumed>"c", 1, 0) = 1"#,
    r#"futex(SHARED, FUTEX_WAIT, 0, NULL <unfinished ...>"#,
    r#"<... futex resumed>) = 0"#,
    r#"wait4(CHILD, <unfinished ...>"#,
    r#"<... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 5}], 0, NULL) = CHILD"#,
    r#"vfork( <unfinished ...>"#,
    r#"<... vfork resumed>) = SECOND"#,
    r#"wait4(-1, NULL, 0, NULL) = SECOND"#,
    r#"exit_group(0) = ?"#,
    r#"+++ exited with 0 +++"#,
];

#[test]
fn calls_that_wait_are_shown_as_they_begin() {
    let program = compiled("waits");
    for option in ["--strace", "--strace-times"] {
        let output = Command::new(env!("CARGO_BIN_EXE_emu"))
            .arg(option)
            .arg(&program)
            .output()
            .expect("emu starts");
        assert_eq!(output.status.code(), Some(0));
        let trace = String::from_utf8(output.stderr).expect("text");
        let first = trace.split(' ').next().expect("an id");
        let mut children: Vec<&str> = Vec::new();
        let mut lines = Vec::new();
        let mut times = Vec::new();
        for line in trace.lines().skip_while(|line| !line.contains("getpgid")).skip(1) {
            let mut words: Vec<&str> = line.split_whitespace().collect();
            if option == "--strace-times" {
                let at: f64 = words.remove(1).parse().expect("seconds since 1970");
                let took = words.last().and_then(|w| w.strip_prefix('<')?.strip_suffix('>'));
                times.push((at, took.map(|w| w.parse::<f64>().expect("seconds"))));
                if took.is_some() {
                    words.pop();
                }
            }
            if words[0] != first {
                continue;
            }
            let text = words[1..].join(" ");
            let last = words.last().expect("a word");
            if text.starts_with("clone(") || text.starts_with("<... vfork") {
                children.push(last);
            }
            if !text.starts_with("clone(") {
                lines.push(text);
            }
        }
        let [child, second] = children[..] else {
            panic!("two children in {trace}");
        };
        let plain = |line: &String| line.replace(child, "CHILD").replace(second, "SECOND");
        let lines: Vec<String> = lines.iter().map(plain).collect();
        for (line, expected) in lines.iter().zip(WAITING) {
            match expected.split_once("SHARED") {
                Some((before, after)) => assert!(line.starts_with(before) && line.ends_with(after), "{line}"),
                None => assert_eq!(line, expected),
            }
        }
        assert_eq!(lines.len(), WAITING.len());
        // The first read has waited for the child, which has slept for a tenth of a second at least.
        assert_eq!(times.is_empty(), option == "--strace");
        assert!(times.windows(2).all(|w| w[0].0 - 1.0 < w[1].0), "{trace}");
        let longest = times.iter().filter_map(|t| t.1).fold(0.0, f64::max);
        assert!(times.is_empty() || (0.08..60.0).contains(&longest), "{trace}");
    }
}
