//! A busybox root of Debian's armhf and an unprivileged user to run `emu --root` as.
//!
//! Where user namespaces are not to be had, each test says so and checks that `emu --root` says it too.

#![allow(dead_code, reason = "each test file uses its part")]

#[path = "../host_state/mod.rs"]
pub mod host_state;

pub use host_state::{is_root, unprivileged};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// Names that busybox goes by in the root.
const APPLETS: &str = "sh cat chroot dd echo env false grep head hostname id ip kill ls mkdir mount ps pwd readlink rm sleep \
                       sort touch tr true unshare wc yes";

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A directory that anybody may enter, with the root and a copy of `emu` that nobody can execute too. One for each test,
/// removed at the end.
pub struct World {
    pub dir: PathBuf,
}

impl World {
    /// `None`, said in a line, where there is no busybox.
    pub fn new(name: &str) -> Option<World> {
        let Some(busybox) = busybox() else {
            println!("left out: no busybox for armhf; tools/fetch-guests downloads it");
            return None;
        };
        let dir = std::env::temp_dir().join(format!("confined-{name}-{}", std::process::id()));
        let root = dir.join("root");
        std::fs::create_dir_all(root.join("bin")).expect("a scratch directory");
        for empty in ["proc", "dev", "tmp", "mnt", "etc"] {
            std::fs::create_dir_all(root.join(empty)).expect("a directory of the root");
        }
        copy(busybox, &root.join("bin/busybox"));
        for applet in APPLETS.split_whitespace() {
            symlink("busybox", root.join("bin").join(applet)).expect("a link to busybox");
        }
        copy(Path::new(env!("CARGO_BIN_EXE_emu")), &dir.join("emu"));
        let world = World { dir };
        world.open_to_all();
        Some(world)
    }

    /// Owned by nobody where the test is root, so that the guest may write.
    pub fn open_to_all(&self) {
        if is_root() {
            let status = Command::new("chown")
                .args(["-R", "65534:65534"])
                .arg(&self.dir)
                .status();
            assert!(status.expect("chown").success());
        }
        std::fs::set_permissions(&self.dir, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }

    pub fn file(&self, name: &str, content: &str, mode: u32) -> String {
        let path = self.dir.join(name);
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
        self.open_to_all();
        self.path(name)
    }

    /// `emu` without `--root`.
    pub fn emu(&self) -> Command {
        let mut command = unprivileged(self.dir.join("emu"));
        command.env_clear().stdin(Stdio::null());
        command
    }

    pub fn run(&self, options: &[&str], guest: &[&str]) -> Output {
        let mut command = self.emu();
        command
            .args(options)
            .arg("--root")
            .arg(self.dir.join("root"))
            .args(guest);
        command.output().expect("emu starts")
    }

    pub fn shell(&self, options: &[&str], script: &str) -> Output {
        self.run(options, &["/bin/sh", "-c", script])
    }

    /// What a shell in the root writes; it must succeed and say nothing on standard error.
    pub fn says(&self, options: &[&str], script: &str) -> String {
        let output = self.shell(options, script);
        let errors = text(&output.stderr);
        assert!(
            output.status.success() && errors.is_empty(),
            "{options:?} {script}: {}\n{}{errors}",
            output.status,
            text(&output.stdout)
        );
        text(&output.stdout)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Best effort: a leftover in the temporary directory hurts nobody.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Copies a program by cp(1): a descriptor of ours for writing would be inherited by what another test starts just then,
/// and the copy be busy (ETXTBSY).
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").args([from, to]).status();
    assert!(status.expect("cp").success());
}

/// Debian's busybox for armhf, which `tools/install-deps` has downloaded, if it was to be had.
fn busybox() -> Option<&'static Path> {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = top.join("target/guests/busybox");
        if !path.exists() {
            // Judged by what it leaves.
            let _ = Command::new(top.join("tools/fetch-guests")).status();
        }
        path.exists().then_some(path)
    });
    path.as_deref()
}

/// Whether this host gives namespaces to the user that the guests run as, and the world to run them in. If it does not,
/// `emu --root` must say why, in one line.
pub fn world(name: &str) -> Option<World> {
    static POSSIBLE: OnceLock<Result<(), String>> = OnceLock::new();
    let possible = POSSIBLE.get_or_init(|| {
        let probe = unprivileged("unshare")
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "--pid",
                "--fork",
                "--mount-proc",
                "true",
            ])
            .output()
            .expect("unshare and setpriv of util-linux");
        match probe.status.success() {
            true => Ok(()),
            false => Err(text(&probe.stderr)),
        }
    });
    let world = World::new(name)?;
    match possible {
        Ok(()) => Some(world),
        Err(reason) => {
            println!("no namespaces for an unprivileged user here: {}", reason.trim());
            let output = world.run(&[], &["/bin/true"]);
            let errors = text(&output.stderr);
            assert_eq!(output.status.code(), Some(125), "{errors}");
            assert!(
                errors.starts_with("emu: ") && errors.lines().count() == 1,
                "{errors}"
            );
            None
        }
    }
}

/// A guest of fixtures/hostile, compiled into the root.
pub fn compile(world: &World, name: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/hostile")
        .join(name);
    let status = Command::new("arm-linux-gnueabihf-gcc")
        .args(["-O1", "-w", "-static", "-pthread", "-marm", "-o"])
        .arg(world.dir.join("root/bin").join(name))
        .arg(source.with_extension("c"))
        .status()
        .expect("Debian's gcc-arm-linux-gnueabihf is installed");
    assert!(status.success(), "{name} does not compile");
}
