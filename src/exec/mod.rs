//! A guest thread: run, fault, recover, deliver.
//!
//! [`jit`] is the run loop behind the [`machine::Machine`] that the system layer sees; [`runtime`] is what a
//! process's threads share; [`translate`] makes blocks; [`signals`] and [`faults`] are the host's signal handler.

mod clocks;
mod cold;
mod direct;
pub mod family;
mod faults;
mod fork_hints;
pub mod fp_traps;
mod helpers;
mod jit;
mod known;
pub mod machine;
pub mod runtime;
mod safe_syscall;
pub mod signals;
mod stop;
pub mod thread;
pub mod translate;

use crate::cache::arena::Place;
use crate::cpu::location::FpKey;
use crate::cpu::model::{Features, Model};
use crate::cpu::state::CpuState;
pub use crate::lift::ClockFunction;
use crate::lift::Context;
pub use crate::x64::HostFeatures;
use crate::{mem, x64};
use cold::Places;
pub use jit::Jit;
use machine::Machine;
pub use runtime::InitError;
use std::io;
use std::sync::OnceLock;
use translate::{Compile, FastTier};

/// How FPSCR chooses among the translations of a place.
#[derive(Clone, Copy, Debug)]
pub struct FpMode {
    features: Features,
    always_soft: bool,
    /// The bits of FPSCR that the model has.
    fpscr_writable: u32,
}

impl FpMode {
    /// Bits of [`FpKey`]: every operation goes through software.
    pub const SOFT: u8 = 0x80;
    /// FPSCR.FZ: a tiny scalar result that x86 rounds up to a normal one must be noticed.
    pub const FLUSH: u8 = 0x40;
    /// FPSCR.DN: a scalar result that is a NaN must be noticed.
    pub const DEFAULT_NAN: u8 = 0x20;
    /// FPSCR.RMode is not to nearest, but Advanced SIMD rounds so: its floating point goes through software.
    pub const DIRECTED: u8 = 0x10;

    /// The key for an FPSCR value: short vectors as `lift` has it, and the bits above.
    pub fn key(self, fpscr: u32) -> FpKey {
        let short = FpKey::from_fpscr(fpscr, self.features).0;
        if self.always_soft {
            return FpKey(short | FpMode::SOFT);
        }
        let neon = self.features.contains(Features::NEON);
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        FpKey(
            short
                | bit(fpscr >> 24 & 1 != 0, FpMode::FLUSH)
                | bit(fpscr >> 25 & 1 != 0, FpMode::DEFAULT_NAN)
                | bit(neon && fpscr >> 22 & 3 != 0, FpMode::DIRECTED),
        )
    }

    /// The process's.
    fn get() -> Option<FpMode> {
        MODE.get().copied()
    }
}

/// [`ExecConfig::interpret`] for a user's program (`docs/choices.md` has the measurements).
pub const INTERPRET: u32 = 2;

/// How execution is set up for a process.
#[derive(Clone, Debug)]
pub struct ExecConfig {
    /// The CPU model.
    pub model: Model,
    /// All floating point in software, whatever FPSCR says.
    pub soft_fp: bool,
    /// NZCV is exact in every state that a signal handler sees, even flags that no instruction reads.
    pub precise_flags: bool,
    /// Every block holds one guest instruction.
    pub one_insn: bool,
    /// Blocks are never linked: each is entered from the run loop (`-d exec`).
    pub unlinked: bool,
    /// How often a place is interpreted before it is translated; `u32::MAX`: always. Taken as 0 where blocks are not linked
    /// or of one instruction.
    pub interpret: u32,
    /// The host's features that may be used.
    pub host: HostFeatures,
    /// Clock functions of the vDSO that are answered without a system call.
    pub clocks: Vec<ClockFunction>,
    /// Where to put code memory; anywhere if not given.
    pub place: Option<Place>,
}

impl ExecConfig {
    pub fn new(model: &Model) -> ExecConfig {
        ExecConfig {
            model: *model,
            soft_fp: false,
            precise_flags: false,
            one_insn: false,
            unlinked: false,
            interpret: 0,
            host: HostFeatures::detect(),
            clocks: Vec::new(),
            place: None,
        }
    }
}

static MODE: OnceLock<FpMode> = OnceLock::new();

/// Starts execution in this process: translator, code cache, handlers for the fault signals, and the hook of the
/// guest's mappings. The guest's address space must exist.
///
/// # Errors
/// See [`InitError`].
pub fn init(config: &ExecConfig) -> Result<(), InitError> {
    let mut context = Context::new(&config.model);
    context.clocks.clone_from(&config.clocks);
    if config.one_insn {
        context.max_insns = 1;
    }
    let translator = FastTier::new(context, config);
    init_with(config, Box::new(translator))
}

/// As [`init`], with another translator.
///
/// # Errors
/// See [`InitError`].
pub fn init_with(config: &ExecConfig, translator: Box<dyn Compile>) -> Result<(), InitError> {
    let interpret = if config.unlinked || config.one_insn {
        0
    } else {
        config.interpret
    };
    let clocks = config.clocks.iter().map(|function| function.pc).collect();
    let places = Places::new(interpret, config.model.features, clocks);
    runtime::init(
        config.place,
        x64::stubs::emit(),
        translator,
        config.unlinked,
        places,
    )?;
    // A second start has failed above.
    let _ = MODE.set(FpMode {
        features: config.model.features,
        always_soft: config.soft_fp,
        fpscr_writable: config.model.fpscr_writable(),
    });
    mem::space().set_code_hook(|start, end| {
        if let Some(runtime) = runtime::get() {
            runtime.mapping_changed(start, end);
        }
    });
    signals::install();
    Ok(())
}

/// The processor of the process's first thread, about to execute at `pc` with stack pointer `sp`.
///
/// # Errors
/// When [`init`] has not been called, or the host has no memory for the translation stack.
pub fn new_machine(pc: u32, thumb: bool, sp: u32) -> io::Result<Box<dyn Machine>> {
    let mut state = CpuState::new();
    state.r[13] = sp;
    state.r[15] = pc;
    state.thumb = u8::from(thumb);
    let (Some(runtime), Some(mode)) = (runtime::get(), MODE.get()) else {
        return Err(io::Error::other("execution has not been started"));
    };
    state.fpscr_writable = mode.fpscr_writable;
    Ok(Box::new(Jit::new(state, runtime, *mode)?))
}
