//! Random encodings for tests: words that a chosen table row decodes.

use super::pattern::Row;

/// A small deterministic generator (SplitMix64).
pub struct Rng(pub u64);

impl Rng {
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A number below `n` (which is not 0).
    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(n)) >> 32) as u32
    }
}

/// A random word that fits `row`'s pattern. A row of higher priority may still take it.
pub fn encoding(row: &Row, rng: &mut Rng) -> u32 {
    let width = if row.is_narrow() { 0xffff } else { u32::MAX };
    let word = row.value | rng.next_u32() & !row.mask & width;
    if row.conditional {
        word & 0x0fff_ffff | rng.below(15) << 28
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::model::Features;
    use crate::isa::pattern::Row;
    use crate::isa::{a32, t32};

    /// Rows of one lookup that can both match a word have different priorities.
    fn overlaps(rows: &[Row]) -> Vec<String> {
        let mut found = Vec::new();
        for (i, a) in rows.iter().enumerate() {
            for b in &rows[i + 1..] {
                let meet = (a.value ^ b.value) & a.mask & b.mask == 0
                    && a.is_narrow() == b.is_narrow()
                    && a.conditional == b.conditional;
                if meet && a.priority == b.priority {
                    found.push(format!("{} {} / {} {}", a.name, a.pattern, b.name, b.pattern));
                }
            }
        }
        found
    }

    #[test]
    fn rows_of_equal_priority_do_not_overlap() {
        assert_eq!(overlaps(a32::rows()), Vec::<String>::new());
        assert_eq!(overlaps(t32::rows()), Vec::<String>::new());
    }

    /// Random encodings of a row decode to it or to a row of higher priority, and at least some to it.
    fn check_reachable(rows: &[Row], find: impl Fn(u32, &Row) -> Option<usize>) {
        let mut rng = Rng(1);
        for (i, row) in rows.iter().enumerate() {
            let mut hits = 0;
            for _ in 0..2000 {
                let word = encoding(row, &mut rng);
                let got = find(word, row).expect("a row takes its own encodings");
                hits += usize::from(got == i);
                assert!(
                    got == i || rows[got].priority > row.priority && rows[got].matches(word),
                    "{word:#010x} of {} {} went to {} {}",
                    row.name,
                    row.pattern,
                    rows[got].name,
                    rows[got].pattern
                );
            }
            assert!(hits > 0, "{} {} is unreachable", row.name, row.pattern);
        }
    }

    #[test]
    fn every_row_is_reachable() {
        check_reachable(a32::rows(), |word, _| a32::find(word, Features::all()));
        check_reachable(t32::rows(), |word, row| {
            t32::find(word, !row.is_narrow(), Features::all())
        });
    }

    #[test]
    fn a_lookup_agrees_with_a_search_of_the_table() {
        let mut rng = Rng(2);
        for _ in 0..200_000 {
            let word = rng.next_u32();
            let best = |rows: &[Row], fits: &dyn Fn(&Row) -> bool| {
                let all = rows.iter().enumerate().filter(|(_, r)| fits(r));
                all.max_by_key(|(_, r)| r.priority).map(|(i, _)| i)
            };
            assert_eq!(
                a32::find(word, Features::all()),
                best(a32::rows(), &|r| r.matches(word)),
                "{word:#010x}"
            );
            let word = word | 0xe800_0000;
            let wide = |r: &Row| !r.is_narrow() && r.matches(word);
            assert_eq!(
                t32::find(word, true, Features::all()),
                best(t32::rows(), &wide),
                "{word:#010x}"
            );
        }
    }
}
