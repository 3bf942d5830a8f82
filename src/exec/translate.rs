//! From a guest location to host code: fetch, lift, optimise, compile.

use super::FpMode;
use crate::cpu::location::{FpKey, Location};
use crate::diag::disasm;
use crate::diag::log::{Items, enabled, line};
use crate::diag::stats;
use crate::ir::ops::{Block, Flags};
use crate::lift::{self, Context, Fetch};
use crate::mem::{self, GuestAddr, Prot};
use crate::x64::code::Code;
use crate::x64::{self, HostFeatures};
use crate::{ir, opt};
use std::cell::{Cell, RefCell};
use std::ops::Range;

/// What a translation yields.
#[derive(Debug, Default)]
pub struct Compiled {
    pub code: Code,
    /// Guest bytes that it was made from, `[start, end)`: when they change, it is void.
    pub ranges: Vec<Range<u64>>,
}

/// A translator; one thread at a time uses it.
pub trait Compile: Send {
    /// Translates the block at `location`. Before it reads guest code from a page it says so to `read_page` (with
    /// the address >> 12). `soft` asks for calls instead of host floating point, `hash` for the hashed jump table.
    fn compile(&mut self, location: Location, soft: bool, hash: bool, read_page: &dyn Fn(u32)) -> Compiled;

    /// Hears where the code of the last translation is now (for the log).
    fn placed(&mut self, location: Location, compiled: &Compiled, host: u64) {
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
}

/// Lists of one translation, kept for the next one's sake.
#[derive(Default)]
struct Buffers {
    told: Vec<u32>,
    read: Vec<Range<u64>>,
    known: Vec<(u32, Flags)>,
}

impl FastTier {
    pub fn new(context: Context, soft_fp: bool, precise_flags: bool) -> FastTier {
        FastTier {
            context,
            host: HostFeatures::detect(),
            soft_fp,
            precise_flags,
            buffers: Buffers::default(),
        }
    }
}

/// Executable guest memory as one translation reads it.
struct GuestCode<'a> {
    read_page: &'a dyn Fn(u32),
    /// The last page looked at, and whether it is executable.
    page: Cell<(u32, bool)>,
    /// Pages told to `read_page`.
    told: RefCell<Vec<u32>>,
    /// What was read, in the order of reading, adjacent reads joined.
    read: RefCell<Vec<Range<u64>>>,
}

impl<'a> GuestCode<'a> {
    fn new(read_page: &'a dyn Fn(u32), mut told: Vec<u32>, mut read: Vec<Range<u64>>) -> GuestCode<'a> {
        told.clear();
        read.clear();
        GuestCode {
            read_page,
            page: Cell::new((u32::MAX, false)),
            told: RefCell::new(told),
            read: RefCell::new(read),
        }
    }

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
}

impl Fetch for GuestCode<'_> {
    fn fetch16(&self, pc: u32) -> Option<u16> {
        if !self.executable(pc >> 12) {
            return None;
        }
        let mut read = self.read.borrow_mut();
        let at = u64::from(pc);
        match read.last_mut() {
            Some(last) if (last.start..=last.end).contains(&at) => last.end = last.end.max(at + 2),
            _ => read.push(at..at + 2),
        }
        mem::space().read::<u16>(GuestAddr(pc)).ok()
    }
}

impl Compile for FastTier {
    fn compile(&mut self, location: Location, soft: bool, hash: bool, read_page: &dyn Fn(u32)) -> Compiled {
        let Buffers {
            told,
            read,
            mut known,
        } = std::mem::take(&mut self.buffers);
        known.clear();
        let guest = GuestCode::new(read_page, told, read);
        // The part of the key that is `lift`'s.
        let fp = FpKey(location.fp.0 & !FpMode::SOFT);
        let at = |target: u32| Location {
            pc: target & !1,
            thumb: target & 1 == 1,
            it: 0,
            fp,
        };
        let mut block = lift::translate_block(Location { fp, ..location }, &guest, &self.context);
        // The block knows its own range.
        guest.read.borrow_mut().clear();
        let known = RefCell::new(known);
        let live_at = |target: u32| {
            if self.precise_flags {
                return Flags::NZCV;
            }
            let found = known.borrow().iter().find(|(t, _)| *t == target).map(|(_, f)| *f);
            found.unwrap_or_else(|| {
                let flags = lift::flags_live_at(at(target), &guest, &self.context);
                known.borrow_mut().push((target, flags));
                flags
            })
        };
        opt::run(&mut block, &live_at, self.precise_flags);
        self.log_source(location, &block);
        let options = x64::Options {
            soft_fp: soft || self.soft_fp || location.fp.0 & FpMode::SOFT != 0,
            precise_flags: self.precise_flags,
            hash_lookup: hash,
            based: mem::space().base() != 0,
            live_at: &live_at,
            host: self.host,
            run_counter: stats::count_execution().then(stats::new_run_counter),
        };
        let code = x64::compile(&block, &options);
        if let Some(counter) = options.run_counter {
            stats::register_block(counter, code.guest_insns, &code.bytes[..code.hot_bytes as usize]);
        }
        let own = u64::from(block.start)..u64::from(block.end).max(u64::from(block.start) + 2);
        // The flags that the block leaves behind depend on code elsewhere, too.
        let elsewhere = |r: &&Range<u64>| r.start < own.start || r.end > own.end;
        let mut ranges: Vec<_> = guest.read.borrow().iter().filter(elsewhere).cloned().collect();
        ranges.push(own);
        self.buffers = Buffers {
            told: guest.told.into_inner(),
            read: guest.read.into_inner(),
            known: known.into_inner(),
        };
        Compiled { code, ranges }
    }

    fn placed(&mut self, location: Location, compiled: &Compiled, host: u64) {
        if enabled(Items::OUT_ASM) {
            line(format_args!(
                "OUT: {:08x} -> {host:#x}, {} bytes",
                location.pc,
                compiled.code.bytes.len()
            ));
            for text in disasm::host(&compiled.code.bytes, host) {
                line(format_args!("{text}"));
            }
        }
    }
}

impl FastTier {
    fn log_source(&self, location: Location, block: &Block) {
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
}
