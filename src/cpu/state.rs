//! The guest thread's architectural state, as translated code sees it.
//!
//! A host register points 128 bytes into [`CpuState`], so the first 256 bytes are one-byte displacements away:
//! the core registers and flags before the pointer, D0-D15 after it. Translated code keeps the pinned guest
//! registers in host registers; what is in `r` for those is current only outside translated code.

/// Displacement of the state pointer from the start of [`CpuState`].
pub const STATE_BIAS: usize = 128;

/// Bits of `pending`: why translated code must not be entered (again) before the run loop has looked.
pub const PENDING_SIGNAL: u32 = 1;
pub const PENDING_EPOCH: u32 = 2;
pub const PENDING_EXIT: u32 = 4;
/// With [`PENDING_SIGNAL`]: the thread's mask on the host is that of a signal handler, everything blocked, fault signals
/// too. It must be set before anything can fault.
pub const PENDING_SEALED: u32 = 8;

/// The guest CPU state of one thread. Guest meaning only in the first part; the second is the translator's.
#[derive(Clone)]
#[repr(C, align(64))]
pub struct CpuState {
    /// r0-r15. r15 is the address of the next instruction; the T bit is `thumb`.
    pub r: [u32; 16],
    /// N and Z in bits 7 and 6 (LAHF's layout); the other bits are meaningless.
    pub nz: u8,
    /// C, 0 or 1.
    pub c: u8,
    /// V, 0 or 1.
    pub v: u8,
    /// Q, 0 or 1 (sticky).
    pub q: u8,
    /// GE as a byte mask: 0xff in byte i where GE[i] is set.
    pub ge: u32,
    /// FPSCR N, Z, C, V of the last VCMP, kept as x86 EFLAGS low byte of UCOMIS: ZF bit 6, PF bit 2, CF bit 0.
    pub fp_cmp: u8,
    /// T bit, 0 or 1.
    pub thumb: u8,
    /// ITSTATE, 0 outside an IT block.
    pub it: u8,
    pub pad0: u8,
    /// FPSCR without NZCV: the mode bits, and those cumulative bits (QC among them) that software wrote or soft paths
    /// raised.
    /// The hardware's sticky bits in MXCSR are merged in when the guest reads FPSCR.
    pub fpscr: u32,
    /// Address of the exclusive monitor, or [`NO_EXCLUSIVE`].
    pub ex_addr: u64,
    /// The value that the exclusive load saw, zero-extended.
    pub ex_val: u64,
    /// Bits `PENDING_*`, set by signal handlers and other threads, read at entry to translated code.
    pub pending: u32,
    /// MXCSR for translated code: [`MXCSR`] with the rounding mode of FPSCR; its sticky bits are kept here on exit.
    pub mxcsr: u32,
    /// TPIDRURO: the thread pointer.
    pub tpidruro: u32,
    /// TPIDRURW.
    pub tpidrurw: u32,
    /// Where Advanced SIMD operations have saturated since FPSCR was last written: QC reads as set if any bit is.
    pub qc: [u64; 2],
    /// D0-D31; S registers overlay D0-D15, little-endian.
    pub d: [u64; 32],

    // From here on: the translator's.
    /// Sign bits and magnitude masks: single sign, double sign, single magnitude, double magnitude.
    pub fp_masks: [[u64; 2]; 4],
    /// Vector operands of a call to a Rust helper; the first is also its result.
    pub vec_args: [[u64; 2]; 3],
    /// Spill slots of the register allocator for vectors.
    pub vspill: [[u64; 2]; 32],
    /// Host stack pointer of translated code while outside it.
    pub jit_sp: u64,
    /// Host stack pointer of the run loop while inside translated code.
    pub host_sp: u64,
    /// Start of the executable mapping; the jump table's entries are offsets from it.
    pub code_base: u64,
    /// The jump table, where gs is the base of guest memory.
    pub jump_table: u64,
    /// Why translated code returned: an `x64::stubs::ExitKind`.
    pub exit_kind: u32,
    /// Its argument: an exit descriptor, an SVC number, a guest address.
    pub exit_arg: u32,
    /// Second argument: a fault address, a trap's argument.
    pub exit_addr: u64,
    /// Arguments of a call to a Rust helper.
    pub call_args: [u64; 4],
    /// Table of run-time entry points that translated code calls (indices in `x64::stubs::Helper`).
    pub helpers: [u64; 32],
    /// Spill slots of the register allocator, 64 bits each.
    pub spill: [u64; 32],
    /// MXCSR as it was at the last entry to translated code.
    pub host_mxcsr: u32,
    /// The bits of FPSCR that a write changes: those that the CPU model has.
    pub fpscr_writable: u32,
    /// Opaque pointer of the owning machine, for helpers.
    pub machine: u64,
    /// The guest's once more: r0 as it was at the last system call, all ones behind a fault or interrupt, which a tracer sees
    /// as ORIG_r0.
    pub orig_r0: u32,
}

/// MXCSR of translated code in FPSCR's default mode: Invalid, Denormal and Underflow are not masked, so that an
/// instruction whose result, or flags, x86 and ARM see differently traps before it has written anything.
pub const MXCSR: u32 = 0x1600;

/// `ex_addr` when no exclusive access is open.
pub const NO_EXCLUSIVE: u64 = u64::MAX;

/// Every bit of FPSCR that software can write on some model: NZCV, QC, AHP, DN, FZ, RMode, Stride, FZ16, Len and the
/// cumulative bits. The trap enables read as zero, as on every VFPv3 or later without the U suffix.
pub const FPSCR_WRITABLE: u32 = 0xffff_009f;

impl CpuState {
    /// The state at process start: everything zero, no exclusive access open.
    pub fn new() -> Box<CpuState> {
        Box::new(CpuState {
            r: [0; 16],
            nz: 0,
            c: 0,
            v: 0,
            q: 0,
            ge: 0,
            fp_cmp: 0,
            thumb: 0,
            it: 0,
            pad0: 0,
            fpscr: 0,
            ex_addr: NO_EXCLUSIVE,
            ex_val: 0,
            pending: 0,
            mxcsr: MXCSR,
            tpidruro: 0,
            tpidrurw: 0,
            qc: [0; 2],
            d: [0; 32],
            orig_r0: u32::MAX,
            jit_sp: 0,
            host_sp: 0,
            code_base: 0,
            jump_table: 0,
            exit_kind: 0,
            exit_arg: 0,
            exit_addr: 0,
            call_args: [0; 4],
            vec_args: [[0; 2]; 3],
            vspill: [[0; 2]; 32],
            helpers: [0; 32],
            spill: [0; 32],
            fp_masks: [[1 << 31, 0], [1 << 63, 0], [0x7fff_ffff, 0], [i64::MAX as u64, 0]],
            host_mxcsr: 0x1f80,
            fpscr_writable: FPSCR_WRITABLE,
            machine: 0,
        })
    }

    /// N, Z, C, V in bits 31 to 28.
    pub fn nzcv(&self) -> u32 {
        u32::from(self.nz & 0x80) << 24
            | u32::from(self.nz & 0x40) << 24
            | u32::from(self.c) << 29
            | u32::from(self.v) << 28
    }

    /// Sets N, Z, C, V from bits 31 to 28.
    pub fn set_nzcv(&mut self, bits: u32) {
        self.nz = (bits >> 24) as u8 & 0xc0;
        self.c = (bits >> 29 & 1) as u8;
        self.v = (bits >> 28 & 1) as u8;
    }

    /// CPSR as user mode sees it: NZCV, Q, IT, GE, T and mode 0x10.
    pub fn cpsr(&self) -> u32 {
        let ge = (0..4).fold(0, |acc, i| acc | (self.ge >> (8 * i) & 1) << (16 + i));
        let it = u32::from(self.it);
        self.nzcv()
            | u32::from(self.q) << 27
            | (it & 3) << 25
            | (it >> 2) << 10
            | ge
            | u32::from(self.thumb) << 5
            | 0x10
    }

    /// Sets the user-visible parts of CPSR, IT and T included (as a signal return does).
    pub fn set_cpsr(&mut self, bits: u32) {
        self.set_nzcv(bits);
        self.q = (bits >> 27 & 1) as u8;
        self.set_ge_bits(bits >> 16 & 15);
        self.thumb = (bits >> 5 & 1) as u8;
        self.it = if self.thumb == 1 {
            ((bits >> 25 & 3) | (bits >> 10 & 0x3f) << 2) as u8
        } else {
            0
        };
    }

    /// Sets GE from four bits.
    pub fn set_ge_bits(&mut self, ge: u32) {
        self.ge = (0..4).fold(0, |acc, i| {
            acc | if ge >> i & 1 == 1 { 0xff << (8 * i) } else { 0 }
        });
    }

    /// FPSCR's N, Z, C, V in bits 31 to 28, from the kept comparison.
    pub fn fp_nzcv(&self) -> u32 {
        fp_cmp_to_nzcv(self.fp_cmp)
    }

    /// S register `i` (0-31).
    pub fn s(&self, i: usize) -> u32 {
        (self.d[i / 2] >> (32 * (i & 1))) as u32
    }

    pub fn set_s(&mut self, i: usize, bits: u32) {
        let shift = 32 * (i & 1);
        self.d[i / 2] = self.d[i / 2] & !(0xffff_ffff << shift) | u64::from(bits) << shift;
    }
}

/// UCOMIS flags (ZF bit 6, PF bit 2, CF bit 0) to ARM N, Z, C, V in bits 31 to 28.
///
/// Any of the sixteen NZCV values that VMSR can write has a byte: bits 7 and 3 are used for those that no
/// comparison yields (see [`nzcv_to_fp_cmp`]).
pub fn fp_cmp_to_nzcv(cmp: u8) -> u32 {
    if cmp & 0x80 != 0 {
        return u32::from(cmp & 0x0f) << 28;
    }
    match (cmp & 0x40 != 0, cmp & 4 != 0, cmp & 1 != 0) {
        (_, true, _) => 0x3000_0000,
        (true, false, _) => 0x6000_0000,
        (false, false, true) => 0x8000_0000,
        (false, false, false) => 0x2000_0000,
    }
}

/// The byte that stands for an NZCV value (bits 31 to 28): the comparison's where one yields it, else 0x80 | nzcv.
pub fn nzcv_to_fp_cmp(nzcv: u32) -> u8 {
    match nzcv >> 28 {
        3 => 0x45,
        6 => 0x40,
        8 => 0x01,
        2 => 0x00,
        other => 0x80 | other as u8,
    }
}

const _: () = assert!(std::mem::offset_of!(CpuState, d) == STATE_BIAS);
// Operands of 16-byte SSE instructions.
const _: () = assert!(std::mem::offset_of!(CpuState, fp_masks) % 16 == 0);
const _: () = assert!(std::mem::offset_of!(CpuState, qc) % 16 == 0);
const _: () = assert!(std::mem::offset_of!(CpuState, vec_args) % 16 == 0);
const _: () = assert!(std::mem::offset_of!(CpuState, vspill) % 16 == 0);
