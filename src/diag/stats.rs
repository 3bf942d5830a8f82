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
    /// Guest instructions executed by the interpreter.
    pub interpreted: Counter,
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
            interpreted: Counter::new(),
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
    simd_insns: u32,
    code: Box<[u8]>,
    early: Box<[EarlyExit]>,
}

/// A way out of a counting block before its end.
#[derive(Clone, Copy, Debug)]
pub struct EarlyExit {
    /// Times that it was taken.
    pub taken: &'static AtomicU64,
    /// Guest instructions of the block up to and including the one that leaves.
    pub guest_insns: u32,
    /// Bytes of host code up to there.
    pub host_bytes: u32,
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

/// Counters made at once.
const COUNTERS: usize = 1024;
static SPARE_COUNTERS: Mutex<&'static [AtomicU64]> = Mutex::new(&[]);

/// A counter for a block about to be translated; its address is good for the life of the process.
pub fn new_run_counter() -> &'static AtomicU64 {
    let mut spare = SPARE_COUNTERS.lock().unwrap_or_else(|e| e.into_inner());
    if spare.is_empty() {
        *spare = Box::leak((0..COUNTERS).map(|_| AtomicU64::new(0)).collect());
    }
    let (first, rest) = (&spare[0], &spare[1..]);
    *spare = rest;
    first
}

/// Registers the counter of a translated block with its sizes: guest instructions, those of Advanced SIMD among them,
/// and the host code that is executed when nothing exceptional happens. Between the start and the exit taken both are counted as if straight
/// through, so what a predicated run skips counts as executed.
pub fn register_block(
    runs: &'static AtomicU64,
    (guest_insns, simd_insns): (u32, u32),
    code: &[u8],
    early: &[EarlyExit],
) {
    let mut blocks = BLOCKS.lock().unwrap_or_else(|e| e.into_inner());
    blocks.push(BlockCount {
        runs,
        guest_insns,
        simd_insns,
        code: code.into(),
        early: early.into(),
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
    row("guest insns interpreted", s.interpreted.get().to_string());
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
    let (mut guest, mut host, mut simd) = (0, 0, 0);
    for block in blocks.iter() {
        let runs = block.runs.load(Ordering::Relaxed);
        if runs == 0 {
            continue;
        }
        let mut count = |times: u64, guest_insns: u32, code: &[u8]| {
            guest += times * u64::from(guest_insns);
            host += times * disasm::count_host(code).saturating_sub(COUNTING_INSNS) as u64;
        };
        let mut whole = runs;
        for exit in &block.early {
            let taken = exit.taken.load(Ordering::Relaxed);
            whole = whole.saturating_sub(taken);
            if taken > 0 {
                count(taken, exit.guest_insns, &block.code[..exit.host_bytes as usize]);
            }
        }
        count(whole, block.guest_insns, &block.code);
        // Of runs that leave early it is not known how many there were.
        simd += whole * u64::from(block.simd_insns);
    }
    if guest > 0 {
        row("guest insns executed", guest.to_string());
        row(
            "  host insns per guest insn",
            format!("{:.2}", ratio(host, guest)),
        );
        row("  Advanced SIMD at least", simd.to_string());
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
        let early = EarlyExit {
            taken: new_run_counter(),
            guest_insns: 1,
            host_bytes: 15,
        };
        register_block(runs, (2, 1), &code, &[early]);
        runs.store(1500, Ordering::Relaxed);
        // 1000 runs of 2 and 5 instructions, 500 of 1 and 2.
        early.taken.store(500, Ordering::Relaxed);
        stats().exits[1].add(3);
        let text = report(&["none", "syscall"]);
        assert!(text.contains("exits: syscall"), "{text}");
        let line = text
            .lines()
            .find(|l| l.contains("host insns per guest insn"))
            .expect("ratio line");
        assert!(line.trim_end().ends_with("2.40"), "{line}");
        let line = text
            .lines()
            .find(|l| l.contains("Advanced SIMD"))
            .expect("the line");
        assert!(line.trim_end().ends_with(" 1000"), "{line}");
    }
}
