//! Carrying plans out: mapping segments, the interpreter, the kernel's pages and the stack.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::auxv::{self, CLOCK_TICKS, MIN_SIGNAL_STACK};
use super::error::{LoadError, Problem};
use super::kuser::{sigreturn_page, vectors_page};
use super::layout::{Aslr, Bases, Layout};
use super::open::path_bytes;
use super::plan::{FloatAbi, Plan, Segment, StackPermission, plan};
use super::stack::{self, AuxValue, Built, Contents};
use super::{interp, vdso};
use crate::cpu::model::{Features, Model};
use crate::mem::{self, GuestAddr, MapRequest, PAGE_SIZE, Prot, STACK_TOP, Space, VECTORS};

/// About the stack of a program without a limit, and the most that any gets.
const STACK_MAX: u64 = 256 << 20;
/// The least.
const STACK_MIN: u64 = 128 << 10;
/// The most that is read of a segment whose place in the file prevents mapping it.
const COPY_MAX: u32 = 64 << 20;
const PRIVATE_FIXED: i32 = libc::MAP_PRIVATE | libc::MAP_FIXED;
const RW: Prot = Prot::READ.union(Prot::WRITE);

/// The program to load.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    pub file: &'a File,
    /// For messages and /proc/self/exe.
    pub path: &'a Path,
}

/// How to load it.
#[derive(Clone, Copy, Debug)]
pub struct LoadConfig<'a> {
    pub argv: &'a [CString],
    pub envp: &'a [CString],
    pub model: &'a Model,
    /// Bytes of stack; otherwise the guest's RLIMIT_STACK decides.
    pub stack_size: Option<u32>,
    pub aslr: Aslr,
    /// AT_EXECFN: the path as given to execve.
    pub execfn: &'a CStr,
    /// AT_SECURE.
    pub secure: bool,
    /// The personality that execve keeps has READ_IMPLIES_EXEC.
    pub read_implies_exec: bool,
}

/// How the program starts: r0 is 0, as are the other registers but pc and sp.
#[derive(Clone, Debug)]
pub struct Start {
    /// First instruction, the interpreter's if there is one; bit 0 is clear.
    pub pc: u32,
    /// Whether it is Thumb code.
    pub thumb: bool,
    /// Stack pointer, a multiple of 16; argc is there.
    pub sp: u32,
    pub process: ProcessImage,
}

/// What the process looks like, for /proc and for the translator. Addresses are the guest's.
#[derive(Clone, Debug)]
pub struct ProcessImage {
    pub exe: PathBuf,
    /// The interpreter's file.
    pub interpreter: Option<PathBuf>,
    /// Added to the program's linked addresses.
    pub load_base: u32,
    /// AT_BASE: the interpreter's load address, 0 without one.
    pub interp_base: u32,
    /// AT_ENTRY: the program's own entry point, with its T bit.
    pub entry: u32,
    /// AT_PHDR and AT_PHNUM.
    pub phdr: u32,
    pub phnum: u16,
    /// The program's lowest address and the end of its highest segment.
    pub extent: Range<u32>,
    /// As /proc/self/stat shows them.
    pub code: Range<u32>,
    pub data: Range<u32>,
    /// Start of the heap.
    pub brk: u32,
    /// The whole stack mapping, and the stack pointer at start.
    pub stack: Range<u32>,
    pub start_stack: u32,
    /// The argument and environment strings in memory.
    pub args: Range<u32>,
    pub env: Range<u32>,
    /// /proc/self/auxv.
    pub auxv: Vec<u8>,
    /// The vDSO's page; see [`vdso::FUNCTIONS`](super::vdso::FUNCTIONS).
    pub vdso: u32,
    /// The page of signal return code; see [`sigreturn_page`].
    pub sigpage: u32,
    pub float_abi: FloatAbi,
    /// Where the layout has mappings and position-independent programs.
    pub bases: Bases,
}

/// What is to be loaded, decided and checked; nothing is mapped yet.
pub struct Prepared {
    program: Plan,
    interpreter: Option<Interpreter>,
}

impl Prepared {
    /// The lowest address at which a fixed part of the program or its interpreter must lie.
    pub fn lowest(&self) -> Option<u32> {
        let plans = [Some(&self.program), self.interpreter.as_ref().map(|i| &i.plan)];
        let fixed = plans.into_iter().flatten().filter(|p| !p.position_independent);
        fixed.map(|p| p.low).min()
    }
}

/// Reads a program's headers, and finds (in `sysroot` first) and reads its interpreter's.
pub fn prepare(image: &Image<'_>, sysroot: Option<&Path>) -> Result<Prepared, LoadError> {
    let read = || {
        let program = plan(image.file)?;
        let interpreter = match &program.interpreter {
            Some(name) => Some(open_interpreter(name, sysroot)?),
            None => None,
        };
        Ok(Prepared { program, interpreter })
    };
    read().map_err(|problem| LoadError {
        path: image.path.to_path_buf(),
        problem,
    })
}

/// Loads a program into the space of this process, which should hold nothing yet. The handler of SIGSEGV and SIGBUS
/// should be there already: a file that shrinks meanwhile is then an error like others.
pub fn load(image: &Image<'_>, prepared: Prepared, config: &LoadConfig<'_>) -> Result<Start, LoadError> {
    load_into(mem::space(), image, prepared, config).map_err(|problem| LoadError {
        path: image.path.to_path_buf(),
        problem,
    })
}

fn load_into(
    space: &Space,
    image: &Image<'_>,
    prepared: Prepared,
    config: &LoadConfig<'_>,
) -> Result<Start, Problem> {
    let Prepared { program, interpreter } = prepared;
    if !program.position_independent && program.low < space.lowest() {
        return Err(Problem::TooLow {
            address: program.low,
            lowest: space.lowest(),
        });
    }

    // Processors before ARMv6 cannot refuse to execute; later ones are asked to by PT_GNU_STACK.
    let lacks_nx = !config.model.features.contains(Features::V6);
    let implied = lacks_nx || config.read_implies_exec || program.stack == StackPermission::Unspecified;
    space.set_read_implies_exec(implied);

    let limit = config
        .stack_size
        .map_or_else(|| space.limits.stack.load(Ordering::Relaxed), u64::from);
    let wanted = limit
        .clamp(STACK_MIN, STACK_MAX)
        .next_multiple_of(u64::from(PAGE_SIZE));
    let layout = Layout::new(config.aslr, wanted);
    space.set_mmap_base(layout.mmap_base);
    let wanted = if limit > STACK_MAX {
        layout.stack_room()
    } else {
        wanted as u32
    };
    let stack = map_stack(space, layout.stack_top, wanted, program.stack)?;

    let bias = map_program(space, image.file, &program, &layout)?;
    let brk = start_heap(space, &program, bias, &layout);
    let (interp_base, start) = match &interpreter {
        Some(found) => {
            let bias = map_interpreter(space, found)
                .map_err(|problem| wrap(program.interpreter.as_deref().unwrap_or_default(), problem))?;
            (bias, found.plan.entry.wrapping_add(bias))
        }
        None => (0, program.entry.wrapping_add(bias)),
    };
    let named = |contents: &[u8], name| {
        let address = space
            .find_range(PAGE_SIZE, PAGE_SIZE)
            .ok_or(Problem::NoRoom(PAGE_SIZE))?;
        map_named(space, address, contents, name)
    };
    let vdso = named(vdso::IMAGE, "[vdso]")?;
    let sigpage = named(&sigreturn_page(), "[sigpage]")?;
    map_named(space, VECTORS, &vectors_page(config.model), "[vectors]")?;

    let entry = program.entry.wrapping_add(bias);
    let phdr = program.phdr.wrapping_add(bias);
    let auxv = auxiliary_vector(config, vdso, phdr, program.phnum, interp_base, entry);
    let built = stack::build(
        &Contents {
            argv: config.argv,
            envp: config.envp,
            execfn: config.execfn,
            platform: config.model.platform,
            random: layout.random,
            skew: layout.stack_skew,
            auxv: &auxv,
        },
        layout.stack_top,
        u64::from(stack.end - stack.start),
    )?;
    write(space, built.sp, &built.bytes)?;
    space.set_start_stack(built.sp);

    let Built {
        sp,
        bytes,
        args,
        env,
        auxv,
    } = built;
    let (code, data) = code_and_data(&program, bias);
    Ok(Start {
        pc: start & !1,
        thumb: start & 1 == 1,
        sp,
        process: ProcessImage {
            exe: std::path::absolute(image.path).unwrap_or_else(|_| image.path.into()),
            interpreter: interpreter.map(|found| found.path),
            load_base: bias,
            interp_base,
            entry,
            phdr,
            phnum: program.phnum,
            extent: program.low.wrapping_add(bias)..program.high.wrapping_add(bias),
            code,
            data,
            brk,
            stack,
            start_stack: sp,
            args,
            env,
            auxv: bytes[auxv].to_vec(),
            vdso,
            sigpage,
            float_abi: program.float_abi,
            bases: layout.bases,
        },
    })
}

/// The interpreter's file and plan.
struct Interpreter {
    file: File,
    path: PathBuf,
    plan: Plan,
}

fn wrap(name: &[u8], problem: Problem) -> Problem {
    Problem::Interpreter {
        path: name.into(),
        problem: Box::new(problem),
    }
}

fn open_interpreter(name: &[u8], sysroot: Option<&Path>) -> Result<Interpreter, Problem> {
    let (file, path) = interp::find(name, sysroot)?;
    let check = || {
        let meta = file.metadata().map_err(|error| Problem::Io {
            action: "read",
            error,
        })?;
        if meta.is_dir() {
            return Err(Problem::Directory);
        }
        if !meta.is_file() {
            return Err(Problem::NotRegular);
        }
        plan(&file)
    };
    match check() {
        Ok(plan) => Ok(Interpreter { file, path, plan }),
        Err(problem) => Err(wrap(path_bytes(&path), problem)),
    }
}

/// Maps the stack, smaller where memory does not suffice. Returns its range.
fn map_stack(space: &Space, top: u32, wanted: u32, asked: StackPermission) -> Result<Range<u32>, Problem> {
    let prot = if asked == StackPermission::Executable {
        RW | Prot::EXEC
    } else {
        RW
    };
    let mut len = wanted;
    loop {
        match space.map_stack(top - len, len, prot) {
            Ok(start) => return Ok(start..top),
            Err(libc::ENOMEM) if u64::from(len) / 2 >= STACK_MIN => {
                len = (len / 2).next_multiple_of(PAGE_SIZE);
            }
            Err(errno) => {
                return Err(Problem::Map {
                    what: "the stack",
                    address: top - len,
                    errno,
                });
            }
        }
    }
}

/// Maps the program. Returns what is added to its linked addresses.
fn map_program(space: &Space, file: &File, plan: &Plan, layout: &Layout) -> Result<u32, Problem> {
    let len = plan.high - plan.low;
    let base = if !plan.position_independent {
        // The stack is there already; the page of the vectors is not, but belongs to the kernel.
        if plan.high > STACK_TOP || !space.is_free_range(plan.low, len) {
            return Err(Problem::Overlap {
                start: plan.low,
                end: plan.high,
            });
        }
        plan.low
    } else if plan.interpreter.is_some() {
        let base = layout.program & !(plan.align - 1);
        // Room for a heap behind it is not asked for, as in the kernel.
        let fits = u64::from(base) + u64::from(len) <= u64::from(layout.mmap_base);
        if fits && space.is_free_range(base, len) {
            base
        } else {
            find(space, plan)?
        }
    } else {
        find(space, plan)?
    };
    map_segments(space, file, plan, base.wrapping_sub(plan.low))
}

fn map_interpreter(space: &Space, interpreter: &Interpreter) -> Result<u32, Problem> {
    let plan = &interpreter.plan;
    let base = if plan.position_independent {
        find(space, plan)?
    } else if plan.low < space.lowest() {
        return Err(Problem::TooLow {
            address: plan.low,
            lowest: space.lowest(),
        });
    } else if plan.high > STACK_TOP || !space.is_free_range(plan.low, plan.high - plan.low) {
        return Err(Problem::Overlap {
            start: plan.low,
            end: plan.high,
        });
    } else {
        plan.low
    };
    map_segments(space, &interpreter.file, plan, base.wrapping_sub(plan.low))
}

/// A place for a position-independent file.
fn find(space: &Space, plan: &Plan) -> Result<u32, Problem> {
    let len = plan.high - plan.low;
    space.find_range(len, plan.align).ok_or(Problem::NoRoom(len))
}

fn map_segments(space: &Space, file: &File, plan: &Plan, bias: u32) -> Result<u32, Problem> {
    for segment in &plan.segments {
        let segment = Segment {
            vaddr: segment.vaddr.wrapping_add(bias),
            ..*segment
        };
        if segment.file_size > 0 && segment.is_congruent() {
            map_file_part(space, file, &segment)?;
        } else {
            copy_segment(space, file, &segment)?;
        }
    }
    Ok(bias)
}

fn map(space: &Space, request: &MapRequest) -> Result<(), Problem> {
    let failed = |errno| Problem::Map {
        what: "a segment",
        address: request.addr,
        errno,
    };
    space.mmap(request).map_err(failed).map(|_| ())
}

/// Maps anonymous pages over a page range, which may be empty.
fn map_anonymous(space: &Space, range: Range<u32>, prot: Prot) -> Result<(), Problem> {
    if range.is_empty() {
        return Ok(());
    }
    let flags = PRIVATE_FIXED | libc::MAP_ANONYMOUS;
    let len = range.end - range.start;
    map(
        space,
        &MapRequest {
            addr: range.start,
            len,
            prot,
            flags,
            fd: -1,
            offset: 0,
        },
    )
}

/// Maps a segment from the file; what lies behind its bytes in memory is zero.
fn map_file_part(space: &Space, file: &File, segment: &Segment) -> Result<(), Problem> {
    let start = segment.vaddr - segment.vaddr % PAGE_SIZE;
    let file_end = segment.vaddr + segment.file_size;
    let page_end = file_end.next_multiple_of(PAGE_SIZE);
    let zeroes = if segment.memsz > segment.file_size {
        page_end - file_end
    } else {
        0
    };
    let prot = if zeroes > 0 {
        segment.prot | RW
    } else {
        segment.prot
    };
    map(
        space,
        &MapRequest {
            addr: start,
            len: page_end - start,
            prot,
            flags: PRIVATE_FIXED,
            fd: file.as_raw_fd(),
            offset: segment.offset - u64::from(segment.vaddr - start),
        },
    )?;
    if zeroes > 0 {
        write(space, file_end, &vec![0; zeroes as usize])?;
        if prot != segment.prot {
            protect(space, start..page_end, segment.prot)?;
        }
    }
    map_anonymous(
        space,
        page_end..segment.end().next_multiple_of(PAGE_SIZE).max(page_end),
        segment.prot,
    )
}

/// Fills a segment that cannot be mapped from the file: one without bytes in it, or with an offset that does not
/// agree with its address. A first page that it shares with an earlier segment keeps that one's bytes.
fn copy_segment(space: &Space, file: &File, segment: &Segment) -> Result<(), Problem> {
    if segment.file_size > COPY_MAX {
        return Err(Problem::Broken(
            "large segment whose offset and address do not agree",
        ));
    }
    let start = segment.vaddr - segment.vaddr % PAGE_SIZE;
    let end = segment.end().next_multiple_of(PAGE_SIZE);
    let shared = if segment.vaddr > start {
        space.prot(GuestAddr(start))
    } else {
        None
    };
    let fresh = if shared.is_some() {
        start + PAGE_SIZE
    } else {
        start
    };
    let file_end = segment.vaddr + segment.file_size;
    if shared.is_some() {
        protect(space, start..fresh, RW)?;
        let zeroes = segment.end().min(fresh) - segment.vaddr;
        write(space, segment.vaddr, &vec![0; zeroes as usize])?;
    }
    map_anonymous(
        space,
        fresh..end.max(fresh),
        if segment.file_size > 0 { RW } else { segment.prot },
    )?;
    let mut buffer = vec![0; 64 << 10];
    let mut at = segment.vaddr;
    while at < file_end {
        let chunk = &mut buffer[..((file_end - at) as usize).min(64 << 10)];
        file.read_exact_at(chunk, segment.offset + u64::from(at - segment.vaddr))
            .map_err(|error| Problem::Io {
                action: "read",
                error,
            })?;
        write(space, at, chunk)?;
        at += chunk.len() as u32;
    }
    if let Some(prot) = shared {
        protect(space, start..fresh, prot | segment.prot)?;
    }
    if segment.file_size > 0 && fresh < end {
        protect(space, fresh..end, segment.prot)?;
    }
    Ok(())
}

fn protect(space: &Space, range: Range<u32>, prot: Prot) -> Result<(), Problem> {
    space
        .mprotect(range.start, range.end - range.start, prot)
        .map_err(|errno| Problem::Map {
            what: "a segment",
            address: range.start,
            errno,
        })
}

fn write(space: &Space, address: u32, bytes: &[u8]) -> Result<(), Problem> {
    space
        .write_bytes(GuestAddr(address), bytes)
        .map_err(|_| Problem::Map {
            what: "its contents",
            address,
            errno: libc::EFAULT,
        })
}

fn map_named(space: &Space, address: u32, contents: &[u8], name: &'static str) -> Result<u32, Problem> {
    space
        .map_named(address, contents, vdso::PROT, name)
        .map_err(|errno| Problem::Map {
            what: name,
            address,
            errno,
        })
}

/// Sets where the heap begins: behind the program, or for a program that is its own loader away from the mappings.
fn start_heap(space: &Space, plan: &Plan, bias: u32, layout: &Layout) -> u32 {
    let end = if plan.position_independent && plan.interpreter.is_none() {
        layout.static_pie_brk
    } else {
        plan.high.wrapping_add(bias)
    };
    let brk = end.saturating_add(layout.brk_offset).min(STACK_TOP);
    space.set_brk_start(brk);
    brk
}

/// The bounds that the kernel keeps for /proc/self/stat.
fn code_and_data(plan: &Plan, bias: u32) -> (Range<u32>, Range<u32>) {
    let executable = |s: &&Segment| s.prot.contains(Prot::EXEC);
    let ends = |s: &Segment| s.vaddr + s.file_size;
    let code_start = plan.segments.iter().map(|s| s.vaddr).min().unwrap_or(0);
    let code_end = plan
        .segments
        .iter()
        .filter(executable)
        .map(ends)
        .max()
        .unwrap_or(code_start);
    let data_start = plan.segments.iter().map(|s| s.vaddr).max().unwrap_or(0);
    let data_end = plan.segments.iter().map(ends).max().unwrap_or(data_start);
    let moved = |address: u32| address.wrapping_add(bias);
    (
        moved(code_start)..moved(code_end),
        moved(data_start)..moved(data_end),
    )
}

/// The auxiliary vector in the order of the kernel's create_elf_tables.
fn auxiliary_vector(
    config: &LoadConfig<'_>,
    vdso: u32,
    phdr: u32,
    phnum: u16,
    interp_base: u32,
    entry: u32,
) -> [(u32, AuxValue); 20] {
    use AuxValue::{ExecFn, Is, Platform, Random};
    // SAFETY: these calls take nothing and cannot fail.
    let (uid, euid, gid, egid) =
        unsafe { (libc::getuid(), libc::geteuid(), libc::getgid(), libc::getegid()) };
    #[rustfmt::skip]
    let entries = [
        (auxv::AT_SYSINFO_EHDR, Is(vdso)),
        (auxv::AT_MINSIGSTKSZ, Is(MIN_SIGNAL_STACK)),
        (auxv::AT_HWCAP, Is(config.model.hwcap)),
        (auxv::AT_PAGESZ, Is(PAGE_SIZE)),
        (auxv::AT_CLKTCK, Is(CLOCK_TICKS)),
        (auxv::AT_PHDR, Is(phdr)),
        (auxv::AT_PHENT, Is(32)),
        (auxv::AT_PHNUM, Is(u32::from(phnum))),
        (auxv::AT_BASE, Is(interp_base)),
        (auxv::AT_FLAGS, Is(0)),
        (auxv::AT_ENTRY, Is(entry)),
        (auxv::AT_UID, Is(uid)),
        (auxv::AT_EUID, Is(euid)),
        (auxv::AT_GID, Is(gid)),
        (auxv::AT_EGID, Is(egid)),
        (auxv::AT_SECURE, Is(u32::from(config.secure))),
        (auxv::AT_RANDOM, Random),
        (auxv::AT_HWCAP2, Is(config.model.hwcap2)),
        (auxv::AT_EXECFN, ExecFn),
        (auxv::AT_PLATFORM, Platform),
    ];
    entries
}
