//! Runs a guest of fixtures/softfp in qemu-arm on its standard input.

use std::io::{Read, Write};
use std::process::{ChildStdout, Command, Stdio};

/// What the guest `name` of fixtures/softfp writes on `input`: `expected` bytes.
pub fn run_guest(name: &str, input: Vec<u8>, expected: usize) -> Vec<u8> {
    let mut output = Vec::with_capacity(expected);
    read_guest(name, input, |from| {
        from.read_to_end(&mut output).expect("the guest's output");
    });
    assert_eq!(output.len(), expected, "one result for each record");
    output
}

/// Gives the guest `name` of fixtures/softfp its `input`, and `read` what it writes, to the end.
pub fn read_guest(name: &str, input: Vec<u8>, read: impl FnOnce(&mut ChildStdout)) {
    let guest = format!("{}/fixtures/softfp/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new("qemu-arm")
        .args(["-cpu", "max"])
        .arg(guest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| {
            panic!("qemu-arm (package qemu-user, see tools/install-deps) doesn't start: {e}")
        });
    let mut to_guest = child.stdin.take().expect("a pipe");
    let mut from_guest = child.stdout.take().expect("a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The reader notices if the guest ended early.
            let _ = to_guest.write_all(&input);
        });
        read(&mut from_guest);
    });
    let status = child.wait().expect("the guest's status");
    assert!(status.success(), "the guest ended with {status}");
}
