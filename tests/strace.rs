//! `--strace` line by line: what strace shows for the same calls, with the caller's id in front.

use std::path::Path;
use std::process::Command;

/// As Debian 12's strace prints the same calls of an x86-64 program (protocols as numbers here).
#[rustfmt::skip]
const EXPECTED: [(&str, &str); 12] = [
    (r#"openat(AT_FDCWD, "/no/such\nfile", O_RDONLY|O_CLOEXEC|O_DIRECTORY)"#, "-1 ENOENT (No such file or directory)"),
    (r#"openat(77, "x", O_WRONLY|O_CREAT|O_NOFOLLOW, 0640)"#, "-1 EBADF (Bad file descriptor)"),
    (r#"faccessat(AT_FDCWD, "/dev/null", R_OK|W_OK)"#, "0"),
    (r#"open("/dev/zero", O_RDONLY)"#, "3"),
    (r#"read(3, "\0\0\0\0", 4)"#, "4"),
    (r#"pwrite64(3, "abcdefghijklmnopqrstuvwxyz012345"..., 36, 5)"#, "-1 EBADF (Bad file descriptor)"),
    (r#"close(3)"#, "0"),
    (r#"socket(AF_INET, SOCK_RAW|SOCK_CLOEXEC|0x60, 0)"#, "-1 EINVAL (Invalid argument)"),
    (r#"kill(0, 0)"#, "0"),
    (r#"umask(022)"#, "022"),
    (r#"io_uring_setup(1, NULL)"#, "-1 ENOSYS (Function not implemented)"),
    (r#"ftruncate64(-1, 4294967297)"#, "-1 EBADF (Bad file descriptor)"),
];

#[test]
fn lines_are_those_of_strace() {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("traced");
    let status = Command::new("arm-linux-gnueabihf-gcc")
        .args(["-O1", "-static", "-o"])
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/linux/traced.c"))
        .status()
        .expect("Debian's gcc-arm-linux-gnueabihf is installed");
    assert!(status.success());
    let output = Command::new("sh")
        .args(["-c", "umask 022; exec \"$@\" 3<&- 4<&-", "sh"])
        .args([env!("CARGO_BIN_EXE_emu"), "--strace"])
        .arg(&program)
        .output()
        .expect("emu starts");
    assert_eq!(output.status.code(), Some(3));
    let trace = String::from_utf8(output.stderr).expect("text");
    let calls: Vec<(String, String)> = trace
        .lines()
        .map(|line| line.split_once(' ').expect("an id").1)
        .skip_while(|call| !call.starts_with("getpgid"))
        .skip(1)
        .take_while(|call| !call.starts_with("getpgid"))
        .filter_map(|call| call.rsplit_once(" = "))
        .map(|(call, result)| (call.trim_end().to_string(), result.to_string()))
        .collect();
    let expected: Vec<_> = EXPECTED.map(|(c, r)| (c.to_string(), r.to_string())).to_vec();
    assert_eq!(calls, expected);
    assert!(trace.trim_end().ends_with("exit_group(3) = ?"));
}
