//! Frames against the offsets that an ARM C program prints for ucontext_t and mcontext_t.

use super::*;

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn context() -> Context {
    Context {
        regs: Registers {
            r: std::array::from_fn(|i| 0x100 + 4 * i as u32),
            cpsr: 0x6000_0010,
        },
        vfp: Some(Vfp {
            d: std::array::from_fn(|i| 0x1_0000_0001 * (i as u64 + 1)),
            fpscr: 0x0300_0000,
        }),
        mask: SigSet(0x8000_0001_0000_0200),
        fault: FaultRecord {
            trap_no: 14,
            error_code: 0x817,
            address: 0xdead_0000,
        },
        altstack: AltStack {
            sp: 0x4000,
            flags: 0,
            size: 0x8000,
        },
    }
}

/// sizeof(ucontext_t) is 744; offsetof uc_stack 8, uc_mcontext 20, uc_sigmask 104, uc_regspace 232; in mcontext_t
/// trap_no 0, oldmask 8, arm_r0 12, arm_pc 72, arm_cpsr 76, fault_address 80 (gcc 12, glibc 2.36, both float ABIs).
fn ucontext(context: &Context) -> [u8; UCONTEXT_SIZE] {
    let mut uc = [0; UCONTEXT_SIZE];
    context.encode(true, &mut uc);
    uc
}

#[test]
fn fields_are_where_arm_c_programs_look() {
    let uc = ucontext(&context());
    assert_eq!(uc.len(), 744);
    assert_eq!([word(&uc, 0), word(&uc, 4)], [0, 0]);
    assert_eq!([word(&uc, 8), word(&uc, 12), word(&uc, 16)], [0x4000, 0, 0x8000]);
    assert_eq!([word(&uc, 20), word(&uc, 24), word(&uc, 28)], [14, 0x817, 0x200]);
    assert_eq!([word(&uc, 32), word(&uc, 92)], [0x100, 0x13c]);
    assert_eq!([word(&uc, 96), word(&uc, 100)], [0x6000_0010, 0xdead_0000]);
    assert_eq!([word(&uc, 104), word(&uc, 108)], [0x200, 0x8000_0001]);
    // Linux's struct vfp_sigframe.
    assert_eq!([word(&uc, 232), word(&uc, 236)], [0x5646_5001, 288]);
    assert_eq!([word(&uc, 240), word(&uc, 244)], [1, 1]);
    assert_eq!(word(&uc, 240 + 256), 0x0300_0000);
    assert_eq!(word(&uc, 240 + 264), 1 << 30);
    assert_eq!(word(&uc, 232 + 288), 0);
}

#[test]
fn whole_frames_have_the_kernels_sizes() {
    let info = GuestSigInfo::fault(libc::SIGSEGV, 1, 0x1234);
    let rt = Frame::new(&context(), Some(&info), [1, 2]).bytes().to_vec();
    assert_eq!(rt.len(), 128 + 744 + 16);
    assert_eq!([word(&rt, 0), word(&rt, 8), word(&rt, 12)], [11, 1, 0x1234]);
    assert_eq!([word(&rt, 872), word(&rt, 876)], [1, 2]);
    let old = Frame::new(&context(), None, [0, 0]).bytes().to_vec();
    assert_eq!(old.len(), 744 + 16);
    assert_eq!(word(&old, 0), 0x5ac3_c35a);
}

#[test]
fn a_context_comes_back() {
    let context = context();
    let back = Context::decode(&ucontext(&context), true);
    let expected = Context {
        fault: FaultRecord::default(),
        ..context
    };
    // 0x13c is a multiple of 4 already; SIGKILL and SIGSTOP are not in the mask.
    assert_eq!(back, Ok(expected));
}

#[test]
fn bad_frames_are_refused() {
    let good = ucontext(&context());
    let change = |at: usize, value: u32| {
        let mut uc = good;
        uc[at..at + 4].copy_from_slice(&value.to_le_bytes());
        Context::decode(&uc, true)
    };
    // Supervisor mode, interrupts off, VFP block without its magic number or with another size.
    assert_eq!(change(96, 0x13), Err(BadFrame));
    assert_eq!(change(96, 0x90), Err(BadFrame));
    assert_eq!(change(232, 0), Err(BadFrame));
    assert_eq!(change(236, 152), Err(BadFrame));
    // A pc with low bits set returns to the word, or in Thumb state to the halfword.
    assert_eq!(change(92, 0x8003).map(|c| c.regs.r[15]), Ok(0x8000));
}

#[test]
fn handlers_start_with_clean_flags() {
    // N, Z, C, V, Q and IT go, GE stays; T is bit 0 of the handler.
    assert_eq!(handler_cpsr(0xfe0f_fc30, 0x8000), 0x000f_0010);
    assert_eq!(handler_cpsr(0x0000_0010, 0x8001), 0x0000_0030);
}

/// The loader's page has the same words in the same order, which is that of arch/arm64/kernel/sigreturn32.S.
#[test]
fn trampolines_are_the_loaders() {
    let page = crate::load::sigreturn_page();
    for (i, code) in SIGRETURN_CODES[..6].iter().enumerate() {
        assert_eq!(word(&page, 4 * i), *code);
    }
    let offset = |thumb, rt| 4 * sigreturn_index(thumb, rt) as u32;
    assert_eq!(offset(false, false), crate::load::SIGRETURN_ARM);
    assert_eq!(offset(true, false), crate::load::SIGRETURN_THUMB);
    assert_eq!(offset(false, true), crate::load::RT_SIGRETURN_ARM);
    assert_eq!(offset(true, true), crate::load::RT_SIGRETURN_THUMB);
}
