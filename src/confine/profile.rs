//! What a confined run is to be like: the policy that options or a profile file (TOML) make.

use super::caps;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What to put into the guest's root, in this order. Paths of the host first, those of the guest last.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mount {
    Bind(PathBuf, PathBuf),
    RoBind(PathBuf, PathBuf),
    Tmpfs(PathBuf),
    /// The host's directory as it is, with changes kept in memory and lost at the end.
    Overlay(PathBuf, PathBuf),
    Dev(PathBuf),
    Proc(PathBuf),
}

impl Mount {
    /// Where it goes.
    pub fn target(&self) -> &PathBuf {
        match self {
            Mount::Bind(_, to) | Mount::RoBind(_, to) | Mount::Overlay(_, to) => to,
            Mount::Tmpfs(to) | Mount::Dev(to) | Mount::Proc(to) => to,
        }
    }
}

/// The network that the guest has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Net {
    /// A loopback of its own.
    #[default]
    None,
    /// The caller's.
    Host,
}

/// A resource limit by its name in setrlimit(2), in small letters without RLIMIT_.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rlimit {
    pub name: &'static str,
    pub resource: u32,
    /// `u64::MAX` for none.
    pub soft: u64,
    pub hard: u64,
}

#[rustfmt::skip]
pub const RLIMITS: [(&str, u32); 16] = [
    ("as",         libc::RLIMIT_AS),
    ("core",       libc::RLIMIT_CORE),
    ("cpu",        libc::RLIMIT_CPU),
    ("data",       libc::RLIMIT_DATA),
    ("fsize",      libc::RLIMIT_FSIZE),
    ("locks",      libc::RLIMIT_LOCKS),
    ("memlock",    libc::RLIMIT_MEMLOCK),
    ("msgqueue",   libc::RLIMIT_MSGQUEUE),
    ("nice",       libc::RLIMIT_NICE),
    ("nofile",     libc::RLIMIT_NOFILE),
    ("nproc",      libc::RLIMIT_NPROC),
    ("rss",        libc::RLIMIT_RSS),
    ("rtprio",     libc::RLIMIT_RTPRIO),
    ("rttime",     libc::RLIMIT_RTTIME),
    ("sigpending", libc::RLIMIT_SIGPENDING),
    ("stack",      libc::RLIMIT_STACK),
];

impl Rlimit {
    /// `NAME=SOFT[:HARD]`; `unlimited` is a value, K, M and G multiply by powers of 1024.
    pub fn parse(text: &str) -> Result<Rlimit, String> {
        let Some((name, values)) = text.split_once('=') else {
            return Err("want NAME=SOFT[:HARD]".into());
        };
        let Some(&(name, resource)) = RLIMITS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = RLIMITS.iter().map(|(name, _)| *name).collect();
            return Err(format!("no limit {name:?}; there are {}", known.join(", ")));
        };
        let value = |text: &str| match text {
            "unlimited" | "infinity" => Ok(u64::MAX),
            "0" => Ok(0),
            number => parse_size(number),
        };
        let (soft, hard) = match values.split_once(':') {
            Some((soft, hard)) => (value(soft)?, value(hard)?),
            None => (value(values)?, value(values)?),
        };
        if soft > hard {
            return Err(format!("{name}: the soft limit is above the hard one"));
        }
        Ok(Rlimit {
            name,
            resource,
            soft,
            hard,
        })
    }
}

/// Everything about a confined run but the program. Unknown keys of a profile are refused.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// What a profile calls itself.
    pub name: Option<String>,
    /// The directory that becomes the guest's root; without one the root is empty but for what is put into it.
    pub root: Option<PathBuf>,
    #[serde(rename = "mount")]
    pub mounts: Vec<Mount>,
    pub chdir: Option<PathBuf>,
    pub env: BTreeMap<String, String>,
    pub clear_env: bool,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub hostname: Option<String>,
    pub net: Net,
    /// Numbers of capabilities; names in a profile.
    #[serde(deserialize_with = "capabilities")]
    pub cap_add: Vec<u8>,
    /// In bytes.
    #[serde(deserialize_with = "optional_size")]
    pub memory: Option<u64>,
    /// Processes and threads together.
    pub pids: Option<u64>,
    pub cpus: Option<f64>,
    #[serde(deserialize_with = "rlimits")]
    pub rlimit: Vec<Rlimit>,
    /// In seconds.
    pub timeout: Option<f64>,
    pub die_with_parent: bool,
    pub new_session: bool,
    pub init: bool,
    pub allow_native: bool,
    pub best_effort: bool,
    /// So many of the caller's descriptors, from 3 on, are the guest's besides the standard ones.
    pub preserve_fds: u16,
}

impl Policy {
    /// Reads a profile.
    ///
    /// # Errors
    /// One line: where, and what is wrong.
    pub fn from_toml(text: &str) -> Result<Policy, String> {
        let policy: Policy = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            format!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        policy.check()?;
        Ok(policy)
    }

    /// What neither clap nor serde looks at.
    ///
    /// # Errors
    /// One line that names the option.
    pub fn check(&self) -> Result<(), String> {
        for mount in &self.mounts {
            let target = mount.target();
            if !target.is_absolute() {
                return Err(format!(
                    "{}: a place in the guest's root starts with /",
                    target.display()
                ));
            }
            if target.components().any(|c| c.as_os_str() == "..") {
                return Err(format!(
                    "{}: a place in the guest's root is without ..",
                    target.display()
                ));
            }
        }
        match (self.timeout, self.cpus) {
            (Some(s), _) if !(s > 0.0 && s < 1e9) => Err(format!("--timeout {s}: want seconds above 0")),
            (_, Some(n)) if !(0.01..=1e6).contains(&n) => {
                Err(format!("--cpus {n}: want a number of processors, at least 0.01"))
            }
            _ => Ok(()),
        }
    }

    /// All mounts: a private /proc, /dev and /tmp unless the policy puts something else there, then its own.
    pub fn all_mounts(&self) -> Vec<Mount> {
        let usual = [
            Mount::Proc("/proc".into()),
            Mount::Dev("/dev".into()),
            Mount::Tmpfs("/tmp".into()),
        ];
        let replaced = |m: &Mount| self.mounts.iter().any(|own| own.target() == m.target());
        let mut all: Vec<Mount> = usual.into_iter().filter(|m| !replaced(m)).collect();
        all.extend(self.mounts.iter().cloned());
        all
    }
}

/// A size in bytes: a decimal or 0x number, then nothing or K, M or G (powers of 1024).
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let size = number
        .ok()
        .and_then(|n: u64| n.checked_mul(1 << shift))
        .filter(|&n| n > 0);
    size.ok_or_else(|| "want a number of bytes, optionally with K, M or G".into())
}

fn capabilities<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    names
        .iter()
        .map(|n| caps::number(n).map_err(D::Error::custom))
        .collect()
}

/// A number, or text with a unit.
#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Number(u64),
    Text(String),
}

fn optional_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    match Size::deserialize(from)? {
        Size::Number(n) => Ok(Some(n)),
        Size::Text(text) => parse_size(&text).map(Some).map_err(D::Error::custom),
    }
}

/// A table of names and values.
fn rlimits<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Rlimit>, D::Error> {
    let table = BTreeMap::<String, Size>::deserialize(from)?;
    let one = |(name, value): (String, Size)| {
        let value = match value {
            Size::Number(n) => n.to_string(),
            Size::Text(text) => text,
        };
        Rlimit::parse(&format!("{name}={value}")).map_err(D::Error::custom)
    };
    table.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_of_everything() {
        let policy = Policy::from_toml(
            r#"
            name = "build"
            root = "/srv/armhf"
            mount = [{ ro-bind = ["/usr/src", "/src"] }, { tmpfs = "/out" }, { overlay = ["/a", "/b"] }]
            chdir = "/src"
            env = { A = "1" }
            uid = 0
            net = "host"
            cap-add = ["CAP_NET_BIND_SERVICE"]
            memory = "64M"
            pids = 100
            cpus = 1.5
            rlimit = { nofile = "20:30", core = 0 }
            timeout = 10.0
            init = true
            preserve-fds = 2
            "#,
        )
        .expect("a good profile");
        assert_eq!((policy.memory, policy.pids), (Some(64 << 20), Some(100)));
        assert_eq!(policy.preserve_fds, 2);
        assert_eq!(policy.mounts[0], Mount::RoBind("/usr/src".into(), "/src".into()));
        assert_eq!(policy.mounts[1], Mount::Tmpfs("/out".into()));
        assert_eq!(
            (policy.cap_add, policy.net, policy.init),
            (vec![10], Net::Host, true)
        );
        let nofile = policy.rlimit.iter().find(|l| l.name == "nofile");
        assert_eq!(nofile.map(|l| (l.soft, l.hard)), Some((20, 30)));
    }

    #[test]
    fn mistakes_in_profiles_are_one_line_with_a_place() {
        for (text, part) in [
            ("uid = 0\nnonsense = 1\n", "line 2: unknown field `nonsense`"),
            ("\n\nmemory = \"12X\"\n", "line 3: want a number of bytes"),
            ("mount = [{ tmpfs = \"tmp\" }]", "starts with /"),
            ("mount = [{ tmpfs = \"/a/../b\" }]", "without .."),
            ("cap-add = [\"cap_x\"]", "no capability"),
            ("rlimit = { files = 3 }", "no limit"),
            ("timeout = 0.0", "--timeout"),
            ("uid = ", "line 1"),
        ] {
            let error = Policy::from_toml(text).expect_err(text);
            assert!(error.contains(part) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn limits() {
        let limit = Rlimit::parse("nofile=1K:unlimited").expect("a limit");
        assert_eq!((limit.soft, limit.hard), (1024, u64::MAX));
        assert_eq!(Rlimit::parse("core=0").map(|l| l.hard), Ok(0));
        assert!(Rlimit::parse("nofile=5:4").is_err() && Rlimit::parse("nofile").is_err());
    }

    #[test]
    fn the_usual_mounts_give_way() {
        let mut policy = Policy::default();
        policy.mounts.push(Mount::RoBind("/x".into(), "/tmp".into()));
        let all = policy.all_mounts();
        assert_eq!(all.len(), 3);
        assert_eq!(all[2], policy.mounts[0]);
    }
}
