//! The alternate signal stack: sigaltstack's rules (kernel/signal.c, include/linux/sched/signal.h).

use crate::linux::errno::Errno;
use crate::linux::task::AltStack;

pub const SS_ONSTACK: u32 = 1;
/// No alternate stack.
pub const SS_DISABLE: u32 = 2;
/// The stack is disarmed while a handler runs on it.
pub const SS_AUTODISARM: u32 = 1 << 31;
/// ARM's MINSIGSTKSZ; also AT_MINSIGSTKSZ's lower bound.
pub const MINSIGSTKSZ: u32 = 2048;

impl AltStack {
    /// Whether stack pointer `sp` is on this stack; never while autodisarm is set.
    pub fn holds(&self, sp: u32) -> bool {
        self.flags & SS_AUTODISARM == 0 && sp > self.sp && sp - self.sp <= self.size
    }

    /// `sas_ss_flags`: SS_DISABLE, SS_ONSTACK or 0.
    pub fn state(&self, sp: u32) -> u32 {
        if self.size == 0 {
            SS_DISABLE
        } else if self.holds(sp) {
            SS_ONSTACK
        } else {
            0
        }
    }

    /// Where a handler's frame goes: the top of this stack if it is armed and not in use, else `sp`.
    pub fn frame_top(&self, sp: u32, on_stack: bool) -> u32 {
        if on_stack && self.state(sp) == 0 {
            self.sp.wrapping_add(self.size)
        } else {
            sp
        }
    }

    /// sigaltstack's setting part. `sp` is the current stack pointer.
    pub fn set(&mut self, new: AltStack, sp: u32) -> Result<(), Errno> {
        if self.holds(sp) {
            return Err(Errno::EPERM);
        }
        let mode = new.flags & !SS_AUTODISARM;
        if mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0 {
            return Err(Errno::EINVAL);
        }
        *self = if mode == SS_DISABLE {
            AltStack {
                sp: 0,
                size: 0,
                flags: new.flags,
            }
        } else if new.size < MINSIGSTKSZ {
            return Err(Errno::ENOMEM);
        } else {
            new
        };
        Ok(())
    }

    /// A `stack_t` in guest memory.
    pub fn to_bytes(self) -> [u8; 12] {
        let mut out = [0; 12];
        for (i, word) in [self.sp, self.flags, self.size].into_iter().enumerate() {
            out[4 * i..4 * i + 4].copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    pub fn from_bytes(bytes: &[u8; 12]) -> AltStack {
        let word = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        AltStack {
            sp: word(0),
            flags: word(4),
            size: word(8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: AltStack = AltStack {
        sp: 0x1000,
        flags: 0,
        size: 0x2000,
    };

    #[test]
    fn edges_are_the_kernels() {
        // on_sig_stack: sp > ss_sp and sp - ss_sp <= ss_size.
        assert!(!STACK.holds(0x1000) && STACK.holds(0x1001) && STACK.holds(0x3000) && !STACK.holds(0x3001));
        assert_eq!(STACK.frame_top(0x8000, true), 0x3000);
        assert_eq!(STACK.frame_top(0x2000, true), 0x2000);
        assert_eq!(STACK.frame_top(0x8000, false), 0x8000);
        assert_eq!(AltStack::default().state(0), SS_DISABLE);
    }

    #[test]
    fn set_follows_the_man_page() {
        let mut stack = STACK;
        assert_eq!(stack.set(STACK, 0x2000), Err(Errno::EPERM));
        assert_eq!(stack.set(AltStack { flags: 4, ..STACK }, 0), Err(Errno::EINVAL));
        assert_eq!(stack.set(AltStack { size: 2047, ..STACK }, 0), Err(Errno::ENOMEM));
        assert_eq!(
            stack.set(
                AltStack {
                    flags: SS_AUTODISARM,
                    ..STACK
                },
                0
            ),
            Ok(())
        );
        assert_eq!(stack.state(0x2000), 0);
        assert_eq!(
            stack.set(
                AltStack {
                    flags: SS_DISABLE,
                    ..STACK
                },
                0x2000
            ),
            Ok(())
        );
        assert_eq!((stack.sp, stack.size, stack.state(0x2000)), (0, 0, SS_DISABLE));
    }
}
