//! ELF32 ARM files made for tests, and mutations of them.

/// A program header and the bytes of the file that it covers.
#[derive(Clone, Debug)]
pub struct Part {
    pub kind: u32,
    pub flags: u32,
    pub offset: u32,
    pub vaddr: u32,
    pub file_size: u32,
    pub memsz: u32,
    pub align: u32,
}

pub const PT_LOAD: u32 = 1;
pub const PT_INTERP: u32 = 3;
pub const PT_GNU_STACK: u32 = 0x6474_e551;
pub const R: u32 = 4;
pub const W: u32 = 2;
pub const X: u32 = 1;

/// A file to be: every byte from the end of the headers on tells its offset (see [`pattern`]).
#[derive(Clone, Debug)]
pub struct Elf {
    pub elf_type: u16,
    pub flags: u32,
    pub entry: u32,
    pub parts: Vec<Part>,
    pub size: usize,
    /// Bytes to put at offsets.
    pub patches: Vec<(usize, Vec<u8>)>,
}

/// The byte at a file offset: differs between neighbouring bytes and neighbouring pages, and is never 0.
pub fn pattern(offset: usize) -> u8 {
    1 + (offset.wrapping_mul(31).wrapping_add(offset >> 8) % 255) as u8
}

impl Elf {
    pub fn new(elf_type: u16, entry: u32, size: usize) -> Elf {
        Elf {
            elf_type,
            flags: 0x0500_0400,
            entry,
            parts: Vec::new(),
            size,
            patches: Vec::new(),
        }
    }

    pub fn part(mut self, kind: u32, flags: u32, offset: u32, vaddr: u32, file_size: u32, memsz: u32) -> Elf {
        self.parts.push(Part {
            kind,
            flags,
            offset,
            vaddr,
            file_size,
            memsz,
            align: 0x1000,
        });
        self
    }

    pub fn load(self, flags: u32, offset: u32, vaddr: u32, file_size: u32, memsz: u32) -> Elf {
        self.part(PT_LOAD, flags, offset, vaddr, file_size, memsz)
    }

    pub fn interp(mut self, name: &[u8]) -> Elf {
        let offset = self.size as u32;
        let mut text = name.to_vec();
        text.push(0);
        self.size += text.len();
        self.patches.push((offset as usize, text.clone()));
        self.part(PT_INTERP, R, offset, 0, text.len() as u32, text.len() as u32)
    }

    pub fn stack(self, flags: u32) -> Elf {
        self.part(PT_GNU_STACK, flags, 0, 0, 0, 0)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0u8; 52];
        out[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1, 1, 1]);
        let mut half = |at: usize, v: u16| out[at..at + 2].copy_from_slice(&v.to_le_bytes());
        half(16, self.elf_type);
        half(18, 40);
        half(40, 52);
        half(42, 32);
        half(44, self.parts.len() as u16);
        half(46, 40);
        let mut word = |at: usize, v: u32| out[at..at + 4].copy_from_slice(&v.to_le_bytes());
        word(20, 1);
        word(24, self.entry);
        word(28, 52);
        word(36, self.flags);
        for p in &self.parts {
            for v in [
                p.kind,
                p.offset,
                p.vaddr,
                p.vaddr,
                p.file_size,
                p.memsz,
                p.flags,
                p.align,
            ] {
                out.extend_from_slice(&v.to_le_bytes());
            }
        }
        let start = out.len();
        out.extend((start..self.size).map(pattern));
        for (at, bytes) in &self.patches {
            out[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        out
    }
}
