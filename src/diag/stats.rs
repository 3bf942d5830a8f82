//! Counters behind `--stats`: cold paths count always, executed instructions only when asked.

use super::disasm;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A counter that any thread may add to. Threads may lose each other's additions, which is good enough for statistics and
/// spares every system call an atomic read-modify-write.
pub struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub fn add(&self, n: u64) {
        self.0
            .store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }
    const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Number of exit kinds that [`Stats::exits`] tells apart.
pub const EXIT_KINDS: usize = 16;

/// The process's counters. Names say the unit; all start at 0.
pub struct Stats {
    /// Blocks translated.
    pub blocks: Counter,
    /// Guest instructions translated for the first time.
    pub guest_insns: Counter,
    /// Guest instructions translated again (after invalidation or a full cache, or in a second block).
    pub guest_insns_again: Counter,
    /// Time from first fetch to published code, side tables included.
    pub translate_ns: Counter,
    /// Host code, without side tables.
    pub code_bytes: Counter,
    /// Side tables.
    pub table_bytes: Counter,
    /// Direct branches patched to jump straight to their target.
    pub links: Counter,
    /// Indirect branches that the jump table did not answer.
    pub indirect_misses: Counter,
    /// Returns whose host return address was not theirs.
    pub return_misses: Counter,
    /// Exits from translated code to the run loop, by `x64::stubs::ExitKind`.
    pub exits: [Counter; EXIT_KINDS],
    pub syscalls: Counter,
    /// Invalid-operation traps that the FP trap handler settled.
    pub fp_traps: Counter,
    /// Code ranges invalidated, and blocks dropped by that.
    pub invalidations: Counter,
    pub blocks_dropped: Counter,
    /// Times the code cache was full and started again.
    pub cache_flushes: Counter,
    /// Signals delivered to guest handlers.
    pub signals: Counter,
}

impl Stats {
    const fn new() -> Stats {
        Stats {
            blocks: Counter::new(),
            guest_insns: Counter::new(),
            guest_insns_again: Counter::new(),
            translate_ns: Counter::new(),
            code_bytes: Counter::new(),
            table_bytes: Counter::new(),
            links: Counter::new(),
            indirect_misses: Counter::new(),
            return_misses: Counter::new(),
            exits: [const { Counter::new() }; EXIT_KINDS],
            syscalls: Counter::new(),
            fp_traps: Counter::new(),
            invalidations: Counter::new(),
            blocks_dropped: Counter::new(),
            cache_flushes: Counter::new(),
            signals: Counter::new(),
        }
    }
}

static STATS: Stats = Stats::new();
static COUNT_EXECUTION: AtomicBool = AtomicBool::new(false);
static BLOCKS: Mutex<Vec<BlockCount>> = Mutex::new(Vec::new());

/// The counters of this process.
pub fn stats() -> &'static Stats {
    &STATS
}

/// A block that counts its runs.
struct BlockCount {
    runs: &'static AtomicU64,
    guest_insns: u32,
    code: Box<[u8]>,
}

/// Host instructions at the start of a counting block that are there for the counting.
const COUNTING_INSNS: usize = 2;

/// Turns the counting of executed instructions on (`--stats`).
pub fn set_count_execution(on: bool) {
    COUNT_EXECUTION.store(on, Ordering::Relaxed);
}

/// Whether blocks are to count their runs.
#[inline]
pub fn count_execution() -> bool {
    COUNT_EXECUTION.load(Ordering::Relaxed)
}

/// A run counter for a block about to be translated; its address is good for the life of the process.
pub fn new_run_counter() -> &'static AtomicU64 {
    Box::leak(Box::default())
}

/// Registers the counter of a translated block with its sizes: guest instructions, and the host code that is
/// executed when nothing exceptional happens. Both are counted as if straight through, so what a predicated run
/// skips counts as executed.
pub fn register_block(runs: &'static AtomicU64, guest_insns: u32, code: &[u8]) {
    let mut blocks = BLOCKS.lock().unwrap_or_else(|e| e.into_inner());
    let code = code.into();
    blocks.push(BlockCount {
        runs,
        guest_insns,
        code,
    });
}

/// The report for `--stats`, one counter a line. `exit_names` names the first exit kinds.
pub fn report(exit_names: &[&str]) -> String {
    let s = stats();
    let mut out = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "emu: {name:<28} {value:>14}");
    };
    let rate = |n: u64, ns: u64| if ns == 0 { 0.0 } else { n as f64 * 1e3 / ns as f64 };
    let ratio = |a: u64, b: u64| if b == 0 { 0.0 } else { a as f64 / b as f64 };
    let insns = s.guest_insns.get();
    row("blocks translated", s.blocks.get().to_string());
    row("guest instructions", insns.to_string());
    row("  translated again", s.guest_insns_again.get().to_string());
    row(
        "translation time ms",
        format!("{:.3}", s.translate_ns.get() as f64 / 1e6),
    );
    row(
        "  distinct M insns/s",
        format!("{:.2}", rate(insns, s.translate_ns.get())),
    );
    row("host code bytes", s.code_bytes.get().to_string());
    let all = insns + s.guest_insns_again.get();
    row(
        "  bytes per guest insn",
        format!("{:.1}", ratio(s.code_bytes.get(), all)),
    );
    row("side table bytes", s.table_bytes.get().to_string());
    row("direct links", s.links.get().to_string());
    row("indirect misses", s.indirect_misses.get().to_string());
    row("return misses", s.return_misses.get().to_string());
    row("system calls", s.syscalls.get().to_string());
    row("signals delivered", s.signals.get().to_string());
    row("FP traps", s.fp_traps.get().to_string());
    row("invalidations", s.invalidations.get().to_string());
    row("  blocks dropped", s.blocks_dropped.get().to_string());
    row("code cache restarts", s.cache_flushes.get().to_string());
    for (i, counter) in s.exits.iter().enumerate().filter(|(_, c)| c.get() > 0) {
        let name = exit_names.get(i).map_or_else(|| i.to_string(), |n| n.to_string());
        row(&format!("exits: {name}"), counter.get().to_string());
    }
    let blocks = BLOCKS.lock().unwrap_or_else(|e| e.into_inner());
    let (mut guest, mut host) = (0, 0);
    for block in blocks.iter() {
        let runs = block.runs.load(Ordering::Relaxed);
        if runs > 0 {
            guest += runs * u64::from(block.guest_insns);
            host += runs * disasm::count_host(&block.code).saturating_sub(COUNTING_INSNS) as u64;
        }
    }
    if guest > 0 {
        row("guest insns executed", guest.to_string());
        row(
            "  host insns per guest insn",
            format!("{:.2}", ratio(host, guest)),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_multiplies_runs_by_sizes() {
        let runs = new_run_counter();
        // movabs rax, 1; inc qword [rax]; five times nop.
        let code = [
            0x48, 0xb8, 1, 0, 0, 0, 0, 0, 0, 0, 0x48, 0xff, 0x00, 0x90, 0x90, 0x90, 0x90, 0x90,
        ];
        register_block(runs, 2, &code);
        runs.store(1000, Ordering::Relaxed);
        stats().exits[1].add(3);
        let text = report(&["none", "syscall"]);
        assert!(text.contains("exits: syscall"), "{text}");
        let line = text
            .lines()
            .find(|l| l.contains("host insns per guest insn"))
            .expect("ratio line");
        assert!(line.trim_end().ends_with("2.50"), "{line}");
    }
}
