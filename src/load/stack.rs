//! The initial stack: strings, vectors, auxiliary vector, laid out as the kernel does.

use std::ffi::{CStr, CString};
use std::ops::Range;

use super::auxv;
use super::error::Problem;

/// The kernel's limit on one string (MAX_ARG_STRLEN).
const STRING_LIMIT: usize = 32 * 4096;
/// Arguments may take this much even where a quarter of the stack is less (ARG_MAX).
const ARGUMENT_FLOOR: u64 = 128 << 10;

/// What goes on the stack.
pub(super) struct Contents<'a> {
    pub argv: &'a [CString],
    pub envp: &'a [CString],
    pub execfn: &'a CStr,
    pub platform: &'a str,
    pub random: [u8; 16],
    /// Bytes to leave between the strings and what the vectors point to.
    pub skew: u32,
    /// The auxiliary vector; [`AuxValue`]s are resolved here.
    pub auxv: &'a [(u32, AuxValue)],
}

/// A value of the auxiliary vector.
#[derive(Clone, Copy, Debug)]
pub(super) enum AuxValue {
    Is(u32),
    /// Address of the 16 random bytes.
    Random,
    /// Address of the file name.
    ExecFn,
    /// Address of the platform's name.
    Platform,
}

/// The finished stack.
#[derive(Debug)]
pub(super) struct Built {
    /// The stack pointer, a multiple of 16; `bytes` begin here.
    pub sp: u32,
    /// Up to the top of the stack.
    pub bytes: Vec<u8>,
    /// Addresses of the argument strings, of the environment strings, and the auxiliary vector's place in `bytes`.
    pub args: Range<u32>,
    pub env: Range<u32>,
    pub auxv: Range<usize>,
}

/// Builds the stack whose end is `top`; `limit` is its size in bytes.
pub(super) fn build(contents: &Contents<'_>, top: u32, limit: u64) -> Result<Built, Problem> {
    let strings = || {
        contents
            .argv
            .iter()
            .chain(contents.envp)
            .map(CString::as_c_str)
            .chain([contents.execfn])
    };
    let pointers = contents.argv.len() as u64 + contents.envp.len() as u64;
    let size = strings().map(|s| s.count_bytes() as u64 + 1).sum::<u64>() + 4 * pointers;
    if size > (limit / 4).max(ARGUMENT_FLOOR).min(limit / 2)
        || strings().any(|s| s.count_bytes() >= STRING_LIMIT)
    {
        return Err(Problem::ArgumentsTooLong(size));
    }

    // Strings from the top: a null word, the file name, the environment, the arguments.
    let mut text = Vec::new();
    let place = |text: &mut Vec<u8>, list: &[CString]| -> Vec<u32> {
        list.iter()
            .map(|s| {
                let at = text.len() as u32;
                text.extend_from_slice(s.as_bytes_with_nul());
                at
            })
            .collect()
    };
    let args = place(&mut text, contents.argv);
    let args_end = text.len() as u32;
    let env = place(&mut text, contents.envp);
    let env_end = text.len() as u32;
    let execfn = text.len() as u32;
    text.extend_from_slice(contents.execfn.to_bytes_with_nul());
    text.extend_from_slice(&[0; 4]);
    let strings = top - text.len() as u32;

    // Below: the platform's name and the random bytes, then the vectors, 16-byte aligned.
    let platform = ((strings - contents.skew) & !15) - (contents.platform.len() as u32 + 1);
    let random = platform - 16;
    let words = 1 + args.len() + 1 + env.len() + 1 + 2 * (contents.auxv.len() + 1);
    let sp = (random - 4 * words as u32) & !15;

    let mut vectors: Vec<u32> = Vec::with_capacity(words);
    vectors.push(args.len() as u32);
    vectors.extend(args.iter().map(|&offset| strings + offset));
    vectors.push(0);
    vectors.extend(env.iter().map(|&offset| strings + offset));
    vectors.push(0);
    let auxv_start = 4 * vectors.len();
    for &(tag, value) in contents.auxv {
        let value = match value {
            AuxValue::Is(value) => value,
            AuxValue::Random => random,
            AuxValue::ExecFn => strings + execfn,
            AuxValue::Platform => platform,
        };
        vectors.extend([tag, value]);
    }
    vectors.extend([auxv::AT_NULL, 0]);
    let auxv = auxv_start..4 * vectors.len();

    let mut bytes = vec![0; (top - sp) as usize];
    let mut put = |at: u32, data: &[u8]| {
        let start = (at - sp) as usize;
        bytes[start..start + data.len()].copy_from_slice(data);
    };
    for (i, word) in vectors.iter().enumerate() {
        put(sp + 4 * i as u32, &word.to_le_bytes());
    }
    put(random, &contents.random);
    put(platform, contents.platform.as_bytes());
    put(strings, &text);
    Ok(Built {
        sp,
        bytes,
        args: strings..strings + args_end,
        env: strings + args_end..strings + env_end,
        auxv,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<CString> {
        list.iter().map(|s| CString::new(*s).expect("no NUL")).collect()
    }

    fn contents<'a>(argv: &'a [CString], envp: &'a [CString]) -> Contents<'a> {
        Contents {
            argv,
            envp,
            execfn: c"/bin/prog",
            platform: "v7l",
            random: [9; 16],
            skew: 0,
            auxv: &[
                (auxv::AT_PAGESZ, AuxValue::Is(4096)),
                (auxv::AT_RANDOM, AuxValue::Random),
                (auxv::AT_EXECFN, AuxValue::ExecFn),
                (auxv::AT_PLATFORM, AuxValue::Platform),
            ],
        }
    }

    /// Walks the stack as a C library's start code does.
    #[test]
    fn a_program_finds_everything() {
        let (argv, envp) = (strings(&["prog", "", "two words"]), strings(&["A=1", "B="]));
        for skew in [0, 1, 4095] {
            let contents = Contents {
                skew,
                ..contents(&argv, &envp)
            };
            let top = 0xffff_0000;
            let built = build(&contents, top, 8 << 20).expect("fits");
            assert_eq!(built.sp % 16, 0);
            assert_eq!(built.sp + built.bytes.len() as u32, top);
            let word = |at: u32| {
                let i = (at - built.sp) as usize;
                u32::from_le_bytes(built.bytes[i..i + 4].try_into().expect("4 bytes"))
            };
            let text = |at: u32| {
                let i = (at - built.sp) as usize;
                let end = built.bytes[i..].iter().position(|&b| b == 0).expect("an end");
                String::from_utf8(built.bytes[i..i + end].to_vec()).expect("text")
            };
            assert_eq!(word(built.sp), 3);
            let mut at = built.sp + 4;
            for arg in &argv {
                assert_eq!(text(word(at)), arg.to_str().expect("text"));
                at += 4;
            }
            assert_eq!(word(at), 0);
            at += 4;
            for var in &envp {
                assert_eq!(text(word(at)), var.to_str().expect("text"));
                at += 4;
            }
            assert_eq!(word(at), 0);
            at += 4;
            assert_eq!(at, built.sp + built.auxv.start as u32);
            assert_eq!((word(at), word(at + 4)), (auxv::AT_PAGESZ, 4096));
            let random = word(at + 12);
            assert!((0..16).all(|i| built.bytes[(random - built.sp) as usize + i] == 9));
            assert_eq!(text(word(at + 20)), "/bin/prog");
            assert_eq!(text(word(at + 28)), "v7l");
            assert_eq!((word(at + 32), word(at + 36)), (auxv::AT_NULL, 0));
            assert_eq!(built.auxv.end - built.auxv.start, 40);
            // The very end: the file name and a null word.
            assert_eq!(word(top - 4), 0);
            assert_eq!(text(top - 4 - 10), "/bin/prog");
            assert_eq!(built.env.end, top - 4 - 10);
            assert_eq!(built.args.end, built.env.start);
            assert_eq!(text(built.args.start), "prog");
        }
    }

    #[test]
    fn too_much_is_refused() {
        let argv = vec![CString::new(vec![b'a'; 100_000]).expect("no NUL"); 21];
        let refused = build(&contents(&argv, &[]), 0xffff_0000, 8 << 20);
        assert!(matches!(refused, Err(Problem::ArgumentsTooLong(size)) if size > 2_100_000));
        assert!(build(&contents(&argv[..20], &[]), 0xffff_0000, 8 << 20).is_ok());
        let long = [CString::new(vec![b'a'; STRING_LIMIT]).expect("no NUL")];
        assert!(build(&contents(&long, &[]), 0xffff_0000, 8 << 20).is_err());
    }
}
