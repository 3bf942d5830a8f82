//! The kernel's user helpers at 0xffff0000, and the page that returns from signal handlers.
//!
//! The helpers' interface is Documentation/arch/arm/kernel_user_helpers.rst. A translator inlines them at their
//! entry points; the code here is what a debugger shows and what runs without a translator. It is right for every
//! model, with one exception: before ARMv6K there are no exclusive accesses, and the compare and exchange helpers are
//! a plain load and store, atomic only where a translator inlines them (the kernel restarts them after an
//! interrupt, on machines of one processor). `__kuser_get_tls` there asks the kernel, since the TLS word of the
//! page, which old kernels rewrite at each switch, would be the same for all threads.

use crate::cpu::model::{Features, Model};
use crate::mem::PAGE_SIZE;

/// Entry points.
pub const KUSER_CMPXCHG64: u32 = 0xffff_0f60;
pub const KUSER_MEMORY_BARRIER: u32 = 0xffff_0fa0;
pub const KUSER_CMPXCHG: u32 = 0xffff_0fc0;
pub const KUSER_GET_TLS: u32 = 0xffff_0fe0;
/// Where the number of helpers is.
const VERSION: u32 = 0xffff_0ffc;
/// Five helpers, the version word's own among them.
const HELPERS: u32 = 5;

/// UDF #0, so that a stray jump into the page is SIGILL.
const UNDEFINED: u32 = 0xe7f0_00f0;
/// DMB ISH.
const DMB: u32 = 0xf57f_f05b;
/// MCR p15, 0, r0, c7, c10, 5: the barrier of ARMv6.
const CP15_DMB: u32 = 0xee07_0fba;
/// BX LR.
const BX_LR: u32 = 0xe12f_ff1e;

/// `[r2]` becomes r1 if it is r0: r0 = 0 and C set if so. Clobbers r3 and flags.
#[rustfmt::skip]
const CMPXCHG_PLAIN: [u32; 5] = [
    0xe592_3000, // ldr    r3, [r2]
    0xe053_3000, // subs   r3, r3, r0
    0x0582_1000, // streq  r1, [r2]
    0xe273_0000, // rsbs   r0, r3, #0
    BX_LR,
];

/// The same for the doublewords at r0 (old) and r1 (new).
#[rustfmt::skip]
const CMPXCHG64_PLAIN: [u32; 10] = [
    0xe92d_00f0, // push   {r4-r7}
    0xe890_0030, // ldm    r0, {r4, r5}
    0xe891_00c0, // ldm    r1, {r6, r7}
    0xe892_0003, // ldm    r2, {r0, r1}
    0xe030_3004, // eors   r3, r0, r4
    0x0031_3005, // eorseq r3, r1, r5
    0x0882_00c0, // stmeq  r2, {r6, r7}
    0xe273_0000, // rsbs   r0, r3, #0
    0xe8bd_00f0, // pop    {r4-r7}
    BX_LR,
];

/// The thread pointer in r0, by the get_tls system call.
#[rustfmt::skip]
const GET_TLS_CALL: [u32; 6] = [
    0xe52d_7004, // push   {r7}
    0xe59f_7008, // ldr    r7, [pc, #8]
    0xef00_0000, // svc    #0
    0xe49d_7004, // pop    {r7}
    BX_LR,
    0x000f_0006, // __ARM_NR_get_tls
];

#[rustfmt::skip]
const GET_TLS: [u32; 2] = [
    0xee1d_0f70, // mrc    p15, 0, r0, c13, c0, 3
    BX_LR,
];

#[rustfmt::skip]
const fn cmpxchg(barrier: u32) -> [u32; 8] {
    [
        barrier,
        0xe192_3f9f, // 1: ldrex   r3, [r2]
        0xe053_3000, // subs       r3, r3, r0
        0x0182_3f91, // strexeq    r3, r1, [r2]
        0x0333_0001, // teqeq      r3, #1
        0x0aff_fffa, // beq        1b
        0xe273_0000, // rsbs       r0, r3, #0
        0xeaff_ffef, // b          __kuser_memory_barrier
    ]
}

#[rustfmt::skip]
const fn cmpxchg64(barrier: u32) -> [u32; 14] {
    [
        0xe92d_00f0, // push       {r4-r7}
        0xe1c0_40d0, // ldrd       r4, r5, [r0]
        0xe1c1_60d0, // ldrd       r6, r7, [r1]
        barrier,
        0xe1b2_0f9f, // 1: ldrexd  r0, r1, [r2]
        0xe030_3004, // eors       r3, r0, r4
        0x0031_3005, // eorseq     r3, r1, r5
        0x01a2_3f96, // strexdeq   r3, r6, r7, [r2]
        0x0333_0001, // teqeq      r3, #1
        0x0aff_fff9, // beq        1b
        barrier,
        0xe273_0000, // rsbs       r0, r3, #0
        0xe8bd_00f0, // pop        {r4-r7}
        BX_LR,
    ]
}

/// The page at 0xffff0000 for a model.
pub fn vectors_page(model: &Model) -> Vec<u8> {
    let mut page = vec![0; PAGE_SIZE as usize];
    put(&mut page, 0, &[UNDEFINED; PAGE_SIZE as usize / 4]);
    if model.features.contains(Features::V6K) {
        let barrier = if model.features.contains(Features::V7) {
            DMB
        } else {
            CP15_DMB
        };
        put(&mut page, KUSER_CMPXCHG64, &cmpxchg64(barrier));
        put(&mut page, KUSER_MEMORY_BARRIER, &[barrier, BX_LR]);
        put(&mut page, KUSER_CMPXCHG, &cmpxchg(barrier));
        put(&mut page, KUSER_GET_TLS, &GET_TLS);
    } else {
        put(&mut page, KUSER_CMPXCHG64, &CMPXCHG64_PLAIN);
        put(&mut page, KUSER_MEMORY_BARRIER, &[BX_LR]);
        put(&mut page, KUSER_CMPXCHG, &CMPXCHG_PLAIN);
        put(&mut page, KUSER_GET_TLS, &GET_TLS_CALL);
    }
    put(&mut page, VERSION, &[HELPERS]);
    page
}

/// Offsets in the page of [`sigreturn_page`]: A32 and Thumb code that returns from a handler without SA_SIGINFO ...
pub const SIGRETURN_ARM: u32 = 0;
pub const SIGRETURN_THUMB: u32 = 8;
/// ... and from one with it.
pub const RT_SIGRETURN_ARM: u32 = 12;
pub const RT_SIGRETURN_THUMB: u32 = 20;

/// The page that handlers without SA_RESTORER return to (the kernel's `[sigpage]`).
pub fn sigreturn_page() -> Vec<u8> {
    #[rustfmt::skip]
    let code: [u32; 6] = [
        0xe3a0_7077, // mov  r7, #119 (sigreturn)
        0xef00_0000, // svc  #0
        0xdf00_2777, // movs r7, #119; svc #0
        0xe3a0_70ad, // mov  r7, #173 (rt_sigreturn)
        0xef00_0000, // svc  #0
        0xdf00_27ad, // movs r7, #173; svc #0
    ];
    let mut page = vec![0; PAGE_SIZE as usize];
    put(&mut page, 0, &[UNDEFINED; PAGE_SIZE as usize / 4]);
    put(&mut page, 0, &code);
    page
}

/// Writes words at the place of an address in its page.
fn put(page: &mut [u8], address: u32, words: &[u32]) {
    let start = (address % PAGE_SIZE) as usize;
    for (bytes, word) in page[start..].chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}
