//! Classic BPF as seccomp admits it (net/core/filter.c bpf_check_classic, kernel/seccomp.c seccomp_check_filter):
//! programs over `struct seccomp_data`, checked once, then run for each call.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable)]
pub struct Insn {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// BPF_MAXINSNS.
pub const MAX_INSNS: usize = 4096;
/// Words of scratch memory.
const MEM_WORDS: usize = 16;
/// Size of `struct seccomp_data` in bytes.
pub const DATA_SIZE: u32 = 64;

/// `struct seccomp_data` as words: number, architecture, instruction pointer, six arguments of 64 bits each.
pub type Data = [u32; DATA_SIZE as usize / 4];

// include/uapi/linux/bpf_common.h: classes, sizes, modes, operations, sources.
const LD: u16 = 0;
const LDX: u16 = 1;
const ST: u16 = 2;
const STX: u16 = 3;
const ALU: u16 = 4;
const JMP: u16 = 5;
const RET: u16 = 6;
const MISC: u16 = 7;
const IMM: u16 = 0;
const ABS: u16 = 0x20;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
const X: u16 = 8;
const RET_A: u16 = 0x10;
const TXA: u16 = 0x80;
const ADD: u16 = 0;
const SUB: u16 = 0x10;
const MUL: u16 = 0x20;
const DIV: u16 = 0x30;
const OR: u16 = 0x40;
const AND: u16 = 0x50;
const LSH: u16 = 0x60;
const RSH: u16 = 0x70;
const NEG: u16 = 0x80;
const XOR: u16 = 0xa0;
const JA: u16 = 0;
const JEQ: u16 = 0x10;
const JGT: u16 = 0x20;
const JGE: u16 = 0x30;
const JSET: u16 = 0x40;

/// A program that has passed the check.
#[derive(PartialEq, Eq, Debug)]
pub struct Program(Vec<Insn>);

impl Program {
    /// Checks `insns` as the kernel does; `None` is EINVAL.
    pub fn new(insns: Vec<Insn>) -> Option<Program> {
        let len = insns.len();
        if len == 0 || len > MAX_INSNS {
            return None;
        }
        let well_formed = insns.iter().enumerate().all(|(at, i)| is_valid(i, at, len));
        let returns = insns.last().is_some_and(|i| i.code & 7 == RET);
        (well_formed && returns && memory_is_written_first(&insns)).then_some(Program(insns))
    }

    pub fn insns(&self) -> &[Insn] {
        &self.0
    }

    /// The program's verdict on `data`. Jumps only go forward, so it ends; every path ends in a return.
    pub fn run(&self, data: &Data) -> u32 {
        let (mut a, mut x) = (0u32, 0u32);
        let mut mem = [0u32; MEM_WORDS];
        let mut at = 0;
        while let Some(i) = self.0.get(at) {
            at += 1;
            let operand = if i.code & X != 0 { x } else { i.k };
            match i.code & 7 {
                LD | LDX => {
                    let value = match i.code & 0xe0 {
                        IMM => i.k,
                        ABS => data[i.k as usize / 4],
                        MEM => mem[i.k as usize],
                        _ => DATA_SIZE,
                    };
                    if i.code & 7 == LD { a = value } else { x = value }
                }
                ST => mem[i.k as usize] = a,
                STX => mem[i.k as usize] = x,
                ALU => {
                    a = match i.code & 0xf0 {
                        ADD => a.wrapping_add(operand),
                        SUB => a.wrapping_sub(operand),
                        MUL => a.wrapping_mul(operand),
                        // Division by zero ends the program with 0.
                        DIV if operand == 0 => return 0,
                        DIV => a / operand,
                        OR => a | operand,
                        AND => a & operand,
                        XOR => a ^ operand,
                        // The kernel's machine takes shift amounts modulo 32.
                        LSH => a.wrapping_shl(operand),
                        RSH => a.wrapping_shr(operand),
                        _ => a.wrapping_neg(),
                    }
                }
                JMP => {
                    let taken = match i.code & 0xf0 {
                        JEQ => a == operand,
                        JGT => a > operand,
                        JGE => a >= operand,
                        JSET => a & operand != 0,
                        _ => {
                            at += i.k as usize;
                            continue;
                        }
                    };
                    at += usize::from(if taken { i.jt } else { i.jf });
                }
                RET => return if i.code & RET_A != 0 { a } else { i.k },
                _ => {
                    if i.code & TXA != 0 {
                        a = x
                    } else {
                        x = a
                    }
                }
            }
        }
        0
    }
}

/// Whether `i`, at `at` of `len`, is one of the instructions that seccomp admits.
fn is_valid(i: &Insn, at: usize, len: usize) -> bool {
    // Instructions behind this one.
    let ahead = (len - at - 1) as u64;
    match i.code {
        c if c == LD | ABS => i.k < DATA_SIZE && i.k.is_multiple_of(4),
        c if c == LD | LEN || c == LDX | LEN || c == LD | IMM || c == LDX | IMM => true,
        c if c == LD | MEM || c == LDX | MEM || c == ST || c == STX => (i.k as usize) < MEM_WORDS,
        c if c & 7 == ALU => match c & !(X | 7) {
            DIV => c & X != 0 || i.k != 0,
            LSH | RSH => c & X != 0 || i.k < 32,
            ADD | SUB | MUL | OR | AND | XOR => true,
            NEG => c & X == 0,
            _ => false,
        },
        c if c == JMP | JA => u64::from(i.k) < ahead,
        c if c & 7 == JMP => {
            matches!(c & !(X | 7), JEQ | JGT | JGE | JSET)
                && u64::from(i.jt) < ahead
                && u64::from(i.jf) < ahead
        }
        c => c == RET || c == RET | RET_A || c == MISC || c == MISC | TXA,
    }
}

/// check_load_and_stores: no word of scratch memory is read on a path on which it was not written.
fn memory_is_written_first(insns: &[Insn]) -> bool {
    // Words that are written on every path to the instruction.
    let mut written = vec![u16::MAX; insns.len()];
    let mut now = 0u16;
    for (at, i) in insns.iter().enumerate() {
        now &= written[at];
        match i.code & 7 {
            ST | STX => now |= 1 << i.k,
            LD | LDX if i.code & 0xe0 == MEM && now >> i.k & 1 == 0 => return false,
            JMP => {
                if i.code & 0xf0 == JA {
                    written[at + 1 + i.k as usize] &= now;
                } else {
                    written[at + 1 + usize::from(i.jt)] &= now;
                    written[at + 1 + usize::from(i.jf)] &= now;
                }
                now = u16::MAX;
            }
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn i(code: u16, k: u32) -> Insn {
        Insn {
            code,
            jt: 0,
            jf: 0,
            k,
        }
    }

    fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Insn {
        Insn { code, jt, jf, k }
    }

    #[test]
    fn arithmetic_memory_and_jumps() {
        // A = data[0] * 3; M[1] = A; X = M[1]; if A > 10 return X else return len.
        let program = Program::new(vec![
            i(LD | ABS, 0),
            i(ALU | MUL, 3),
            i(ST, 1),
            i(LDX | MEM, 1),
            jump(JMP | JGT, 10, 0, 2),
            i(MISC | TXA, 0),
            i(RET | RET_A, 0),
            i(LD | LEN, 0),
            i(RET | RET_A, 0),
        ])
        .expect("a valid program");
        let mut data = [0; 16];
        data[0] = 4;
        assert_eq!(program.run(&data), 12);
        data[0] = 3;
        assert_eq!(program.run(&data), DATA_SIZE);
    }

    #[test]
    fn what_the_kernel_refuses() {
        let ret = i(RET, 0);
        for bad in [
            vec![],
            vec![i(LD | ABS, 0)],
            vec![i(LD | ABS, 2), ret],
            vec![i(LD | ABS, 64), ret],
            vec![i(LD | MEM, 3), ret],
            vec![i(ST, 16), ret],
            vec![i(ALU | DIV, 0), ret],
            vec![i(ALU | LSH, 32), ret],
            // Modulo is not seccomp's.
            vec![i(ALU | 0x90, 3), ret],
            // Byte loads and indirect loads neither.
            vec![i(LD | ABS | 0x10, 0), ret],
            vec![i(LD | 0x40, 0), ret],
            vec![jump(JMP | JEQ, 0, 1, 0), ret],
            vec![i(JMP | JA, 1), ret],
            // Written on one path only.
            vec![jump(JMP | JEQ, 0, 0, 1), i(ST, 0), i(LD | MEM, 0), ret],
            vec![ret; MAX_INSNS + 1],
        ] {
            assert_eq!(Program::new(bad.clone()), None, "{bad:?}");
        }
    }

    #[test]
    fn division_by_a_zero_x_kills() {
        let program = Program::new(vec![i(LD | IMM, 7), i(ALU | DIV | X, 0), i(RET, 0x7fff_0000)]);
        assert_eq!(program.expect("valid").run(&[0; 16]), 0);
    }
}
