//! What a loaded program finds: memory against the file, stack and auxiliary vector against the ABI.
//!
//! A process has one space, so every test loads in a child of its own.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use capstone::prelude::*;
use emu::cpu::model::Model;
use emu::load::{self, Image, Kind, LoadConfig, LoadError, Problem, Start};
use emu::mem::{GuestAddr, MapEntry, Prot, Space, SpaceConfig, space};

#[path = "loader/elf.rs"]
mod elf;
use elf::{Elf, R, W, X, pattern};

const EXEC: u16 = 2;
const DYN: u16 = 3;
const RX: Prot = Prot::READ.union(Prot::EXEC);
const RW: Prot = Prot::READ.union(Prot::WRITE);

/// Runs a check in a child, which gets a space of its own.
fn in_child(check: impl FnOnce()) {
    // SAFETY: the child runs the check and exits without returning.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_ok();
        // SAFETY: ends the child.
        unsafe { libc::_exit(if ok { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0, "the child failed");
}

/// A directory that is removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("emu-image-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Dir(path)
    }

    /// Writes an executable file.
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a directory");
        }
        let mut file = File::create(&path).expect("a file");
        file.write_all(bytes).expect("write");
        file.set_permissions(std::fs::Permissions::from_mode(0o755))
            .expect("chmod");
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // Leftovers in the temporary directory harm nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn try_load(path: &Path, sysroot: Option<&Path>, aslr: bool) -> Result<Start, LoadError> {
    Space::init(&SpaceConfig::default()).expect("a window");
    let file = File::open(path).expect("open");
    let strings =
        |list: &[&str]| -> Vec<CString> { list.iter().map(|s| CString::new(*s).expect("no NUL")).collect() };
    load::load(
        &Image { file: &file, path },
        &LoadConfig {
            sysroot,
            argv: &strings(&["prog", "one", ""]),
            envp: &strings(&["HOME=/root", "X="]),
            model: Model::max(),
            stack_size: None,
            aslr,
            execfn: c"./prog",
            secure: false,
        },
    )
}

fn load(path: &Path) -> Start {
    try_load(path, None, false).unwrap_or_else(|error| panic!("{error}"))
}

fn bytes(address: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    space()
        .read_bytes(GuestAddr(address), &mut bytes)
        .expect("readable");
    bytes
}

fn word(address: u32) -> u32 {
    space().read(GuestAddr(address)).expect("readable")
}

fn text(address: u32) -> String {
    String::from_utf8(space().read_cstr(GuestAddr(address), 4096).expect("readable")).expect("text")
}

/// Asserts that memory holds the file's bytes from `offset` on.
fn holds(address: u32, len: usize, offset: usize) {
    let want: Vec<u8> = (offset..offset + len).map(pattern).collect();
    assert!(bytes(address, len) == want, "at {address:#x}");
}

fn zero(address: u32, len: usize) {
    assert!(bytes(address, len).iter().all(|&b| b == 0), "at {address:#x}");
}

fn prot(address: u32) -> Option<Prot> {
    space().prot(GuestAddr(address))
}

/// The stack as start code walks it: arguments, environment, auxiliary vector.
fn walk(sp: u32) -> (Vec<String>, Vec<String>, Vec<(u32, u32)>) {
    let mut at = sp + 4;
    let list = |at: &mut u32| {
        let mut strings = Vec::new();
        while word(*at) != 0 {
            strings.push(text(word(*at)));
            *at += 4;
        }
        *at += 4;
        strings
    };
    let args = list(&mut at);
    let env = list(&mut at);
    let mut auxv = Vec::new();
    while word(at) != 0 {
        auxv.push((word(at), word(at + 4)));
        at += 8;
    }
    (args, env, auxv)
}

#[test]
fn fixed_program_with_bss_in_a_partial_page() {
    let dir = Dir::new("fixed");
    let elf = Elf::new(EXEC, 0x10054, 0x3000)
        .load(R | X, 0, 0x10000, 0x1800, 0x1800)
        .load(R | W, 0x1800, 0x12800, 0x700, 0x2100)
        .stack(R | W);
    let path = dir.file("prog", &elf.bytes());
    in_child(|| {
        let start = load(&path);
        assert_eq!((start.pc, start.thumb), (0x10054, false));
        holds(0x10000 + 52 + 96, 0x1800 - 52 - 96, 52 + 96);
        holds(0x12800, 0x700, 0x1800);
        zero(0x12f00, 0x2100 - 0x700);
        zero(0x14900, 0x700);
        assert_eq!(prot(0x10000), Some(RX));
        assert_eq!(prot(0x11fff), Some(RX), "the file's page, whole");
        assert_eq!(prot(0x12000), Some(RW));
        assert_eq!(prot(0x14000), Some(RW));
        assert_eq!(prot(0x15000), None);
        assert_eq!(start.process.brk, 0x15000);
        assert_eq!(start.process.stack, 0xff7f_0000..0xffff_0000);
        assert_eq!(prot(0xff7f_0000), Some(RW), "8 MiB, not executable");
        assert_eq!(prot(0xff7e_f000), None);
        assert_eq!(start.process.code, 0x10000..0x11800);
        assert_eq!(start.process.data, 0x12800..0x12f00);
        assert_eq!(space().brk(0), 0x15000);
        assert_eq!(space().brk(0x16123), 0x16123);
        assert_eq!(prot(0x16fff), Some(RW));
        assert_eq!(space().brk(0x15800), 0x15800);
        assert_eq!(prot(0x16000), None);
        assert_eq!(space().brk(0x14fff), 0x15800, "below the start");
        assert_eq!(space().brk(0xfff0_0000), 0x15800, "through the stack");
    });
}

#[test]
fn stack_and_auxiliary_vector() {
    let dir = Dir::new("auxv");
    let elf = Elf::new(EXEC, 0x10101, 0x1000)
        .load(R | X, 0, 0x10000, 0x1000, 0x1000)
        .stack(R | W);
    let path = dir.file("prog", &elf.bytes());
    in_child(|| {
        let start = load(&path);
        assert_eq!((start.pc, start.thumb), (0x10100, true));
        assert_eq!(start.sp % 16, 0);
        assert_eq!(word(start.sp), 3);
        let (args, env, auxv) = walk(start.sp);
        assert_eq!(args, ["prog", "one", ""]);
        assert_eq!(env, ["HOME=/root", "X="]);
        let model = Model::max();
        // SAFETY: takes nothing and cannot fail.
        let uid = unsafe { libc::getuid() };
        // The order of create_elf_tables in fs/binfmt_elf.c, values of include/uapi/linux/auxvec.h.
        #[rustfmt::skip]
        let want = [
            (33, start.process.vdso), // AT_SYSINFO_EHDR
            (51, 2048),               // AT_MINSIGSTKSZ
            (16, model.hwcap),
            (6, 4096),                // AT_PAGESZ
            (17, 100),                // AT_CLKTCK
            (3, 0x10034),             // AT_PHDR
            (4, 32),                  // AT_PHENT
            (5, 2),                   // AT_PHNUM
            (7, 0),                   // AT_BASE
            (8, 0),                   // AT_FLAGS
            (9, 0x10101),             // AT_ENTRY
            (11, uid),
        ];
        assert_eq!(auxv[..12], want);
        let tags: Vec<u32> = auxv[12..].iter().map(|&(tag, _)| tag).collect();
        assert_eq!(tags, [12, 13, 14, 23, 25, 26, 31, 15]);
        let value = |tag| auxv.iter().find(|e| e.0 == tag).expect("present").1;
        assert_eq!(value(26), model.hwcap2);
        assert_eq!(value(23), 0, "AT_SECURE");
        assert_eq!(text(value(31)), "./prog");
        assert_eq!(text(value(15)), model.platform);
        assert_ne!(bytes(value(25), 16), [0; 16]);
        // /proc/self/auxv and cmdline.
        let flat: Vec<u8> = auxv
            .iter()
            .chain([&(0, 0)])
            .flat_map(|&(a, b)| [a, b])
            .flat_map(u32::to_le_bytes)
            .collect();
        assert_eq!(start.process.auxv, flat);
        let args = &start.process.args;
        assert_eq!(bytes(args.start, args.len()), b"prog\0one\0\0");
        let env = &start.process.env;
        assert_eq!(bytes(env.start, env.len()), b"HOME=/root\0X=\0");
        // The vDSO is there, an ELF file.
        assert_eq!(bytes(start.process.vdso, 4), b"\x7fELF");
    });
}

#[test]
fn maps_are_as_the_guest_expects() {
    let dir = Dir::new("maps");
    let elf = Elf::new(EXEC, 0x10054, 0x3000)
        .load(R | X, 0, 0x10000, 0x1800, 0x1800)
        .load(R | W, 0x1800, 0x12800, 0x700, 0x2100)
        .stack(R | W);
    let path = dir.file("prog", &elf.bytes());
    in_child(|| {
        let start = load(&path);
        space().brk(0x17000);
        let maps = space().maps();
        let line = |e: &MapEntry| {
            (
                e.start,
                e.end,
                e.prot,
                e.offset,
                String::from_utf8(e.path.clone()).expect("text"),
            )
        };
        let name = path.to_str().expect("text").to_string();
        let none = String::new;
        let (vdso, sigpage) = (start.process.vdso, start.process.sigpage);
        assert_eq!((vdso, sigpage), (0xf7fe_f000, 0xf7fe_e000));
        #[rustfmt::skip]
        let want = [
            (0x10000, 0x12000, RX, 0, name.clone()),
            (0x12000, 0x13000, RW, 0x1000, name),
            (0x13000, 0x15000, RW, 0, none()),
            (0x15000, 0x17000, RW, 0, "[heap]".into()),
            (sigpage, sigpage + 0x1000, RX, 0, "[sigpage]".into()),
            (vdso, vdso + 0x1000, RX, 0, "[vdso]".into()),
            (0xff7f_0000, 0xffff_0000, RW, 0, "[stack]".into()),
            (0xffff_0000, 0xffff_1000, RX, 0, "[vectors]".into()),
        ];
        assert_eq!(maps.iter().map(line).collect::<Vec<_>>(), want);
        space().munmap(0xf7fe_e000, 0x2000).expect("unmap");
        assert!(
            !space()
                .maps()
                .iter()
                .any(|e| e.path == b"[vdso]" || e.path == b"[sigpage]")
        );
    });
}

#[test]
fn odd_alignments_and_overlaps() {
    let dir = Dir::new("odd");
    // Offsets that do not agree with addresses, a second segment in the page of the first's end, and one without bytes
    // in the page of the second's.
    let elf = Elf::new(EXEC, 0x20000, 0x4000)
        .load(R | X, 0x123, 0x20010, 0x1234, 0x1234)
        .load(R | W, 0x2357, 0x21244, 0x100, 0x3000)
        .load(R | W, 0, 0x24300, 0, 0x2000);
    let path = dir.file("prog", &elf.bytes());
    in_child(|| {
        load(&path);
        zero(0x20000, 0x10);
        holds(0x20010, 0x1234, 0x123);
        holds(0x21244, 0x100, 0x2357);
        zero(0x21344, 0x3000 - 0x100);
        zero(0x24300, 0x2000);
        assert_eq!(prot(0x20000), Some(RX));
        assert_eq!(prot(0x21000), Some(RW | RX), "shared: both");
        assert_eq!(
            prot(0x22000),
            Some(RW | RX),
            "no PT_GNU_STACK: what can be read can be executed"
        );
        assert_eq!(prot(0x26000), Some(RW | RX));
        assert_eq!(prot(0x27000), None);
    });
    // Agreeing offsets and an overlap: the later segment wins from its page on, as in the kernel.
    let elf = Elf::new(EXEC, 0x20000, 0x6000)
        .load(R | X, 0x1000, 0x20000, 0x3000, 0x3000)
        .load(R | W, 0x4800, 0x21800, 0x1000, 0x1000)
        .stack(R | W);
    let path = dir.file("overlap", &elf.bytes());
    in_child(|| {
        load(&path);
        holds(0x20000, 0x1000, 0x1000);
        holds(0x21000, 0x2000, 0x4000);
        assert_eq!(
            (prot(0x20000), prot(0x21000), prot(0x22000)),
            (Some(RX), Some(RW), Some(RW))
        );
    });
    // Segments out of order.
    let elf = Elf::new(EXEC, 0x20000, 0x6000)
        .load(R | W, 0x3000, 0x30000, 0x1000, 0x1000)
        .load(R | X, 0x1000, 0x20000, 0x1000, 0x1000)
        .stack(R | W);
    let path = dir.file("order", &elf.bytes());
    in_child(|| {
        let start = load(&path);
        holds(0x30000, 0x1000, 0x3000);
        holds(0x20000, 0x1000, 0x1000);
        assert_eq!(start.process.brk, 0x31000);
    });
}

#[test]
fn interpreter_comes_from_the_sysroot() {
    let dir = Dir::new("interp");
    let ld = Elf::new(DYN, 0x401, 0x1000)
        .load(R | X, 0, 0, 0x1000, 0x2000)
        .stack(R | W);
    dir.file("root/usr/lib/ld.so", &ld.bytes());
    // An absolute link: inside the sysroot.
    std::fs::create_dir_all(dir.0.join("root/lib")).expect("a directory");
    std::os::unix::fs::symlink("/usr/lib/ld.so", dir.0.join("root/lib/ld-test.so.1")).expect("a link");
    let prog = Elf::new(DYN, 0x200, 0x2000)
        .load(R | X, 0, 0, 0x1000, 0x1000)
        .load(R | W, 0x1000, 0x3000, 0x1000, 0x1000)
        .interp(b"/lib/ld-test.so.1")
        .stack(R | W);
    let path = dir.file("prog", &prog.bytes());
    let root = dir.0.join("root");
    in_child(|| {
        let start = try_load(&path, Some(&root), false).unwrap_or_else(|error| panic!("{error}"));
        let process = &start.process;
        assert_eq!(process.load_base, 0xaaaa_a000);
        assert_eq!(process.entry, 0xaaaa_a200);
        assert_eq!(process.brk, 0xaaaa_e000);
        assert_eq!(process.interp_base, 0xf7fe_e000);
        assert_eq!((start.pc, start.thumb), (0xf7fe_e400, true));
        assert_eq!(process.interpreter, Some(root.join("lib/ld-test.so.1")));
        holds(process.load_base + 0x3000, 0x1000, 0x1000);
        assert_eq!(prot(process.load_base + 0x1000), None, "a gap between segments");
        holds(process.interp_base + 0x800, 0x800, 0x800);
        zero(process.interp_base + 0x1000, 0x1000);
        let (_, _, auxv) = walk(start.sp);
        assert!(auxv.contains(&(7, process.interp_base)));
        assert!(auxv.contains(&(9, process.entry)));
        assert!(auxv.contains(&(3, process.load_base + 52)));
    });
    in_child(|| {
        let error = try_load(&path, None, false).expect_err("no interpreter");
        assert_eq!(error.exit_code(), 127);
        assert_eq!(error.errno(), libc::ENOENT);
        let line = error.to_string();
        assert!(
            line.contains("/lib/ld-test.so.1") && line.contains("-L"),
            "{line}"
        );
    });
    dir.file("root/usr/lib/ld.so", b"\x7fELF");
    in_child(|| {
        let error = try_load(&path, Some(&root), false).expect_err("a broken interpreter");
        assert_eq!((error.exit_code(), error.errno()), (126, libc::ELIBBAD));
        assert!(error.to_string().contains("truncated"), "{error}");
    });
}

#[test]
fn layouts_are_random_only_if_asked() {
    let dir = Dir::new("random");
    let elf = Elf::new(DYN, 0x400, 0x1000)
        .load(R | X, 0, 0, 0x1000, 0x1000)
        .stack(R | W);
    let mut big = elf.clone();
    big.parts[0].align = 0x40_0000;
    let path = dir.file("static-pie", &elf.bytes());
    let big = dir.file("aligned", &big.bytes());
    in_child(|| {
        let start = load(&path);
        assert_eq!(start.process.load_base, 0xf7fe_f000);
        assert_eq!(start.process.brk, 0xaaaa_a000);
    });
    in_child(|| assert_eq!(load(&big).process.load_base, 0xf7c0_0000));
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    for _ in 0..6 {
        in_child(|| {
            let start = try_load(&path, None, true).unwrap_or_else(|error| panic!("{error}"));
            let p = &start.process;
            writeln!(
                &writer,
                "{:x} {:x} {:x} {:x}",
                p.load_base, p.brk, p.stack.end, p.vdso
            )
            .expect("write");
        });
    }
    drop(writer);
    let mut lines = String::new();
    std::io::Read::read_to_string(&mut reader, &mut lines).expect("read");
    for column in 0..4 {
        let mut seen: Vec<&str> = lines
            .lines()
            .map(|l| l.split(' ').nth(column).expect("a column"))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 3, "{lines}");
    }
}

#[test]
fn works_under_an_address_space_limit() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/armel/showcase");
    in_child(|| {
        let limit = libc::rlimit {
            rlim_cur: 1 << 30,
            rlim_max: 1 << 30,
        };
        // SAFETY: limits this child.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
        let start = load(&path);
        assert!(!space().is_reserved());
        assert_eq!(word(start.sp), 3);
        // Nothing of ours lies low.
        let maps = space().maps();
        for line in std::fs::read_to_string("/proc/self/maps").expect("maps").lines() {
            let (range, _) = line.split_once(' ').expect("fields");
            let (from, to) = range.split_once('-').expect("a range");
            let from = u64::from_str_radix(from, 16).expect("hex");
            let to = u64::from_str_radix(to, 16).expect("hex");
            if from < 1 << 32 {
                assert!(to <= 1 << 32, "{line}");
                assert!(
                    space().is_mapped(GuestAddr(from as u32), (to - from) as u32),
                    "{line}"
                );
            }
        }
        let entry = maps.iter().find(|e| e.start == 0xffff_0000).expect("the vectors");
        assert_eq!(entry.path, b"[vectors]");
        // The guest's own limit, and unmapping, work as ever.
        let request = emu::mem::MapRequest {
            addr: 0,
            len: 0x5000_0000,
            prot: RW,
            flags: libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            fd: -1,
            offset: 0,
        };
        assert_eq!(space().mmap(&request), Err(libc::ENOMEM));
        let at = space()
            .mmap(&emu::mem::MapRequest {
                len: 0x10000,
                ..request
            })
            .expect("map");
        space()
            .mremap(at, 0x10000, 0x20000, libc::MREMAP_MAYMOVE, 0)
            .expect("grow");
        space().munmap(at, 0x1000).expect("unmap");
        assert_eq!(prot(at), None);
    });
}

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
fn programs_that_do_not_fit() {
    let dir = Dir::new("fit");
    let low = Elf::new(EXEC, 0x54, 0x1000).load(R | X, 0, 0, 0x1000, 0x1000);
    let high = Elf::new(EXEC, 0xffff_0054, 0x1000).load(R | X, 0, 0xffff_0000, 0x1000, 0x1000);
    let stack = Elf::new(EXEC, 0xff80_0054, 0x1000).load(R | X, 0, 0xff80_0000, 0x1000, 0x1000);
    let huge = Elf::new(DYN, 0x54, 0x1000).load(R | X, 0, 0, 0x1000, 0xff80_0000);
    for (name, elf, want) in [
        ("low", low, "vm.mmap_min_addr"),
        ("high", high, "overlap the stack"),
        ("stack", stack, "overlap the stack"),
        ("huge", huge, "no room"),
    ] {
        let path = dir.file(name, &elf.bytes());
        in_child(|| {
            let error = try_load(&path, None, false).expect_err(name);
            assert!(error.to_string().contains(want), "{error}");
            assert_eq!(error.exit_code(), 126);
        });
    }
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
