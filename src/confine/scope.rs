//! A control group from the user's systemd: a transient scope that this process is moved into and that is delegated to it.
//!
//! Of D-Bus only what that takes: one connection, two calls. Source: the D-Bus specification, org.freedesktop.systemd1(5),
//! CONTROL_GROUP_INTERFACE of systemd.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a manager may take to answer, and then to move this process.
const PATIENCE: Duration = Duration::from_secs(3);

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

/// A message's bytes, with D-Bus's alignment.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    /// Type `s` or `o`.
    fn string(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(text.len() as u8);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    /// An array of 8-aligned elements: its length is that of what `fill` adds.
    fn array(&mut self, fill: impl FnOnce(&mut Bytes)) {
        self.u32(0);
        let at = self.0.len() - 4;
        self.align(8);
        let start = self.0.len();
        fill(self);
        let len = (self.0.len() - start) as u32;
        self.0[at..at + 4].copy_from_slice(&len.to_le_bytes());
    }
}

/// A call of one of the bus's or the manager's methods.
fn call(
    serial: u32,
    destination: &str,
    path: &str,
    interface: &str,
    member: &str,
    signature: &str,
    body: &[u8],
) -> Vec<u8> {
    // Little-endian, no flags, version 1.
    let mut out = Bytes(vec![b'l', METHOD_CALL, 0, 1]);
    out.u32(body.len() as u32);
    out.u32(serial);
    out.array(|fields| {
        for (code, kind, text) in [
            (1, "o", path),
            (2, "s", interface),
            (3, "s", member),
            (6, "s", destination),
            (8, "g", signature),
        ] {
            if text.is_empty() {
                continue;
            }
            fields.align(8);
            fields.0.push(code);
            fields.signature(kind);
            match kind {
                "g" => fields.signature(text),
                _ => fields.string(text),
            }
        }
    });
    out.align(8);
    out.0.extend(body);
    out.0
}

/// StartTransientUnit's arguments: a delegated scope with this process in it.
fn scope(name: &str, pid: u32) -> Vec<u8> {
    let mut body = Bytes::default();
    body.string(name);
    body.string("fail");
    body.array(|properties| {
        let mut property = |name: &str, signature: &str, value: &dyn Fn(&mut Bytes)| {
            properties.align(8);
            properties.string(name);
            properties.signature(signature);
            value(properties);
        };
        property("Description", "s", &|out| out.string("a confined run of emu"));
        property("CollectMode", "s", &|out| out.string("inactive-or-failed"));
        property("Delegate", "b", &|out| out.u32(1));
        property("PIDs", "au", &|out| {
            out.u32(4);
            out.u32(pid);
        });
    });
    // Auxiliary units: none.
    body.array(|_| ());
    body.0
}

/// Reads messages up to the next answer; an error's text is the host's reason.
fn answer(from: &mut impl Read) -> io::Result<()> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "not D-Bus");
    loop {
        let mut head = [0u8; 16];
        from.read_exact(&mut head)?;
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let (body, fields) = (word(4), word(12).next_multiple_of(8));
        if head[0] != b'l' || body > 1 << 20 || fields > 1 << 20 {
            return Err(bad());
        }
        let mut rest = vec![0; fields + body];
        from.read_exact(&mut rest)?;
        match head[1] {
            METHOD_RETURN => return Ok(()),
            ERROR => {
                let text = rest.get(fields + 4..).unwrap_or_default();
                let text = text.split(|b| *b == 0).next().unwrap_or_default();
                return Err(io::Error::other(String::from_utf8_lossy(text).into_owned()));
            }
            // Signals: that the name was acquired, and the like.
            _ => {}
        }
    }
}

/// The caller's bus: as its environment says, or where systemd puts it.
fn connect(var: &dyn Fn(&str) -> Option<OsString>) -> io::Result<UnixStream> {
    let given = var("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default();
    for address in given.to_string_lossy().split(';') {
        let Some(keys) = address.strip_prefix("unix:") else {
            continue;
        };
        for key in keys.split(',') {
            let stream = match key.split_once('=') {
                Some(("path", path)) => UnixStream::connect(path),
                Some(("abstract", name)) => {
                    SocketAddr::from_abstract_name(name).and_then(|a| UnixStream::connect_addr(&a))
                }
                _ => continue,
            };
            if stream.is_ok() {
                return stream;
            }
        }
    }
    // SAFETY: no preconditions.
    let uid = unsafe { libc::geteuid() };
    let directory = var("XDG_RUNTIME_DIR").unwrap_or_else(|| format!("/run/user/{uid}").into());
    UnixStream::connect(Path::new(&directory).join("bus"))
}

/// Has the user's manager move this process into a scope of its own, below which it may make groups.
///
/// # Errors
/// There is no manager, or it refuses.
pub fn enter() -> io::Result<()> {
    let pid = std::process::id();
    let mut bus = connect(&|name| std::env::var_os(name))?;
    bus.set_read_timeout(Some(PATIENCE))?;
    bus.set_write_timeout(Some(PATIENCE))?;
    // The user is known by the socket; SASL wants its id in hexadecimal digits of decimal ones.
    // SAFETY: no preconditions.
    let uid: String = unsafe { libc::geteuid() }
        .to_string()
        .bytes()
        .map(|b| format!("{b:02x}"))
        .collect();
    bus.write_all(format!("\0AUTH EXTERNAL {uid}\r\n").as_bytes())?;
    let mut input = BufReader::new(bus.try_clone()?);
    let mut line = String::new();
    input.read_line(&mut line)?;
    if !line.starts_with("OK ") {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    let (name, manager) = (format!("emu-{pid}.scope"), "org.freedesktop.systemd1");
    let (bus_name, bus_path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
    let hello = call(1, bus_name, bus_path, bus_name, "Hello", "", &[]);
    let (path, interface) = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager");
    let start = call(
        2,
        manager,
        path,
        interface,
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
        &scope(&name, pid),
    );
    bus.write_all(&[b"BEGIN\r\n", &hello[..], &start].concat())?;
    answer(&mut input)?;
    answer(&mut input)?;
    // The job is done when this process is there.
    let begin = Instant::now();
    loop {
        let groups = std::fs::read_to_string("/proc/self/cgroup")?;
        if groups
            .lines()
            .any(|line| line.starts_with("0::") && line.ends_with(&name))
        {
            break;
        }
        if begin.elapsed() > PATIENCE {
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's wire format that every bus answers to.
    #[test]
    fn a_call_as_on_the_wire() {
        let hello = call(
            1,
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "Hello",
            "",
            &[],
        );
        // As dbus-send(1) writes it, but for the order of the fields, which is free.
        assert_eq!(
            &hello[..16],
            [b'l', 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, hello[12], 0, 0, 0]
        );
        assert_eq!(&hello[16..45], b"\x01\x01o\0\x15\0\0\0/org/freedesktop/DBus");
        assert_eq!(hello.len() % 8, 0);
        let end = 16 + usize::from(hello[12]);
        assert!(end <= hello.len() && hello.len() - end < 8);
    }

    #[test]
    fn answers() {
        let message = |kind: u8, text: &str| {
            let mut body = Bytes::default();
            body.string(text);
            let mut out = call(7, "", "/", "", "", "s", &body.0);
            out[1] = kind;
            out
        };
        let signal = message(4, "NameAcquired");
        assert!(answer(&mut &[&signal[..], &message(2, "")].concat()[..]).is_ok());
        let refused = answer(&mut &message(3, "Access denied")[..]).expect_err("an error");
        assert_eq!(refused.to_string(), "Access denied");
        assert!(answer(&mut &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]).is_err());
    }
}
