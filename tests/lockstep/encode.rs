//! Encodings of what depends on the distance to a target: branches, ADR, literals.

/// Kinds of branches, with what else they encode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Branch {
    /// A32 B; T32 B in 16 bits (or 32, `wide`). Condition 14 is always.
    B {
        cond: u8,
        wide: bool,
    },
    Bl {
        cond: u8,
    },
    /// BL that changes the state.
    Blx,
    /// T32 CBZ, CBNZ: forwards only.
    Cbz {
        nonzero: bool,
        rn: u8,
    },
}

/// Fills in the branch at `from` to `to`; `None` if it does not reach that far.
pub fn branch(branch: Branch, thumb: bool, place: &mut [u16], from: u32, to: u32) -> Option<()> {
    let delta = if thumb {
        to as i32 - from as i32 - 4
    } else {
        to as i32 - from as i32 - 8
    };
    if !thumb {
        let word = match branch {
            Branch::B { cond, .. } => u32::from(cond) << 28 | 0x0a00_0000 | (delta >> 2) as u32 & 0xff_ffff,
            Branch::Bl { cond } => u32::from(cond) << 28 | 0x0b00_0000 | (delta >> 2) as u32 & 0xff_ffff,
            Branch::Blx => 0xfa00_0000 | (delta as u32 & 2) << 23 | (delta >> 2) as u32 & 0xff_ffff,
            Branch::Cbz { .. } => return None,
        };
        place.copy_from_slice(&[word as u16, (word >> 16) as u16]);
        return Some(());
    }
    let halves: Vec<u16> = match branch {
        Branch::B {
            cond: 14,
            wide: false,
        } => {
            within(delta, 12)?;
            vec![0xe000 | (delta >> 1) as u16 & 0x7ff]
        }
        Branch::B { cond, wide: false } => {
            within(delta, 9)?;
            vec![0xd000 | u16::from(cond) << 8 | (delta >> 1) as u16 & 0xff]
        }
        Branch::B { cond: 14, wide: true } => far(delta, 0x9000),
        Branch::B { cond, wide: true } => {
            within(delta, 21)?;
            let (s, j2, j1) = (
                (delta >> 31) as u16 & 1,
                (delta >> 19) as u16 & 1,
                (delta >> 18) as u16 & 1,
            );
            let first = 0xf000 | s << 10 | u16::from(cond) << 6 | (delta >> 12) as u16 & 0x3f;
            vec![first, 0x8000 | j1 << 13 | j2 << 11 | (delta >> 1) as u16 & 0x7ff]
        }
        Branch::Bl { .. } => far(delta, 0xd000),
        // From Align(pc, 4).
        Branch::Blx => far(to as i32 - ((from as i32 + 4) & !3), 0xc000),
        Branch::Cbz { nonzero, rn } => {
            if !(0..=126).contains(&delta) {
                return None;
            }
            let (i, imm) = (delta as u16 >> 6 & 1, delta as u16 >> 1 & 31);
            vec![0xb100 | u16::from(nonzero) << 11 | i << 9 | imm << 3 | u16::from(rn)]
        }
    };
    place.copy_from_slice(&halves);
    Some(())
}

/// Whether `delta` has a signed field of `bits` bits.
fn within(delta: i32, bits: u32) -> Option<()> {
    (-(1 << (bits - 1))..1 << (bits - 1))
        .contains(&delta)
        .then_some(())
}

/// The 25-bit branches: S:I1:I2:imm10:imm11:0, J = NOT(I EOR S).
fn far(delta: i32, opcode: u16) -> Vec<u16> {
    let s = (delta >> 31) as u16 & 1;
    let j = |bit: u32| (delta >> bit) as u16 & 1 ^ s ^ 1;
    vec![
        0xf000 | s << 10 | (delta >> 12) as u16 & 0x3ff,
        opcode | j(23) << 13 | j(22) << 11 | (delta >> 1) as u16 & 0x7ff,
    ]
}

/// Halfwords of a branch.
pub fn halfwords(branch: Branch, thumb: bool) -> usize {
    match branch {
        Branch::B { wide: false, .. } | Branch::Cbz { .. } if thumb => 1,
        _ => 2,
    }
}

fn put(place: &mut [u16], thumb: bool, word: u32) {
    let (low, high) = (word as u16, (word >> 16) as u16);
    place.copy_from_slice(&if thumb { [high, low] } else { [low, high] });
}

/// `rd` = address of `to` (ADR; T bit left clear).
pub fn address(rd: u8, thumb: bool, place: &mut [u16], from: u32, to: u32) -> Option<()> {
    let rd = u32::from(rd);
    let pc = if thumb { (from + 4) & !3 } else { from + 8 };
    let (back, distance) = (to < pc, to.abs_diff(pc));
    let word = if thumb {
        let high = if back { 0xf2af } else { 0xf20f };
        high << 16 | (distance >> 8 & 7) << 12 | rd << 8 | distance & 0xff
    } else {
        // An 8-bit constant, or one of words; no distance within a sequence is larger.
        let imm = match distance {
            0..=255 => distance,
            _ if distance % 4 == 0 && distance < 1024 => 0xf00 | distance >> 2,
            _ => return None,
        };
        (if back { 0xe24f_0000 } else { 0xe28f_0000 }) | rd << 12 | imm
    };
    put(place, thumb, word);
    Some(())
}

/// LDR rt, [pc, distance to the word at `to`], in 16 bits if `place` has no more.
pub fn literal(rt: u8, thumb: bool, place: &mut [u16], from: u32, to: u32) -> Option<()> {
    if let [half] = place {
        let distance = to.checked_sub((from + 4) & !3).filter(|d| *d < 1024)?;
        *half = 0x4800 | u16::from(rt) << 8 | (distance / 4) as u16;
        return Some(());
    }
    let rt = u32::from(rt);
    let pc = if thumb { (from + 4) & !3 } else { from + 8 };
    let (up, distance) = (u32::from(to >= pc), to.abs_diff(pc));
    let word = match thumb {
        true => 0xf85f_0000 | up << 23 | rt << 12 | distance,
        false => 0xe51f_0000 | up << 23 | rt << 12 | distance,
    };
    put(place, thumb, word);
    Some(())
}

/// ORR rd, rd, #1 where the target is T32 code; else a NOP.
pub fn set_state(rd: u8, thumb: bool, to_thumb: bool, place: &mut [u16]) {
    let rd = u32::from(rd);
    let word = match (thumb, to_thumb) {
        (true, true) => 0xf040_0001 | rd << 16 | rd << 8,
        (true, false) => 0xf3af_8000,
        (false, true) => 0xe380_0001 | rd << 16 | rd << 12,
        // MOV r0, r0: ARMv5 has no NOP.
        (false, false) => 0xe1a0_0000,
    };
    put(place, thumb, word);
}
