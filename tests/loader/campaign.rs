//! Loading mutated files in children that must neither panic, hang nor leave the guest's window.

use std::ffi::CString;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::fd::FromRawFd;
use std::path::Path;

use emu::cpu::model::Model;
use emu::load::{self, Aslr, Image, LoadConfig};
use emu::mem::{GuestAddr, Space, SpaceConfig, TASK_SIZE};

use super::mutate::{mutant, seeds};

/// Cases that one child loads: a new child costs more than a case.
const BATCH: u64 = 250;
/// Seconds after which a child counts as hanging.
const PATIENCE: u32 = 60;

/// What became of a range of cases.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub loaded: u64,
    pub refused: u64,
    /// Seeds of cases that ended a child, with its wait status.
    pub bad: Vec<(u64, i32)>,
}

impl Outcome {
    pub fn add(&mut self, other: Outcome) {
        self.loaded += other.loaded;
        self.refused += other.refused;
        self.bad.extend(other.bad);
    }
}

/// Plans and loads the mutants of `cases`. A child that fails is narrowed down to the case.
pub fn run(cases: Range<u64>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut at = cases.start;
    while at < cases.end {
        let end = (at + BATCH).min(cases.end);
        outcome.add(batch(at..end));
        at = end;
    }
    outcome
}

fn batch(cases: Range<u64>) -> Outcome {
    match child(cases.clone()) {
        Ok((loaded, refused)) => Outcome {
            loaded,
            refused,
            bad: Vec::new(),
        },
        Err(status) if cases.end - cases.start == 1 => Outcome {
            bad: vec![(cases.start, status)],
            ..Outcome::default()
        },
        Err(_) => {
            let middle = cases.start + (cases.end - cases.start) / 2;
            let mut outcome = batch(cases.start..middle);
            outcome.add(batch(middle..cases.end));
            outcome
        }
    }
}

/// Loads cases in a child: how many were loaded and refused, or its wait status.
fn child(cases: Range<u64>) -> Result<(u64, u64), i32> {
    let mut ends = [0; 2];
    // SAFETY: a pipe for the child's counts; the child never returns.
    let child = unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0, "a pipe");
        libc::fork()
    };
    if child == 0 {
        // SAFETY: limits this child: an alarm against hangs.
        unsafe { libc::alarm(PATIENCE) };
        let counts = std::panic::catch_unwind(|| cases_here(cases));
        let ok = counts.is_ok();
        if let Ok((loaded, refused)) = counts {
            let bytes: Vec<u8> = [loaded, refused].iter().flat_map(|n| n.to_le_bytes()).collect();
            // SAFETY: the pipe's end is this child's own.
            let mut pipe = unsafe { File::from_raw_fd(ends[1]) };
            pipe.write_all(&bytes).expect("write to a pipe");
        }
        // SAFETY: ends the child.
        unsafe { libc::_exit(if ok { 0 } else { 101 }) };
    }
    // SAFETY: the ends are this process's own; the child is the one made above.
    let (mut pipe, status) = unsafe {
        libc::close(ends[1]);
        let mut status = 0;
        libc::waitpid(child, &mut status, 0);
        (File::from_raw_fd(ends[0]), status)
    };
    let mut bytes = [0; 16];
    if status != 0 || std::io::Read::read_exact(&mut pipe, &mut bytes).is_err() {
        return Err(status);
    }
    let count = |i: usize| u64::from_le_bytes(bytes[i..i + 8].try_into().expect("eight bytes"));
    Ok((count(0), count(8)))
}

fn cases_here(cases: Range<u64>) -> (u64, u64) {
    let space = Space::init(&SpaceConfig::default()).expect("a window");
    let seeds = seeds();
    // SAFETY: a new memory file, owned by the `File`.
    let mut file = unsafe {
        let fd = libc::memfd_create(c"mutant".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "a memory file");
        File::from_raw_fd(fd)
    };
    let outside = mappings_outside();
    let argv = [CString::from(c"prog")];
    let (mut loaded, mut refused) = (0, 0);
    for case in cases {
        let bytes = mutant(&seeds, case);
        file.set_len(0).expect("truncate");
        file.seek(SeekFrom::Start(0)).expect("seek");
        file.write_all(&bytes).expect("write");
        let image = Image {
            file: &file,
            path: Path::new("/mutant"),
        };
        let config = LoadConfig {
            argv: &argv,
            envp: &[],
            model: Model::max(),
            stack_size: None,
            aslr: if case % 2 == 1 { Aslr::Random } else { Aslr::Off },
            execfn: c"/mutant",
            secure: false,
            read_implies_exec: false,
        };
        let outcome = load::prepare(&image, None).and_then(|prepared| load::load(&image, prepared, &config));
        match outcome {
            Ok(start) => {
                loaded += 1;
                assert_eq!(space.read::<u32>(GuestAddr(start.sp)), Ok(1), "argc");
            }
            Err(error) => {
                refused += 1;
                let line = error.to_string();
                assert!(
                    !line.contains('\n') && matches!(error.exit_code(), 126 | 127),
                    "{line}"
                );
            }
        }
        // Reading the host's list takes longer than loading.
        if case % 16 == 0 {
            for entry in space.maps() {
                assert!(entry.start >= space.lowest() && entry.end <= TASK_SIZE && entry.start < entry.end);
            }
        }
        space
            .munmap(space.lowest(), TASK_SIZE - space.lowest())
            .expect("unmap everything");
        assert_eq!(space.mapped_bytes(), 0);
    }
    assert_eq!(mappings_outside(), outside, "mappings outside the window");
    (loaded, refused)
}

/// The mappings below 12 GiB (the guard ends at 8), and those of files, of which the emulator maps none meanwhile.
fn mappings_outside() -> Vec<String> {
    std::fs::read_to_string("/proc/self/maps")
        .expect("maps")
        .lines()
        .filter(|line| {
            let start = line
                .split('-')
                .next()
                .and_then(|hex| u64::from_str_radix(hex, 16).ok());
            start.is_some_and(|start| start < 3 << 32) || line.contains('/')
        })
        .map(str::to_string)
        .collect()
}
