//! Guest and host code as text, by capstone, one line per instruction.

use capstone::prelude::*;

/// Disassembles guest code: A32 words, or T32 half-words with `thumb`; `pc` is the address of the first byte.
/// What capstone does not know is shown as data, and disassembly goes on behind it.
pub fn guest(bytes: &[u8], pc: u32, thumb: bool) -> Vec<String> {
    let mode = if thumb {
        arch::arm::ArchMode::Thumb
    } else {
        arch::arm::ArchMode::Arm
    };
    let v8 = std::iter::once(arch::arm::ArchExtraMode::V8);
    let engine = Capstone::new().arm().mode(mode).extra_mode(v8).build();
    lines(engine, bytes, u64::from(pc), if thumb { 2 } else { 4 })
}

/// Disassembles x86-64 code; `addr` is the address of the first byte.
pub fn host(bytes: &[u8], addr: u64) -> Vec<String> {
    let mode = arch::x86::ArchMode::Mode64;
    let engine = Capstone::new()
        .x86()
        .mode(mode)
        .syntax(arch::x86::ArchSyntax::Intel)
        .build();
    lines(engine, bytes, addr, 1)
}

/// Number of x86-64 instructions in `bytes`, for the host/guest instruction ratio.
pub fn count_host(bytes: &[u8]) -> usize {
    host(bytes, 0).len()
}

/// `unit`: what is skipped, as data, where nothing decodes.
fn lines(engine: CsResult<Capstone>, bytes: &[u8], addr: u64, unit: usize) -> Vec<String> {
    let engine = match engine {
        Ok(engine) => engine,
        Err(error) => return vec![format!("disassembler: {error}")],
    };
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if let Ok(insns) = engine.disasm_all(&bytes[at..], addr + at as u64) {
            for insn in insns.iter() {
                let (name, operands) = (insn.mnemonic().unwrap_or("?"), insn.op_str().unwrap_or(""));
                let text = format!("{name:<7} {operands}");
                out.push(line(insn.address(), insn.bytes(), unit, text.trim_end()));
                at += insn.bytes().len();
            }
        }
        if at < bytes.len() {
            let data = &bytes[at..bytes.len().min(at + unit)];
            out.push(line(addr + at as u64, data, unit, "(data)"));
            at += data.len();
        }
    }
    out
}

/// Address, code in units (most significant digit first, as listings print ARM code), text.
fn line(addr: u64, bytes: &[u8], unit: usize, text: &str) -> String {
    let mut code = String::new();
    for (i, chunk) in bytes.chunks(unit).enumerate() {
        if i > 0 && unit > 1 {
            code.push(' ');
        }
        for byte in chunk.iter().rev() {
            code.push_str(&format!("{byte:02x}"));
        }
    }
    let width = if unit == 1 { 20 } else { 9 };
    format!("{addr:08x}  {code:<width$}  {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Encodings from the Arm ARM: ADD (register) A1, SVC A1, PUSH T1, BL T1; the text is GNU objdump's.
    #[test]
    fn guest_code_in_both_states() {
        let arm = [0x02, 0x00, 0x81, 0xe0, 0x00, 0x00, 0x00, 0xef];
        let text = guest(&arm, 0x10000, false);
        assert_eq!(
            text,
            [
                "00010000  e0810002   add     r0, r1, r2",
                "00010004  ef000000   svc     #0"
            ]
        );
        let thumb = [0x10, 0xb5, 0x00, 0xf0, 0x00, 0xf8];
        let text = guest(&thumb, 0x8000, true);
        assert_eq!(
            text,
            [
                "00008000  b510       push    {r4, lr}",
                "00008002  f000 f800  bl      #0x8006"
            ]
        );
    }

    #[test]
    fn what_does_not_decode_is_data_and_the_rest_follows() {
        let text = guest(&[0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0xa0, 0xe1, 0x01], 0, false);
        assert!(text[0].ends_with("(data)"), "{text:?}");
        assert!(text[1].contains("mov") || text[1].contains("nop"), "{text:?}");
        assert!(text[2].ends_with("(data)"), "{text:?}");
    }

    #[test]
    fn host_code() {
        let code = [0x89, 0xd8, 0xc3];
        assert_eq!(
            host(&code, 0x1000)[0],
            "00001000  89d8                  mov     eax, ebx"
        );
        assert_eq!(count_host(&code), 2);
    }
}
