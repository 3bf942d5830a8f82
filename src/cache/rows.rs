//! Side-table rows in some three bytes each: they are written for every guest instruction and read only at faults.
//!
//! A row is a head byte (flags in EFLAGS in bits 7-4, float, inverted, glue, boundary in bits 3-0), the distance from
//! the previous row in host bytes, and the distance in guest addresses (T bit in bit 0), zigzag, doubled, with bit 0
//! set when an ITSTATE byte follows. Numbers are little-endian base 128.

use crate::x64::code::{FlagsAt, Row};

fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// Appends `rows`, sorted by host offset, of a block that starts at guest address `start`.
pub fn pack(out: &mut Vec<u8>, rows: &[Row], start: u32) {
    let (mut host, mut guest) = (0, i64::from(start));
    out.reserve(4 * rows.len());
    for row in rows {
        let head = row.flags.eflags << 4
            | u8::from(row.flags.float) << 3
            | u8::from(row.flags.inverted) << 2
            | u8::from(row.glue) << 1
            | u8::from(row.boundary);
        let there = u64::from(row.host - host);
        host = row.host;
        let here = i64::from(row.pc | u32::from(row.thumb));
        let step = here - guest;
        guest = here;
        let zigzag = (step << 1 ^ step >> 63) as u64;
        let place = zigzag << 1 | u64::from(row.it != 0);
        if (there | place) < 0x80 {
            // Nearly always.
            out.extend_from_slice(&[head, there as u8, place as u8]);
        } else {
            out.push(head);
            put(out, there);
            put(out, place);
        }
        if row.it != 0 {
            out.push(row.it);
        }
    }
}

/// The rows that [`pack`] wrote.
pub struct Rows<'a> {
    bytes: &'a [u8],
    at: usize,
    host: u32,
    guest: i64,
}

/// Reads the rows of a block that starts at guest address `start`.
pub fn unpack(bytes: &[u8], start: u32) -> Rows<'_> {
    Rows {
        bytes,
        at: 0,
        host: 0,
        guest: i64::from(start),
    }
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let head = *self.bytes.get(self.at)?;
        self.at += 1;
        self.host += take(self.bytes, &mut self.at)? as u32;
        let guest = take(self.bytes, &mut self.at)?;
        let zigzag = guest >> 1;
        self.guest += (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        let mut it = 0;
        if guest & 1 == 1 {
            it = *self.bytes.get(self.at)?;
            self.at += 1;
        }
        Some(Row {
            host: self.host,
            pc: self.guest as u32 & !1,
            thumb: self.guest & 1 == 1,
            it,
            boundary: head & 1 != 0,
            glue: head & 2 != 0,
            flags: FlagsAt {
                eflags: head >> 4,
                inverted: head & 4 != 0,
                float: head & 8 != 0,
            },
        })
    }
}

/// The last row at or before `offset`.
pub fn row_at(bytes: &[u8], start: u32, offset: u32) -> Option<Row> {
    unpack(bytes, start).take_while(|r| r.host <= offset).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(host: u32, pc: u32, it: u8, boundary: bool) -> Row {
        Row {
            host,
            pc,
            thumb: true,
            it,
            boundary,
            glue: !boundary,
            flags: FlagsAt {
                eflags: (host & 15) as u8,
                inverted: boundary,
                float: !boundary,
            },
        }
    }

    #[test]
    fn rows_come_back() {
        let rows = [
            row(0, 0xffff_0ffc, 0, true),
            row(7, 0xffff_0ffc, 0, false),
            row(300, 0xffff_0ffe, 0x15, true),
            row(301, 4, 0, true),
            row(70_000, 0xffff_fffe, 1, false),
        ];
        let mut bytes = vec![0xaa];
        pack(&mut bytes, &rows, 0xffff_0ffc);
        let back: Vec<Row> = unpack(&bytes[1..], 0xffff_0ffc).collect();
        assert_eq!(format!("{back:?}"), format!("{rows:?}"));
        for (offset, expected) in [(0, 0), (6, 0), (7, 7), (299, 7), (300, 300), (1 << 30, 70_000)] {
            assert_eq!(row_at(&bytes[1..], 0xffff_0ffc, offset).unwrap().host, expected);
        }
    }

    #[test]
    fn consecutive_instructions_take_three_bytes_a_row() {
        let rows: Vec<Row> = (0..10).map(|i| row(9 * i, 0x8000 + 2 * i, 0, true)).collect();
        let mut bytes = Vec::new();
        pack(&mut bytes, &rows, 0x8001);
        assert_eq!(bytes.len(), 30);
    }
}
