//! What the loader refuses and how it says so; the code of the kuser helpers.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use capstone::prelude::*;
use emu::cpu::model::Model;
use emu::load::{self, Kind, LoadError, Problem};

#[path = "loader/dir.rs"]
mod dir;
#[path = "loader/elf.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod elf;
use dir::Dir;
use elf::{Elf, R, X};

const EXEC: u16 = 2;

/// The first line of an error, its errno and its exit status.
fn refusal(dir: &Dir, bytes: &[u8]) -> (String, i32, i32) {
    let path = dir.file("refused", bytes);
    let file = File::open(&path).expect("open");
    let problem = load::plan(&file).expect_err("refused");
    let error = LoadError {
        path: "prog".into(),
        problem,
    };
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
    (line, error.errno(), error.exit_code())
}

#[test]
fn refusals_say_what_and_what_to_do() {
    let dir = Dir::new("refused");
    let good = Elf::new(EXEC, 0x10054, 0x1000).load(R | X, 0, 0x10000, 0x1000, 0x1000);
    let bytes = good.bytes();
    assert!(load::plan(&bytes[..]).is_ok());
    let edit = |at: usize, value: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        refusal(&dir, &bytes)
    };
    let size = bytes.len();
    let cut = |len: usize| refusal(&dir, &bytes[..len]);
    #[rustfmt::skip]
    let cases = [
        (edit(36, &[0, 0, 0, 0]), "prog: has no EABI version in its ELF flags (the old OABI); rebuild it for EABI"),
        (edit(36, &[0, 0, 0, 2]), "prog: has EABI version 2 in its ELF flags; only 4 and 5 are supported"),
        (edit(18, &[183, 0]), "prog: is a program for AArch64 (64-bit ARM), not for 32-bit ARM"),
        (edit(18, &[3, 0]), "prog: is a program for 32-bit x86, not for 32-bit ARM"),
        (edit(4, &[2]), "prog: is a 64-bit program; only 32-bit ARM programs run here"),
        (edit(16, &[1, 0]), "prog: is not a program: ELF type relocatable object"),
        (edit(16, &[4, 0]), "prog: is not a program: ELF type core dump"),
        (edit(24, &[2, 0, 1, 0]), "prog: broken ELF file: entry point that is no instruction's address"),
        (edit(42, &[56, 0]), "prog: broken ELF file: program headers of a size that is not ELF32's"),
        (edit(44, &[0, 0]), "prog: broken ELF file: no program headers, or too many"),
        (edit(44, &[0xff, 0xff]), "prog: broken ELF file: no program headers, or too many"),
        (edit(52, &[2, 0, 0, 0]), "prog: broken ELF file: no segment to load"),
        (edit(52 + 20, &[0, 1, 0, 0]), "prog: broken ELF file: segment 0: larger in the file than in memory"),
        (edit(52 + 8, &[0, 0xf0, 0xff, 0xff]), "prog: broken ELF file: segment 0: reaches beyond the address space"),
        (cut(20), "prog: truncated: the ELF header would end at byte 52 but the file has 20; copy the file again"),
        (cut(60), "prog: truncated: the program header table would end at byte 84 but the file has 60; copy the file again"),
        (cut(size - 1), "prog: truncated: a segment would end at byte 4096 but the file has 4095; copy the file again"),
    ];
    for ((line, errno, status), want) in cases {
        assert_eq!(line, want);
        assert_eq!((errno, status), (libc::ENOEXEC, 126), "{want}");
    }
    // Big-endian: everything the other way round; BE8 says so in the flags.
    let mut big = bytes.clone();
    big[5] = 2;
    for (at, len) in [
        (16, 2),
        (18, 2),
        (20, 4),
        (24, 4),
        (28, 4),
        (32, 4),
        (36, 4),
        (40, 2),
        (42, 2),
        (44, 2),
    ] {
        big[at..at + len].reverse();
    }
    assert!(refusal(&dir, &big).0.contains("big-endian ARM program (BE32)"));
    big[37] |= 0x80;
    assert!(refusal(&dir, &big).0.contains("big-endian ARM program (BE8)"));
    assert!(matches!(
        load::identify(&File::open(dir.0.join("refused")).expect("open")),
        Ok(Kind::Arm32)
    ));
}

#[test]
fn opening_programs() {
    let dir = Dir::new("open");
    let status = |path: &Path| {
        let error = load::open_program(path).expect_err("an error");
        assert!(
            error.to_string().starts_with(path.to_str().expect("text")),
            "{error}"
        );
        (error.exit_code(), error.errno())
    };
    assert_eq!(status(&dir.0.join("missing")), (127, libc::ENOENT));
    assert_eq!(status(&dir.0), (126, libc::EACCES));
    assert_eq!(status(Path::new("/dev/null")), (126, libc::EACCES));
    let plain = dir.file("plain", b"hello");
    assert_eq!(status(&plain.join("below")), (126, libc::ENOTDIR));
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    assert_eq!(status(&plain), (126, libc::EACCES));
    let script = dir.file("script", b"#!/bin/sh -e\ntrue\n");
    let program = load::open_program(&script).expect("a script");
    assert_eq!(
        program.kind,
        Kind::Script {
            interpreter: b"/bin/sh".to_vec(),
            argument: Some(b"-e".to_vec())
        }
    );
    // Nobody waits for somebody to write into a FIFO, as a program or as an interpreter.
    let fifo = dir.0.join("fifo");
    let made = std::process::Command::new("mkfifo")
        .args(["-m", "755"])
        .arg(&fifo)
        .status();
    assert!(made.expect("mkfifo").success());
    assert_eq!(status(&fifo), (126, libc::EACCES));
    let name = fifo.to_str().expect("text").as_bytes();
    let needs = Elf::new(EXEC, 0x10054, 0x1000)
        .load(R | X, 0, 0x10000, 0x1000, 0x1000)
        .interp(name);
    let needs = dir.file("needs", &needs.bytes());
    let output = std::process::Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_emu")])
        .arg(&needs)
        .output()
        .expect("timeout");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(126), "{errors}");
    assert!(
        errors.contains("its interpreter") && errors.contains("regular file"),
        "{errors}"
    );
    let own = std::env::current_exe().expect("a path");
    assert_eq!(load::open_program(&own).expect("a program").kind, Kind::X86_64);
    let odd = dir.file("a\nb", b"#!\n");
    assert!(
        !load::open_program(&odd)
            .expect_err("an empty first line")
            .to_string()
            .contains('\n')
    );
}

#[test]
fn truncated_programs_are_refused() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/armhf/showcase");
    let whole = std::fs::read(&fixture).expect("the fixture");
    let plan = load::plan(&whole[..]).expect("a program");
    // What lies behind the last segment (section headers) is not needed.
    let needed = plan
        .segments
        .iter()
        .map(|s| s.offset as usize + s.file_size as usize)
        .max()
        .expect("segments");
    assert!(load::plan(&whole[..needed]).is_ok());
    for len in (0..needed).step_by(997).chain([needed - 1]) {
        assert!(
            matches!(load::plan(&whole[..len]), Err(Problem::Truncated { .. })),
            "cut at {len}"
        );
    }
}

/// Disassembles A32 code up to and including the first return or branch away.
fn disassemble(page: &[u8], address: u32) -> Vec<String> {
    let cs = Capstone::new()
        .arm()
        .mode(arch::arm::ArchMode::Arm)
        .build()
        .expect("capstone");
    let code = &page[(address & 0xfff) as usize..];
    let mut out = Vec::new();
    for chunk in code.chunks_exact(4) {
        let at = u64::from(address) + 4 * out.len() as u64;
        let insns = cs.disasm_all(chunk, at).expect("code");
        let insn = insns.iter().next().expect("an instruction");
        let line = format!(
            "{} {}",
            insn.mnemonic().unwrap_or(""),
            insn.op_str().unwrap_or("")
        );
        out.push(line.trim().to_string());
        if line.starts_with("bx ") || line.starts_with("b ") {
            break;
        }
    }
    out
}

#[test]
fn kuser_helpers_are_the_code_they_should_be() {
    let model = |name| Model::by_name(name).expect("a model");
    let new = load::vectors_page(model("cortex-a15"));
    let v6 = load::vectors_page(model("arm1176"));
    let old = load::vectors_page(model("arm926"));
    for page in [&new, &v6, &old] {
        assert_eq!(page[0xffc..], 5u32.to_le_bytes());
        assert_eq!(page.len(), 4096);
    }
    let cmpxchg = |barrier: &str| {
        [
            barrier,
            "ldrex r3, [r2]",
            "subs r3, r3, r0",
            "strexeq r3, r1, [r2]",
            "teqeq r3, #1",
            "beq #0xffff0fc4",
            "rsbs r0, r3, #0",
            "b #0xffff0fa0",
        ]
        .map(String::from)
    };
    assert_eq!(disassemble(&new, load::KUSER_CMPXCHG), cmpxchg("dmb ish"));
    assert_eq!(
        disassemble(&v6, load::KUSER_CMPXCHG),
        cmpxchg("mcr p15, #0, r0, c7, c10, #5")
    );
    assert_eq!(
        disassemble(&new, load::KUSER_MEMORY_BARRIER),
        ["dmb ish", "bx lr"]
    );
    assert_eq!(disassemble(&old, load::KUSER_MEMORY_BARRIER), ["bx lr"]);
    let tls = ["mrc p15, #0, r0, c13, c0, #3", "bx lr"];
    assert_eq!(disassemble(&new, load::KUSER_GET_TLS), tls);
    assert_eq!(disassemble(&v6, load::KUSER_GET_TLS), tls);
    assert_eq!(
        disassemble(&old, load::KUSER_GET_TLS),
        [
            "str r7, [sp, #-4]!",
            "ldr r7, [pc, #8]",
            "svc #0",
            "pop {r7}",
            "bx lr"
        ]
    );
    assert_eq!(
        old[0xff4..0xff8],
        0xf0006u32.to_le_bytes(),
        "the literal that the load reaches"
    );
    assert_eq!(
        disassemble(&new, load::KUSER_CMPXCHG64),
        [
            "push {r4, r5, r6, r7}",
            "ldrd r4, r5, [r0]",
            "ldrd r6, r7, [r1]",
            "dmb ish",
            "ldrexd r0, r1, [r2]",
            "eors r3, r0, r4",
            "eorseq r3, r1, r5",
            "strexdeq r3, r6, r7, [r2]",
            "teqeq r3, #1",
            "beq #0xffff0f70",
            "dmb ish",
            "rsbs r0, r3, #0",
            "pop {r4, r5, r6, r7}",
            "bx lr"
        ]
    );
    assert_eq!(
        disassemble(&old, load::KUSER_CMPXCHG),
        [
            "ldr r3, [r2]",
            "subs r3, r3, r0",
            "streq r1, [r2]",
            "rsbs r0, r3, #0",
            "bx lr"
        ]
    );
    assert_eq!(
        disassemble(&old, load::KUSER_CMPXCHG64),
        [
            "push {r4, r5, r6, r7}",
            "ldm r0, {r4, r5}",
            "ldm r1, {r6, r7}",
            "ldm r2, {r0, r1}",
            "eors r3, r0, r4",
            "eorseq r3, r1, r5",
            "stmeq r2, {r6, r7}",
            "rsbs r0, r3, #0",
            "pop {r4, r5, r6, r7}",
            "bx lr"
        ]
    );
}
