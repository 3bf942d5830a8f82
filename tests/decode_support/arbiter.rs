//! Asks QEMU whether instructions raise SIGILL, through the guest of `fixtures/sigill`.

use super::Set;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What became of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Sigill,
    Runs,
    /// QEMU itself ended, or the instruction is not one to be tried (system calls and semihosting calls).
    Unknown,
}

/// A32: the word with a condition that holds under the guest's flags (Z and C set), and that is AL only if it was.
fn with_true_condition(word: u32) -> u32 {
    match word >> 28 {
        cond @ 0..=13 => word & 0x0fff_ffff | [0, 2, 5, 7, 9, 10, 13][cond as usize / 2] << 28,
        _ => word,
    }
}

/// Not to be tried: SVC, and the semihosting calls of QEMU.
fn untried(set: Set, word: u32) -> bool {
    match set {
        Set::A32 => word >> 28 != 15 && (word >> 24 & 15 == 15 || word & 0x0fff_ffff == 0x010f_0070),
        Set::T16 => word >> 8 == 0xdf || word == 0xbabc || word == 0xbeab,
        Set::T32 => false,
    }
}

/// Runs `words` one by one in `guest` under `qemu-arm -cpu` `cpu`.
///
/// An instruction that had not left when the guest's alarm came is tried again, because the machine may have been busy.
pub fn verdicts(guest: &Path, cpu: &str, set: Set, words: &[u32]) -> std::io::Result<Vec<Verdict>> {
    let mut letters = ask(guest, cpu, set, words)?;
    for _ in 0..2 {
        let late: Vec<usize> = (0..words.len()).filter(|&i| letters[i] == b'L').collect();
        let again: Vec<u32> = late.iter().map(|&i| words[i]).collect();
        for (i, letter) in late.into_iter().zip(ask(guest, cpu, set, &again)?) {
            letters[i] = letter;
        }
    }
    let verdict = |(letter, &word): (u8, &u32)| match letter {
        b'?' => Verdict::Unknown,
        _ if untried(set, word) => Verdict::Unknown,
        b'I' => Verdict::Sigill,
        _ => Verdict::Runs,
    };
    Ok(letters.into_iter().zip(words).map(verdict).collect())
}

/// The guest's letter for each word; `?` where QEMU itself ended.
fn ask(guest: &Path, cpu: &str, set: Set, words: &[u32]) -> std::io::Result<Vec<u8>> {
    let mut letters = Vec::with_capacity(words.len());
    while letters.len() < words.len() {
        let mut records = Vec::new();
        for &word in &words[letters.len()..] {
            let nop = [0xe320_f000, 0xbf00, 0xf3af_8000][[1, 0, 2][set as usize]];
            let word = match set {
                _ if untried(set, word) => nop,
                Set::A32 => with_true_condition(word),
                _ => word,
            };
            let kind = [1u32, 0, 2][set as usize];
            records.extend(kind.to_le_bytes());
            records.extend(word.to_le_bytes());
        }
        let mut child = Command::new("qemu-arm")
            .args(["-cpu", cpu])
            .arg(guest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // QEMU may end early; what it answered until then counts.
        let writer = std::thread::spawn(move || stdin.write_all(&records));
        let output = child.wait_with_output()?;
        let _ = writer.join();
        letters.extend(output.stdout.iter().take_while(|b| b"ISTBL.".contains(b)));
        if letters.len() < words.len() {
            letters.push(b'?');
        }
    }
    Ok(letters)
}
