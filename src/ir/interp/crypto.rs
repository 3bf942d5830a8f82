//! The cryptographic operations: AES (FIPS 197), SHA-1 and SHA-256 (FIPS 180-4), cut into steps as the Arm ARM's
//! instructions of the same names are.

use crate::ir::vector::VecOp;

/// The value of a cryptographic `op`, operands as its comment says.
pub(super) fn crypto(op: VecOp, [a, b, c]: [u128; 3]) -> Option<u128> {
    let mut words = Words::of(a);
    Some(match op {
        VecOp::AesE => bytes(shift_rows(a ^ b, 1), |s| SBOX[usize::from(s)]),
        VecOp::AesD => bytes(shift_rows(a ^ b, 3), |s| INVERSE_SBOX[usize::from(s)]),
        VecOp::AesMc => mix_columns(a, [2, 3, 1, 1]),
        VecOp::AesImc => mix_columns(a, [14, 11, 13, 9]),
        VecOp::Sha1C => sha1_rounds(words, b as u32, c, |x, y, z| (x & y) ^ (!x & z)),
        VecOp::Sha1P => sha1_rounds(words, b as u32, c, |x, y, z| x ^ y ^ z),
        VecOp::Sha1M => sha1_rounds(words, b as u32, c, majority),
        VecOp::Sha1H => (a as u32).rotate_left(30).into(),
        VecOp::Sha1Su0 => (b << 64 | a >> 64) ^ a ^ c,
        VecOp::Sha1Su1 => {
            words = Words::of(a ^ b >> 32);
            let first = words.0[0].rotate_left(2);
            words.0 = words.0.map(|w| w.rotate_left(1));
            words.0[3] ^= first;
            words.bits()
        }
        VecOp::Sha256H => sha256_rounds(words, Words::of(b), c).0.bits(),
        VecOp::Sha256H2 => sha256_rounds(Words::of(b), words, c).1.bits(),
        VecOp::Sha256Su0 => {
            let next = Words::of(b << 96 | a >> 32);
            Words::from(|i| words.0[i].wrapping_add(sigma(next.0[i], 7, 18, 3))).bits()
        }
        VecOp::Sha256Su1 => {
            let (before, last) = (Words::of(c << 96 | b >> 32), Words::of(c));
            let mut out = [last.0[2], last.0[3], 0, 0];
            for i in 0..4 {
                // The upper two words continue from the lower two.
                let w = if i < 2 { out[i] } else { out[i - 2] };
                out[i] = sigma(w, 17, 19, 10)
                    .wrapping_add(words.0[i])
                    .wrapping_add(before.0[i]);
            }
            Words(out).bits()
        }
        _ => return None,
    })
}

/// Four 32-bit lanes.
#[derive(Clone, Copy)]
struct Words([u32; 4]);

impl Words {
    fn of(v: u128) -> Words {
        Words::from(|i| (v >> (32 * i)) as u32)
    }

    fn from(f: impl FnMut(usize) -> u32) -> Words {
        Words(std::array::from_fn(f))
    }

    fn bits(self) -> u128 {
        self.0.into_iter().rev().fold(0, |v, w| v << 32 | u128::from(w))
    }

    /// Moves every word one place up, `low` in at the bottom; what falls out at the top.
    fn push(&mut self, low: u32) -> u32 {
        let out = self.0[3];
        self.0 = [low, self.0[0], self.0[1], self.0[2]];
        out
    }
}

/// Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, 4.2).
const fn multiply(mut x: u8, mut y: u8) -> u8 {
    let mut product = 0;
    while y != 0 {
        if y & 1 != 0 {
            product ^= x;
        }
        x = x << 1 ^ if x & 0x80 != 0 { 0x1b } else { 0 };
        y >>= 1;
    }
    product
}

/// SubBytes (FIPS 197, 5.1.1): the inverse, then an affine map.
const SBOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        // x^254 is the inverse of x, and 0 of 0.
        let (mut inverse, mut n) = (1, 0);
        while n < 254 {
            inverse = multiply(inverse, x as u8);
            n += 1;
        }
        table[x] = inverse
            ^ inverse.rotate_left(1)
            ^ inverse.rotate_left(2)
            ^ inverse.rotate_left(3)
            ^ inverse.rotate_left(4)
            ^ 0x63;
        x += 1;
    }
    table
};

const INVERSE_SBOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        table[SBOX[x] as usize] = x as u8;
        x += 1;
    }
    table
};

fn bytes(v: u128, f: impl Fn(u8) -> u8) -> u128 {
    u128::from_le_bytes(v.to_le_bytes().map(f))
}

/// Row r of the state rotated left by `step * r` columns: ShiftRows for 1, its inverse for 3. Byte 4c + r of the vector
/// is row r, column c.
fn shift_rows(v: u128, step: usize) -> u128 {
    let state = v.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|i| {
        let (row, column) = (i % 4, i / 4);
        state[(column + step * row) % 4 * 4 + row]
    }))
}

/// MixColumns with the first row of its matrix; each further row is the one above rotated right.
fn mix_columns(v: u128, row: [u8; 4]) -> u128 {
    let state = v.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|i| {
        let (r, column) = (i % 4, &state[i / 4 * 4..][..4]);
        (0..4).fold(0, |sum, k| sum ^ multiply(column[k], row[(k + 4 - r) % 4]))
    }))
}

fn majority(x: u32, y: u32, z: u32) -> u32 {
    (x & y) ^ (x & z) ^ (y & z)
}

/// Four rounds on a, b, c, d (`x`) and e (`y`) with the round's function `f`; the new a to d.
fn sha1_rounds(mut x: Words, mut y: u32, schedule: u128, f: fn(u32, u32, u32) -> u32) -> u128 {
    for w in Words::of(schedule).0 {
        let [a, b, c, d] = x.0;
        let sum = y
            .wrapping_add(a.rotate_left(5))
            .wrapping_add(f(b, c, d))
            .wrapping_add(w);
        x.0[1] = b.rotate_left(30);
        y = x.push(sum);
    }
    x.bits()
}

/// SHA256hash: four rounds on a to d (`x`) and e to h (`y`).
fn sha256_rounds(mut x: Words, mut y: Words, schedule: u128) -> (Words, Words) {
    let rotations = |w: u32, r: [u32; 3]| w.rotate_right(r[0]) ^ w.rotate_right(r[1]) ^ w.rotate_right(r[2]);
    for w in Words::of(schedule).0 {
        let [a, b, c, _] = x.0;
        let [e, f, g, h] = y.0;
        let t = h
            .wrapping_add(rotations(e, [6, 11, 25]))
            .wrapping_add((e & f) ^ (!e & g))
            .wrapping_add(w);
        let new_a = t
            .wrapping_add(rotations(a, [2, 13, 22]))
            .wrapping_add(majority(a, b, c));
        let d = x.push(new_a);
        y.push(d.wrapping_add(t));
    }
    (x, y)
}

/// The message schedule's small sigma: two rotations and a shift.
fn sigma(w: u32, first: u32, second: u32, shift: u32) -> u32 {
    w.rotate_right(first) ^ w.rotate_right(second) ^ w >> shift
}
