//! The system call table against the kernel's numbers (crate `syscalls`), and the page made from it.

mod syscall_page;

use emu::linux::table::lookup_arm;
use emu::linux::table::rows::ROWS;
use emu::linux::table::{ARM_PRIVATE, NO};

/// A 64-bit ABI has one form, under the plain name, where 32-bit ARM has an old one and a new one.
fn plain(name: &str) -> &str {
    match name {
        "ugetrlimit" => "getrlimit",
        "mmap2" => "mmap",
        "arm_fadvise64_64" => "fadvise",
        "arm_sync_file_range" => "sync_file_range",
        other => ["_time64", "64", "32"]
            .into_iter()
            .find_map(|end| other.strip_suffix(end))
            .unwrap_or(other)
            .trim_start_matches('_'),
    }
}

#[test]
fn every_arm_number_has_a_row_of_its_name() {
    let mut wrong = Vec::new();
    for call in syscalls::arm::Sysno::iter() {
        let number = u32::try_from(call.id()).expect("a number");
        let row = lookup_arm(number).map(|r| r.name);
        if row != Some(call.name()) {
            wrong.push(format!("{number} {}: {row:?}", call.name()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_row_has_a_number_of_the_kernel() {
    let mut wrong = Vec::new();
    for row in ROWS.iter().filter(|r| r.arm < ARM_PRIVATE) {
        let call = syscalls::arm::Sysno::new(row.arm as usize);
        if call.map(|c| c.name()) != Some(row.name) {
            wrong.push(format!("{} {}: {call:?}", row.arm, row.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // arch/arm/include/uapi/asm/unistd.h
    let private = ["breakpoint", "cacheflush", "usr26", "usr32", "set_tls", "get_tls"];
    for (i, name) in private.into_iter().enumerate() {
        assert_eq!(lookup_arm(ARM_PRIVATE + 1 + i as u32).map(|r| r.name), Some(name));
    }
}

#[test]
fn aarch64_numbers_are_the_kernels() {
    let mut wrong = Vec::new();
    for row in ROWS.iter().filter(|r| r.arm64 != NO) {
        let call = syscalls::aarch64::Sysno::new(row.arm64 as usize);
        if call.map(|c| plain(c.name())) != Some(plain(row.name)) {
            wrong.push(format!("{} {}: {call:?}", row.arm64, row.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/syscalls.md");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == syscall_page::page(), "run tools/syscall-docs");
}
