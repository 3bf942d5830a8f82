//! What a loaded program finds: memory against the file, stack and auxiliary vector against the ABI.
//!
//! A process has one space, so every test loads in a child of its own.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use emu::cpu::model::Model;
use emu::load::{self, Aslr, Image, LoadConfig, LoadError, Start};
use emu::mem::{GuestAddr, MapEntry, Prot, Space, SpaceConfig, space};

#[path = "loader/child.rs"]
mod child;
#[path = "loader/dir.rs"]
mod dir;
#[path = "loader/elf.rs"]
mod elf;
use child::in_child;
use dir::Dir;
use elf::{Elf, R, W, X, pattern};

const EXEC: u16 = 2;
const DYN: u16 = 3;
const RX: Prot = Prot::READ.union(Prot::EXEC);
const RW: Prot = Prot::READ.union(Prot::WRITE);

fn try_load(path: &Path, sysroot: Option<&Path>, aslr: bool) -> Result<Start, LoadError> {
    Space::init(&SpaceConfig::default()).expect("a window");
    let file = File::open(path).expect("open");
    let strings =
        |list: &[&str]| -> Vec<CString> { list.iter().map(|s| CString::new(*s).expect("no NUL")).collect() };
    let image = Image { file: &file, path };
    load::load(
        &image,
        load::prepare(&image, sysroot)?,
        &LoadConfig {
            argv: &strings(&["prog", "one", ""]),
            envp: &strings(&["HOME=/root", "X="]),
            model: Model::max(),
            stack_size: None,
            aslr: if aslr { Aslr::Random } else { Aslr::Off },
            execfn: c"./prog",
            secure: false,
            read_implies_exec: false,
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
