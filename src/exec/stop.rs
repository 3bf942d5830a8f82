//! The stop by which a traced guest thread shows itself: a breakpoint at an address that the tracer's emulator knows.

use std::arch::global_asm;

global_asm!(
    ".pushsection .text.emu_guest_stop, \"ax\", @progbits",
    ".globl emu_guest_stop, emu_guest_stop_end",
    ".hidden emu_guest_stop, emu_guest_stop_end",
    ".p2align 4",
    // () -> eax: 0 if a tracer has seen the stop.
    "emu_guest_stop:",
    "xor eax, eax",
    "int3",
    "emu_guest_stop_end:",
    "ret",
    ".popsection",
);

// SAFETY: the routine above with its signature, and its label.
unsafe extern "C" {
    fn emu_guest_stop() -> u32;
    fn emu_guest_stop_end();
}

/// Stops until the tracer lets the thread go on. False if there is no tracer: then nothing has happened.
pub fn stop_for_tracer() -> bool {
    // SAFETY: without a tracer the breakpoint's signal comes to this program's handler, which says so in eax.
    unsafe { emu_guest_stop() == 0 }
}

/// The host's pc at such a stop.
pub fn stop_pc() -> u64 {
    emu_guest_stop_end as *const () as u64
}
