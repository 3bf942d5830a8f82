//! The emitter: one forward pass over a block, with what one backward pass learned.
//!
//! The files beside this one hold its parts: `alloc` (where values are), `flags` (where NZCV is), `int`, `mem`,
//! `fp` and `control` (the operations). The order within an operation is always the same, and matters:
//!
//! 1. `pre_clobber`: flags that would be lost and are still needed go to memory (may use rax);
//! 2. fixed registers are taken, operands brought where they must be (moves only: EFLAGS survive);
//! 3. `def` chooses the destination, which may be the register of an operand that dies here;
//! 4. the instruction; then the flag state is updated.

use super::asm::{Asm, Cc, Enc, Mem, Rm};
use super::code::{Code, Exit, FlagsAt, Row};
use super::host::HostFeatures;
use super::loops::Carried;
use super::regs::{RAX, reg_disp};
use super::stubs::Helper;
use crate::diag::stats::{self, EarlyExit};
use crate::ir::liveness::{Fate, Liveness};
use crate::ir::ops::{Block, Flags, Inst, Op, Value};
use dynasmrt::DynamicLabel;
use std::sync::atomic::AtomicU64;

/// How to compile.
#[derive(Clone, Copy)]
pub struct Options {
    /// Every floating-point operation goes through the run time's exact software.
    pub soft_fp: bool,
    /// FPSCR.FZ: scalar denormals are zeros.
    pub flush: bool,
    /// FPSCR.DN: scalar NaN results are the default NaN.
    pub default_nan: bool,
    /// FPSCR.RMode is not to nearest: Advanced SIMD's floating point goes through the run time.
    pub directed: bool,
    /// NZCV is exact at every instruction that may fault, even where no guest instruction reads it.
    pub precise_flags: bool,
    /// Indirect branches use the hashed table instead of the direct one.
    pub hash_lookup: bool,
    /// Guest memory is relative to the gs base (and the jump table to a pointer in the state).
    pub based: bool,
    pub host: HostFeatures,
    /// Where the block counts its runs (`--stats`); its code is then good in this process only.
    pub run_counter: Option<&'static AtomicU64>,
}

/// Location of a value.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Guest registers that hold it, a bit each: those where [`Emitter::home`] names it.
    pub homes: u16,
    /// Scratch register, or NOWHERE.
    pub gpr: u8,
    pub xmm: u8,
    /// Slot of `CpuState::spill`, or of `CpuState::vspill` if the value is a vector.
    pub spill: u8,
}

pub(super) const NOWHERE: u8 = 0xff;

impl Place {
    const NOWHERE: Place = Place {
        homes: 0,
        gpr: NOWHERE,
        xmm: NOWHERE,
        spill: NOWHERE,
    };
}

/// Where NZCV is (see [`FlagsAt`]); `mem` says which flags' bytes in the state are current.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FlagState {
    pub eflags: Flags,
    pub mem: Flags,
    pub inverted: bool,
    pub float: bool,
    /// EFLAGS hold the comparison that `fp_cmp` in the state was stored from.
    pub fp_cmp: bool,
}

/// Code that is emitted after the block proper.
pub(super) enum Cold {
    /// Spill these flags, then leave to the target.
    Exit {
        label: DynamicLabel,
        flags: FlagState,
        spill: Flags,
        target: u32,
        /// Counts the times it was taken, if they are counted.
        taken: Option<&'static AtomicU64>,
    },
    /// Load the target into ecx and look it up.
    Miss { label: DynamicLabel, target: Rm },
    /// Alignment fault at the address in register `addr`.
    Align {
        label: DynamicLabel,
        addr: u8,
        pc: u32,
        it: u8,
    },
    /// An exclusive store with a closed monitor: a barrier all the same (see `opt::fences`), then on with ZF clear.
    MonitorMiss { label: DynamicLabel, back: DynamicLabel },
    /// FPSCR's modes have changed: on at `target` through the run loop.
    Fpscr { label: DynamicLabel, target: u32 },
    /// Continue at `back` after the run time has computed operation `inst` (arguments already stored).
    Soft {
        label: DynamicLabel,
        back: DynamicLabel,
        inst: Inst,
        args: [SoftArg; 3],
        dst: SoftDst,
    },
}

/// Argument of an operation done in software on a cold path.
#[derive(Clone, Copy)]
pub(super) enum SoftArg {
    None,
    Xmm(u8),
    /// Of an operation that has no operand in memory.
    Gpr(u8),
    /// In the state.
    Mem(Mem),
}

#[derive(Clone, Copy)]
pub(super) enum SoftDst {
    Gpr(u8),
    /// EFLAGS as a comparison leaves them that finds its operands unordered.
    Unordered,
    Xmm(u8),
}

pub(super) struct Emitter<'a> {
    pub asm: &'a mut Asm,
    pub block: &'a Block,
    pub opts: &'a Options,
    /// Index of the instruction being emitted.
    pub at: usize,
    /// What lies ahead of each instruction and its value.
    pub fates: &'a [Fate],
    pub places: &'a mut [Place],
    pub gpr_holds: [Value; 16],
    pub home: [Value; 15],
    pub xmm_holds: [Value; 16],
    pub home_s: [Value; 32],
    /// Doubles and D-form vectors.
    pub home_d: [Value; 32],
    /// Vectors of which all 128 bits are in the register.
    pub home_q: [Value; 16],
    pub locked: u16,
    pub xlocked: u16,
    pub next_xmm: u8,
    /// XMM register that holds `CpuState::qc` as well, or NOWHERE.
    pub qc_xmm: u8,
    pub spill_used: u32,
    pub vspill_used: u32,
    /// Vectors whose register (and spill slot) has zeros in the upper half.
    pub upper_zero: &'a mut [bool],
    /// Instructions may trap here, and what is between them and the end of the operation is left out then.
    pub may_trap_now: bool,
    pub flags: FlagState,
    pub label_flags: Vec<Option<FlagState>>,
    pub labels: Vec<DynamicLabel>,
    pub pc: u32,
    pub thumb: bool,
    pub it: u8,
    pub code: Code,
    pub cold: Vec<Cold>,
    pub start: DynamicLabel,
    /// VFP registers kept in XMM registers around the block's own loop, and where that begins.
    pub carried: Vec<Carried>,
    pub loop_head: Option<DynamicLabel>,
    /// XMM register in which a value is best computed.
    pub xmm_hint: &'a mut [u8],
    /// Guest address of the block with the T bit: a branch to it goes to the block's own start.
    pub own_target: u32,
}

/// Memory of one compilation, kept for the next one's sake.
#[derive(Default)]
pub struct Workspace {
    xmm_hint: Vec<u8>,
    places: Vec<Place>,
    upper_zero: Vec<bool>,
    asm: Asm,
    cold: Vec<Cold>,
    /// Code that has been placed and may be overwritten.
    pub code: Code,
}

/// `n` times `x`, in the memory of `old`.
fn refill<T: Copy>(old: &mut Vec<T>, n: usize, x: T) -> &mut [T] {
    old.clear();
    old.resize(n, x);
    old
}

/// Compiles a block of which `liveness` is known.
pub fn compile(block: &Block, liveness: &Liveness, opts: &Options) -> Code {
    compile_with(block, liveness, opts, &mut Workspace::default())
}

/// As [`compile`], with memory that was used before.
pub fn compile_with(block: &Block, liveness: &Liveness, opts: &Options, workspace: &mut Workspace) -> Code {
    let mut e = Emitter::new(block, liveness, opts, workspace);
    e.run(liveness);
    let (code, cold) = e.finish();
    workspace.cold = cold;
    code
}

impl<'a> Emitter<'a> {
    fn new(block: &'a Block, liveness: &'a Liveness, opts: &'a Options, w: &'a mut Workspace) -> Emitter<'a> {
        let n = block.insts.len();
        let asm = &mut w.asm;
        let start = asm.new_label();
        let labels = (0..block.labels).map(|_| asm.new_label()).collect();
        let first = block.insts.iter().find(|i| i.op == Op::InsnStart);
        let (own, it) = first.map_or((1, 0), |i| (i.imm | u32::from(i.aux & 1), i.imm2));
        Emitter {
            asm,
            block,
            opts,
            at: 0,
            fates: &liveness.fates,
            places: refill(&mut w.places, n, Place::NOWHERE),
            upper_zero: refill(&mut w.upper_zero, n, false),
            may_trap_now: false,
            gpr_holds: [Value::NONE; 16],
            home: [Value::NONE; 15],
            xmm_holds: [Value::NONE; 16],
            home_s: [Value::NONE; 32],
            home_d: [Value::NONE; 32],
            home_q: [Value::NONE; 16],
            locked: 0,
            xlocked: 0,
            next_xmm: 0,
            qc_xmm: NOWHERE,
            spill_used: 0,
            vspill_used: 0,
            flags: FlagState {
                eflags: Flags::NONE,
                mem: Flags::NZCV,
                inverted: false,
                float: false,
                fp_cmp: false,
            },
            label_flags: vec![None; block.labels as usize],
            labels,
            pc: 0,
            thumb: false,
            it: 0,
            code: std::mem::take(&mut w.code).renewed(block),
            cold: std::mem::take(&mut w.cold),
            start,
            carried: Vec::new(),
            loop_head: None,
            xmm_hint: refill(&mut w.xmm_hint, n, NOWHERE),
            // A block that starts inside an IT block is not what its address names.
            own_target: if it == 0 { own } else { u32::MAX },
        }
    }

    fn run(&mut self, liveness: &Liveness) {
        let start = self.start;
        self.asm.bind(start);
        if liveness.loops {
            self.plan_loop();
            self.enter_loop();
        }
        let mut counter = self.opts.run_counter;
        let block = self.block;
        for i in 0..block.insts.len() {
            self.at = i;
            let inst = &block.insts[i];
            // Those that use and define nothing, first.
            match inst.op {
                Op::Nop | Op::Const | Op::Const64 => {}
                Op::InsnStart => {
                    self.start_insn(inst);
                    if let Some(counter) = counter.take() {
                        self.count_run(counter);
                    }
                }
                op => {
                    self.emit(op, inst);
                    self.release();
                }
            }
        }
        self.code.hot_bytes = self.asm.pos();
        self.emit_cold();
    }

    /// Adds 1 to the block's run counter, before anything of the first instruction: rax and EFLAGS hold nothing yet.
    /// Threads may lose each other's additions, which is good enough for statistics.
    fn count_run(&mut self, counter: &'static AtomicU64) {
        self.count(counter);
        self.row(true, false);
    }

    /// Adds 1 to a counter; rax and EFLAGS are lost.
    pub(super) fn count(&mut self, counter: &'static AtomicU64) {
        self.asm.mov_ri64(RAX, std::ptr::from_ref(counter) as u64);
        // inc qword [rax]
        self.asm.op(Enc::new(0xff).w(), 0, Mem::at(RAX, 0).into());
    }

    /// Notes an exit that is counted: its counter.
    pub(super) fn count_exit(&mut self) -> &'static AtomicU64 {
        let taken = stats::new_run_counter();
        let before = &self.block.insts[..self.at];
        self.code.early.push(EarlyExit {
            taken,
            guest_insns: before.iter().filter(|i| i.op == Op::InsnStart).count() as u32,
            host_bytes: self.asm.pos(),
        });
        taken
    }

    fn start_insn(&mut self, inst: &Inst) {
        self.pc = inst.imm;
        self.thumb = inst.aux & 1 != 0;
        self.it = inst.imm2 as u8;
        // In the middle of a run a thread may come out only while it can go on: with the run's condition. And where the
        // optimiser has left registers behind, it may not.
        let known = self.flags.eflags | self.flags.mem;
        let exact = inst.aux & 2 == 0 && known.contains(Flags::read_by(inst.cond));
        self.push_row(exact, false);
    }

    /// Any operation but those of [`Emitter::run`]. The table of operations has them by kind.
    #[inline(always)]
    fn emit(&mut self, op: Op, inst: &Inst) {
        match op {
            Op::SkipUnless | Op::Label => self.control(inst),
            _ if (op as u8) < Op::Load8 as u8 => self.int(inst),
            _ if (op as u8) < Op::FAdd32 as u8 => self.mem(inst),
            _ if (op as u8) < Op::GetV as u8 => self.fp(inst),
            _ if (op as u8) < Op::ClockCall as u8 => self.vector(inst),
            Op::ClockCall => self.clock_call(inst),
            _ => self.control(inst),
        }
    }

    /// The flags as the side table says them.
    fn flags_at(&self) -> FlagsAt {
        FlagsAt {
            eflags: (self.flags.eflags - self.flags.mem).0,
            inverted: self.flags.inverted,
            float: self.flags.float,
        }
    }

    /// Records that the code from here on belongs to the current guest instruction.
    pub(super) fn row(&mut self, boundary: bool, glue: bool) {
        let flags = self.flags_at();
        if let Some(last) = self.code.rows.last_mut()
            && last.boundary
            && !boundary
            && last.host == self.asm.pos()
        {
            // No code yet: here the boundary stays one, or a loop of branches alone would have none.
            last.flags = flags;
            return;
        }
        self.push_row(boundary, glue);
    }

    fn push_row(&mut self, boundary: bool, glue: bool) {
        let row = Row {
            host: self.asm.pos(),
            pc: self.pc,
            thumb: self.thumb,
            it: self.it,
            boundary,
            glue,
            flags: self.flags_at(),
        };
        self.code.rows.push(row);
    }

    /// Before an instruction that may fault: the side table must say where the flags are now.
    pub(super) fn fault_point(&mut self) {
        let now = self.flags_at();
        if self.code.rows.last().is_none_or(|r| r.flags != now) {
            self.row(false, false);
        }
    }

    /// Allocates a direct exit whose displacement field starts at `patch`; its stub comes last.
    pub(super) fn push_exit(&mut self, patch: u32, target: u32) {
        self.code.exits.push(Exit {
            patch,
            stub: 0,
            id_imm: 0,
            target,
        });
    }

    /// The code, and the list of cold parts for the next block.
    fn finish(mut self) -> (Code, Vec<Cold>) {
        // Exit stubs: mov eax, id; jmp [link]. Their ids are filled in by the cache.
        self.row(false, true);
        for k in 0..self.code.exits.len() {
            let stub = self.asm.pos();
            self.asm.mov_ri(0, 0);
            self.code.exits[k].stub = stub;
            self.code.exits[k].id_imm = stub + 1;
            self.jump_helper(Helper::ExitLink);
        }
        let mut bytes = std::mem::take(&mut self.code.bytes);
        if let Err(e) = self.asm.ops.finish(&mut bytes) {
            // Only an unbound label or a displacement beyond 2 GiB can fail, and neither can be produced here.
            unreachable!("assembling a block: {e}");
        }
        for x in &self.code.exits {
            let rel = x.stub.wrapping_sub(x.patch + 4);
            bytes[x.patch as usize..x.patch as usize + 4].copy_from_slice(&rel.to_le_bytes());
        }
        self.code.pool = self.asm.place_pool(&mut bytes);
        self.code.bytes = bytes;
        (self.code, self.cold)
    }

    /// `[rbp + ...]` of a guest register in the state.
    pub(super) fn reg_mem(r: u8) -> Mem {
        Mem::state(reg_disp(r))
    }

    /// `inst` has no later use and sets no live flag: its result need not exist.
    pub(super) fn unused(&self) -> bool {
        self.fates[self.at].last_use == 0
    }

    pub(super) fn jcc_over(&mut self, cc: Cc) -> DynamicLabel {
        let l = self.asm.new_label();
        self.asm.jcc(cc, l);
        l
    }
}
