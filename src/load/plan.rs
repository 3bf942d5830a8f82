//! Reading an ELF file: what to map where, checked, before anything is touched.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{self, Header};
use goblin::elf::program_header::{self, PF_R, PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD, ProgramHeader};

use super::error::Problem;
use crate::mem::{PAGE_SIZE, Prot, TASK_SIZE};

/// Bytes of an ELF32 header.
const HEADER_SIZE: usize = 52;
/// The kernel's limit on the size of the program header table.
const TABLE_LIMIT: usize = 65536;
/// PATH_MAX, the kernel's limit on the interpreter's name.
const PATH_LIMIT: u64 = 4096;
const EF_ARM_BE8: u32 = 0x0080_0000;
const EF_ARM_ABI_FLOAT_SOFT: u32 = 0x200;
const EF_ARM_ABI_FLOAT_HARD: u32 = 0x400;

/// Where the bytes of a file come from.
pub trait Source {
    /// Bytes in the file.
    fn size(&self) -> io::Result<u64>;
    /// Fills `buffer` from byte `offset` on.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Source for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }
}

impl Source for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..));
        match rest.and_then(|rest| rest.get(..buffer.len())) {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// How floating-point arguments are passed, as the ELF flags say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FloatAbi {
    /// The file does not say.
    Unspecified,
    /// In core registers (armel).
    Soft,
    /// In VFP registers (armhf).
    Hard,
}

/// What PT_GNU_STACK asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StackPermission {
    /// There is no such header: everything readable is executable.
    Unspecified,
    Executable,
    NotExecutable,
}

/// A PT_LOAD segment. `vaddr + memsz` is at most the task size and `file_size` at most `memsz`; `offset + file_size`
/// is at most the size of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    pub vaddr: u32,
    pub memsz: u32,
    pub offset: u64,
    pub file_size: u32,
    pub prot: Prot,
}

impl Segment {
    /// Whether file offset and address agree within the page, so that the file can be mapped.
    pub fn is_congruent(&self) -> bool {
        self.offset % u64::from(PAGE_SIZE) == u64::from(self.vaddr % PAGE_SIZE)
    }

    /// The address after the last byte.
    pub fn end(&self) -> u32 {
        self.vaddr + self.memsz
    }
}

/// What to do with a file: addresses are those that it was linked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// ET_DYN: may be placed anywhere.
    pub position_independent: bool,
    /// In the file's order, which is the order to map them in; at least one.
    pub segments: Vec<Segment>,
    /// The lowest address, rounded down to a page.
    pub low: u32,
    /// The highest end, rounded up to a page.
    pub high: u32,
    /// The largest alignment that a segment asks for: a power of two, at least a page.
    pub align: u32,
    /// e_entry; bit 0 is the T bit.
    pub entry: u32,
    /// Where the program headers are in memory, 0 if they are not.
    pub phdr: u32,
    pub phnum: u16,
    /// PT_INTERP without its NUL.
    pub interpreter: Option<Vec<u8>>,
    pub stack: StackPermission,
    pub float_abi: FloatAbi,
}

/// Reads from the source, an end of the file within the range being a truncated file.
fn read<S: Source + ?Sized>(
    source: &S,
    size: u64,
    offset: u64,
    buffer: &mut [u8],
    what: &'static str,
) -> Result<(), Problem> {
    let end = offset.saturating_add(buffer.len() as u64);
    if end > size {
        return Err(Problem::Truncated { what, end, size });
    }
    source.read_exact_at(buffer, offset).map_err(|error| Problem::Io {
        action: "read",
        error,
    })
}

/// Reads and checks the headers of a file. Nothing in it is trusted; nothing else is read.
pub fn plan<S: Source + ?Sized>(source: &S) -> Result<Plan, Problem> {
    let size = source.size().map_err(|error| Problem::Io {
        action: "read",
        error,
    })?;
    let mut bytes = [0; HEADER_SIZE];
    read(source, size, 0, &mut bytes, "the ELF header")?;
    let header = check_header(&bytes)?;
    let count = usize::from(header.e_phnum);
    let entry_size = ProgramHeader::size(CONTEXT);
    if usize::from(header.e_phentsize) != entry_size {
        return Err(Problem::Broken("program headers of a size that is not ELF32's"));
    }
    if count == 0 || count * entry_size > TABLE_LIMIT {
        return Err(Problem::Broken("no program headers, or too many"));
    }
    let mut table = vec![0; count * entry_size];
    read(
        source,
        size,
        header.e_phoff,
        &mut table,
        "the program header table",
    )?;
    let headers = ProgramHeader::parse(&table, 0, count, CONTEXT)
        .map_err(|_| Problem::Broken("unreadable program headers"))?;

    let mut plan = Plan {
        position_independent: header.e_type == header::ET_DYN,
        segments: Vec::new(),
        low: u32::MAX,
        high: 0,
        align: PAGE_SIZE,
        entry: header.e_entry as u32,
        phdr: 0,
        phnum: header.e_phnum,
        interpreter: None,
        stack: StackPermission::Unspecified,
        float_abi: match header.e_flags & (EF_ARM_ABI_FLOAT_SOFT | EF_ARM_ABI_FLOAT_HARD) {
            EF_ARM_ABI_FLOAT_SOFT => FloatAbi::Soft,
            EF_ARM_ABI_FLOAT_HARD => FloatAbi::Hard,
            _ => FloatAbi::Unspecified,
        },
    };
    for (index, ph) in headers.iter().enumerate() {
        match ph.p_type {
            PT_LOAD => plan.add_segment(index, ph, size)?,
            PT_INTERP if plan.interpreter.is_none() => {
                plan.interpreter = Some(interpreter_name(source, size, ph)?);
            }
            PT_GNU_STACK if ph.p_flags & PF_X != 0 => plan.stack = StackPermission::Executable,
            PT_GNU_STACK => plan.stack = StackPermission::NotExecutable,
            _ => {}
        }
    }
    if plan.segments.is_empty() {
        return Err(Problem::Broken("no segment to load"));
    }
    plan.phdr = phdr_address(&headers, header.e_phoff);
    Ok(plan)
}

const CONTEXT: Ctx = Ctx {
    container: Container::Little,
    le: Endian::Little,
};

/// Checks what the ELF header says of the whole file.
fn check_header(bytes: &[u8; HEADER_SIZE]) -> Result<Header, Problem> {
    if !bytes.starts_with(header::ELFMAG) {
        return Err(Problem::UnknownFormat);
    }
    let class = bytes[header::EI_CLASS];
    if class != header::ELFCLASS32 {
        let machine = u16::from_le_bytes([bytes[18], bytes[19]]);
        return Err(match (class, machine) {
            (header::ELFCLASS64, header::EM_ARM) => Problem::Class,
            (header::ELFCLASS64, machine) => Problem::Machine(machine),
            _ => Problem::Broken("neither 32-bit nor 64-bit"),
        });
    }
    if !matches!(bytes[header::EI_DATA], header::ELFDATA2LSB | header::ELFDATA2MSB) {
        return Err(Problem::Broken("neither little-endian nor big-endian"));
    }
    let header = goblin::elf::Elf::parse_header(bytes).map_err(|_| Problem::Broken("unreadable header"))?;
    if header.e_machine != header::EM_ARM {
        return Err(Problem::Machine(header.e_machine));
    }
    if bytes[header::EI_DATA] == header::ELFDATA2MSB {
        return Err(Problem::BigEndian {
            be8: header.e_flags & EF_ARM_BE8 != 0,
        });
    }
    if !matches!(header.e_type, header::ET_EXEC | header::ET_DYN) {
        return Err(Problem::Type(header.e_type));
    }
    match header.e_flags >> 24 {
        4 | 5 => {}
        0 => return Err(Problem::Oabi),
        version => return Err(Problem::EabiVersion(version)),
    }
    // Thumb entry points are odd; the others must be words.
    if header.e_entry & 3 == 2 {
        return Err(Problem::Broken("entry point that is no instruction's address"));
    }
    Ok(header)
}

impl Plan {
    fn add_segment(&mut self, index: usize, ph: &ProgramHeader, size: u64) -> Result<(), Problem> {
        let broken = |what| Err(Problem::Segment { index, what });
        if ph.p_memsz == 0 && ph.p_filesz == 0 {
            return Ok(());
        }
        if ph.p_filesz > ph.p_memsz {
            return broken("larger in the file than in memory");
        }
        let end = ph.p_vaddr.saturating_add(ph.p_memsz);
        if end > u64::from(TASK_SIZE) {
            return broken("reaches beyond the address space");
        }
        let file_end = ph.p_offset.saturating_add(ph.p_filesz);
        if ph.p_filesz > 0 && file_end > size {
            return Err(Problem::Truncated {
                what: "a segment",
                end: file_end,
                size,
            });
        }
        let mut prot = Prot::empty();
        for (flag, bit) in [(PF_R, Prot::READ), (PF_W, Prot::WRITE), (PF_X, Prot::EXEC)] {
            prot.set(bit, ph.p_flags & flag != 0);
        }
        let segment = Segment {
            vaddr: ph.p_vaddr as u32,
            memsz: ph.p_memsz as u32,
            offset: ph.p_offset,
            file_size: ph.p_filesz as u32,
            prot,
        };
        self.low = self.low.min(segment.vaddr - segment.vaddr % PAGE_SIZE);
        // The task size is a page boundary, so rounding up stays within it.
        self.high = self.high.max(segment.end().next_multiple_of(PAGE_SIZE));
        // As in the kernel, an alignment that is no power of two counts for nothing.
        if ph.p_align.is_power_of_two() && ph.p_align <= 1 << 31 {
            self.align = self.align.max(ph.p_align as u32);
        }
        self.segments.push(segment);
        Ok(())
    }
}

/// The interpreter's name: at most PATH_MAX bytes, the last of them its NUL.
fn interpreter_name<S: Source + ?Sized>(
    source: &S,
    size: u64,
    ph: &ProgramHeader,
) -> Result<Vec<u8>, Problem> {
    if !(2..=PATH_LIMIT).contains(&ph.p_filesz) {
        return Err(Problem::Broken("interpreter name that is empty or too long"));
    }
    let mut name = vec![0; ph.p_filesz as usize];
    read(source, size, ph.p_offset, &mut name, "the interpreter's name")?;
    if name.last() != Some(&0) {
        return Err(Problem::Broken("interpreter name without an end"));
    }
    let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
    name.truncate(end);
    if name.is_empty() {
        return Err(Problem::Broken("interpreter name that is empty or too long"));
    }
    Ok(name)
}

/// AT_PHDR: where the segment that holds the program header table puts it.
fn phdr_address(headers: &[ProgramHeader], e_phoff: u64) -> u32 {
    headers
        .iter()
        .filter(|ph| ph.p_type == program_header::PT_LOAD)
        .find(|ph| ph.p_offset <= e_phoff && e_phoff < ph.p_offset.saturating_add(ph.p_filesz))
        .map_or(0, |ph| (e_phoff - ph.p_offset).wrapping_add(ph.p_vaddr) as u32)
}
