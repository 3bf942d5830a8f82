//! From a guest location to host code: fetch, lift, optimise, compile.

use super::known::{self, AddressSet, LiveFlags, SharedSet};
use super::{ExecConfig, FpMode};
use crate::cpu::location::{FpKey, Location};
use crate::diag::disasm;
use crate::diag::log::{Items, enabled, line};
use crate::diag::stats;
use crate::ir::liveness::Liveness;
use crate::ir::ops::{Block, Flags};
use crate::lift::{self, Context, Fetch, Seen};
use crate::mem::{self, GuestAddr, Prot};
use crate::x64::code::Code;
use crate::x64::{self, HostFeatures};
use crate::{ir, opt};
use std::cell::{Cell, OnceCell, RefCell};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::atomic::AtomicU64;

/// What a translation yields.
#[derive(Debug, Default)]
pub struct Compiled {
    pub code: Code,
    /// Guest bytes that it was made from, `[start, end)`: when they change, it is void.
    pub ranges: Vec<Range<u64>>,
    /// What was decoded there, if the request asked for it.
    pub seen: Vec<Seen>,
    /// Where the block counts its runs, if it does.
    pub run_counter: Option<&'static AtomicU64>,
}

/// What is asked of a translator besides a location.
pub struct Request<'a> {
    /// Calls instead of host floating point.
    pub soft: bool,
    /// The hashed jump table.
    pub hash: bool,
    /// [`Compiled::seen`] is wanted.
    pub record: bool,
    /// Another number than before whenever guest code that was read may have changed.
    pub changes: u64,
    /// To be called before guest code is read from a page (address >> 12).
    pub read_page: &'a dyn Fn(u32),
}

/// A translator; one thread at a time uses it.
pub trait Compile: Send {
    /// Translates the block at `location`.
    fn compile(&mut self, location: Location, request: &Request<'_>) -> Compiled;

    /// What a translation for `request` depends on besides the location and the guest's bytes, hashed, if another process's
    /// may stand for it.
    fn settings(&self, request: &Request<'_>) -> Option<u64> {
        let _ = request;
        None
    }

    /// Takes the last translation back, and hears where its code is now.
    fn placed(&mut self, location: Location, compiled: Compiled, host: u64) {
        let _ = (location, compiled, host);
    }
}

/// The fast tier: one block at a time.
pub struct FastTier {
    context: Context,
    host: HostFeatures,
    soft_fp: bool,
    precise_flags: bool,
    buffers: Buffers,
    entries: AddressSet,
    live: LiveFlags,
    /// See [`Compile::settings`]: what stays as it is for the process; made when first asked for.
    settings: OnceCell<u64>,
}

/// Lists of one translation, kept for the next one's sake.
#[derive(Default)]
struct Buffers {
    told: Vec<u32>,
    read: Vec<Range<u64>>,
    liveness: Liveness,
    ranges: Vec<Range<u64>>,
    lift: lift::Buffers,
    x64: x64::Workspace,
}

impl FastTier {
    pub fn new(context: Context, config: &ExecConfig) -> FastTier {
        FastTier {
            settings: OnceCell::new(),
            context,
            host: config.host,
            soft_fp: config.soft_fp,
            precise_flags: config.precise_flags,
            buffers: Buffers::default(),
            entries: AddressSet::new(),
            live: LiveFlags::new(),
        }
    }

    /// A number for everything but location, guest bytes and [`Request`] that code depends on.
    fn hash_settings(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        // Their text has every field, those to come included.
        format!("{:?} {:?}", self.context, self.host).hash(&mut hasher);
        let based = mem::space().base() != 0;
        (self.soft_fp, self.precise_flags, based).hash(&mut hasher);
        hasher.finish()
    }
}

/// Executable guest memory as one translation reads it.
struct GuestCode<'a> {
    read_page: &'a dyn Fn(u32),
    entries: SharedSet<'a>,
    /// The last page looked at, and whether it is executable.
    page: Cell<(u32, bool)>,
    /// The last eight aligned bytes read, behind their address / 8.
    bytes: Cell<(u32, u64)>,
    /// Pages told to `read_page`.
    told: RefCell<&'a mut Vec<u32>>,
}

impl GuestCode<'_> {
    fn executable(&self, page: u32) -> bool {
        let (last, yes) = self.page.get();
        if last == page {
            return yes;
        }
        let mut told = self.told.borrow_mut();
        if !told.contains(&page) {
            told.push(page);
            (self.read_page)(page);
        }
        let prot = mem::space().prot(GuestAddr(page << 12));
        let yes = prot.is_some_and(|p| p.contains(Prot::EXEC));
        self.page.set((page, yes));
        yes
    }

    /// Reads the eight bytes that `pc` is in; whether it is executable.
    fn read(&self, pc: u32) -> bool {
        if !self.executable(pc >> 12) {
            return false;
        }
        let Ok(bytes) = mem::space().read::<u64>(GuestAddr(pc & !7)) else {
            return false;
        };
        self.bytes.set((pc / 8, bytes));
        true
    }
}

impl Fetch for GuestCode<'_> {
    #[inline]
    fn fetch16(&self, pc: u32) -> Option<u16> {
        if self.bytes.get().0 != pc / 8 && !self.read(pc) {
            return None;
        }
        Some((self.bytes.get().1 >> (pc % 8 * 8)) as u16)
    }

    #[inline]
    fn fetch32(&self, pc: u32) -> Option<u32> {
        if pc % 8 > 4 || self.bytes.get().0 != pc / 8 && !self.read(pc) {
            return None;
        }
        Some((self.bytes.get().1 >> (pc % 8 * 8)) as u32)
    }

    fn note_entry(&self, target: u32) {
        self.entries.insert(target);
    }

    fn is_entry(&self, target: u32) -> bool {
        self.entries.may_contain(target)
    }
}

impl Compile for FastTier {
    fn compile(&mut self, location: Location, request: &Request<'_>) -> Compiled {
        let Buffers {
            told,
            read,
            liveness,
            ranges,
            lift: buffers,
            x64: workspace,
        } = &mut self.buffers;
        told.clear();
        read.clear();
        ranges.clear();
        self.live.at_change(request.changes);
        buffers.decodings.at_change(request.changes);
        let guest = GuestCode {
            read_page: request.read_page,
            entries: self.entries.shared(),
            page: Cell::new((u32::MAX, false)),
            bytes: Cell::new((u32::MAX, 0)),
            told: RefCell::new(told),
        };
        // The part of the key that is `lift`'s.
        let fp = FpKey(location.fp.0 & FpKey::SHORT_VECTORS);
        let at = |target: u32| Location {
            pc: target & !1,
            thumb: target & 1 == 1,
            it: 0,
            fp,
        };
        buffers.seen = request.record.then(Vec::new);
        let mut block = lift::translate_with(Location { fp, ..location }, &guest, &self.context, buffers);
        let mut code = lift::Code {
            fetch: &guest,
            ctx: &self.context,
            decodings: &mut buffers.decodings,
            seen: buffers.seen.as_mut(),
        };
        let (live, precise) = (&mut self.live, self.precise_flags);
        let mut live_at = |target: u32| match (precise, request.record) {
            (true, _) => Flags::NZCV,
            // Of an answer from before nobody knows any more which encodings it came from.
            (_, true) => lift::flags_live_at(at(target), &mut code, read),
            _ => live.get_or(target, read, |read| {
                lift::flags_live_at(at(target), &mut code, read)
            }),
        };
        let mut outside = opt::Outside {
            live_at: &mut live_at,
            precise: self.precise_flags,
            in_registers: x64::regs::PINNED_SET,
        };
        opt::run(&mut block, &mut outside, liveness);
        log_source(location, &block);
        let run_counter = stats::count_execution().then(stats::new_run_counter);
        let options = x64::Options {
            soft_fp: request.soft || self.soft_fp || location.fp.0 & FpMode::SOFT != 0,
            flush: location.fp.0 & FpMode::FLUSH != 0,
            default_nan: location.fp.0 & FpMode::DEFAULT_NAN != 0,
            directed: location.fp.0 & FpMode::DIRECTED != 0,
            precise_flags: self.precise_flags,
            hash_lookup: request.hash,
            based: mem::space().base() != 0,
            host: self.host,
            run_counter,
        };
        let code = x64::compile_with(&block, liveness, &options, workspace);
        let own = u64::from(block.start)..u64::from(block.end).max(u64::from(block.start) + 2);
        ranges.push(own);
        // The flags that the block leaves behind depend on code elsewhere, too.
        ranges.extend(read.iter().cloned());
        known::join(ranges);
        buffers.insts = block.insts;
        Compiled {
            code,
            ranges: std::mem::take(ranges),
            seen: buffers.seen.take().unwrap_or_default(),
            run_counter,
        }
    }

    fn settings(&self, request: &Request<'_>) -> Option<u64> {
        // Who counts or logs wants to see it done.
        let watched = stats::count_execution() || enabled(Items::IN_ASM | Items::IR | Items::OUT_ASM);
        (!watched).then(|| {
            let flags = [request.soft, request.hash].map(u64::from);
            self.settings.get_or_init(|| self.hash_settings())
                ^ (flags[0] | flags[1] << 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    fn placed(&mut self, location: Location, compiled: Compiled, host: u64) {
        self.entries.shared().insert(location.target());
        let code = &compiled.code;
        if let Some(counter) = compiled.run_counter {
            let hot = &code.bytes[..code.hot_bytes as usize];
            stats::register_block(counter, (code.guest_insns, code.simd_insns), hot, &code.early);
        }
        if enabled(Items::OUT_ASM) {
            line(format_args!(
                "OUT: {:08x} -> {host:#x}, {} bytes",
                location.pc,
                code.bytes.len()
            ));
            let (instructions, constants) = code.bytes.split_at(code.pool as usize);
            for text in disasm::host(instructions, host) {
                line(format_args!("{text}"));
            }
            for (k, c) in constants.as_chunks::<16>().0.iter().enumerate() {
                let at = host + u64::from(code.pool) + 16 * k as u64;
                line(format_args!("{at:x}  {:032x}", u128::from_le_bytes(*c)));
            }
        }
        self.buffers.ranges = compiled.ranges;
        self.buffers.x64.code = compiled.code;
    }
}

/// Logs what was translated.
fn log_source(location: Location, block: &Block) {
    if enabled(Items::IN_ASM) {
        line(format_args!("IN: {:08x}", location.pc));
        let mut bytes = vec![0; block.end.saturating_sub(block.start) as usize];
        let read = mem::space()
            .read_prefix(GuestAddr(block.start), &mut bytes)
            .unwrap_or(0);
        for text in disasm::guest(&bytes[..read], block.start, location.thumb) {
            line(format_args!("{text}"));
        }
    }
    if enabled(Items::IR) {
        for text in ir::print::print(block).lines() {
            line(format_args!("{text}"));
        }
    }
}
