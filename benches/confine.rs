//! What the filters cost: their installation, and every system call afterwards.
//! `cargo bench --bench confine`; prints nanoseconds, best of several rounds.

use emu::confine::strict::ExecutableRange;
use std::time::Instant;

/// Nanoseconds a call of getppid(2), best of 20 rounds of 20,000.
fn getppid_ns() -> f64 {
    let round = || {
        let start = Instant::now();
        for _ in 0..20_000 {
            // SAFETY: takes no arguments and only returns a number.
            unsafe { libc::syscall(libc::SYS_getppid) };
        }
        start.elapsed().as_nanos() as f64 / 20_000.0
    };
    (0..20).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn main() {
    let before = getppid_ns();
    let start = Instant::now();
    let first = emu::confine::baseline(false);
    let install = start.elapsed();
    let start = Instant::now();
    let second = emu::confine::baseline(false);
    let again = start.elapsed();
    let after = getppid_ns();
    println!(
        "baseline: {first:?} in {} us, again {second:?} in {} us",
        install.as_micros(),
        again.as_micros()
    );
    println!("getppid: {before:.0} ns before, {after:.0} ns after");
    // The strict filter comes on top here; alone it costs what it adds.
    let calls: Vec<_> = emu::linux::table::host::host_calls()
        .iter()
        .map(|call| call.1)
        .collect();
    let arena = ExecutableRange {
        start: 0x1234_5678_9000,
        len: 128 << 20,
    };
    let start = Instant::now();
    let strict = emu::confine::strict::install(&calls, &[], arena);
    println!(
        "strict: {strict:?} in {} us; getppid {:.0} ns after",
        start.elapsed().as_micros(),
        getppid_ns()
    );
}
