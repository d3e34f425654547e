//! One server process: started under the right user, ended by its own process id, never left behind.

use super::{program, wait_for};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A running server. Dropping it asks it to stop, waits, and kills it if it does not listen; if the test is failing, the
/// end of the server's own output is printed.
pub struct Server {
    name: &'static str,
    child: Child,
    stop: Signal,
    output: PathBuf,
}

/// How a server is started.
pub struct Start<'a> {
    pub name: &'static str,
    pub program: &'a Path,
    pub args: Vec<String>,
    /// Run as this system user when we are root: PostgreSQL and MariaDB refuse to run as root.
    pub user: Option<&'static str>,
    /// The signal that ends it in an orderly way; also sent by the kernel if the tests die first.
    pub stop: Signal,
    /// Both output streams go here.
    pub output: PathBuf,
}

impl Server {
    pub fn start(start: Start<'_>) -> Server {
        let mut command = command_as(start.user, Some(start.stop), start.program);
        command.args(&start.args);
        Server::spawn(start, command)
    }

    /// Starts a server whose `/dev/log` is this socket; see [`own_log_missing`].
    pub fn start_with_log(start: Start<'_>, socket: &Path) -> Server {
        // What of /dev a server needs; nothing outside sees these mounts.
        const SCRIPT: &str = r#"set -e
            mount -t tmpfs -o mode=755 tmpfs "$1"
            for part in null zero random urandom; do : >"$1/$part"; mount --bind "/dev/$part" "$1/$part"; done
            mkdir "$1/shm"; mount --bind /dev/shm "$1/shm"
            ln -s "$2" "$1/log"
            mount --rbind "$1" /dev
            shift 2
            exec "$@""#;
        let mut command = command_as(start.user, Some(start.stop), start.program);
        command.args(&start.args);
        let own = start.output.with_extension("dev");
        fs::create_dir(&own).expect("a folder");
        let mut around = Command::new("unshare");
        around.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]).arg(&own).arg(socket);
        around.arg(command.get_program()).args(command.get_args());
        Server::spawn(start, around)
    }

    fn spawn(start: Start<'_>, mut command: Command) -> Server {
        let output = File::create(&start.output).expect("the output file of a server");
        command.stdin(Stdio::null());
        command.stdout(output.try_clone().expect("a second handle")).stderr(output);
        let child = spawn_kept(command).unwrap_or_else(|error| panic!("cannot start {}: {error}", start.program.display()));
        Server { name: start.name, child, stop: start.stop, output: start.output }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` gives a value; panics with the server's output if it ends or takes longer than 60 s.
    pub fn wait_ready<T>(&mut self, mut ready: impl FnMut() -> Option<T>) -> T {
        let (child, name) = (&mut self.child, self.name);
        wait_for(name, Duration::from_secs(60), || {
            if let Some(status) = child.try_wait().expect("a child of ours") {
                panic!("{name} ended while starting ({status}); its output follows");
            }
            ready()
        })
    }

    /// What the server wrote to its output streams so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Sends a signal, e.g. `Signal::KILL` to see what a crash does.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks the server to stop and returns when it has ended.
    pub fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(self.stop);
        for _ in 0..500 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        eprintln!("{} did not stop within 10 s and is killed", self.name);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- end of the output of {}:\n{}", self.name, tail(&self.output));
        }
        self.stop();
    }
}

/// `Some(reason)` where no server can be given a `/dev/log` of its own.
pub fn own_log_missing() -> Option<String> {
    (!geteuid().is_root()).then(|| "only root may give a server a /dev/log of its own".to_owned())
}

/// A command that runs as `user` if we are root, and that gets the signal `orphaned` when the tests die before it does.
/// `setpriv` becomes the program: the process id is the server's own.
pub fn command_as(user: Option<&str>, orphaned: Option<Signal>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(signal) = orphaned {
        command.args(["--pdeathsig", signal_name(signal)]);
    }
    if let Some(user) = user.filter(|_| geteuid().is_root()) {
        command.args(["--reuid", user, "--regid", user, "--init-groups"]);
    }
    command.arg("--").arg(program);
    command
}

/// The name that `setpriv` knows; it takes no numbers.
fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::INT => "INT",
        Signal::TERM => "TERM",
        _ => "KILL",
    }
}

/// A temporary folder that belongs to `user` if we are root, else to us.
pub fn folder_for(user: &str) -> TempDir {
    let folder = tempfile::Builder::new().prefix("tokenwatch-").tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("our own folder");
    if geteuid().is_root() {
        let owner = format!("{user}:{user}");
        let status = Command::new("chown").arg(&owner).arg(folder.path()).status().expect("chown");
        assert!(status.success(), "chown {owner} {}", folder.path().display());
    }
    folder
}

/// Runs a preparing command to its end; panics with what it printed if it fails.
pub fn run_to_end(what: &str, mut command: Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{out}{err}", output.status);
}

/// `Some(reason)` if one of the programs is missing.
pub fn missing_programs(names: &[&str], package: &str) -> Option<String> {
    let name = names.iter().find(|name| program(name).is_none())?;
    Some(format!("{name} of the Debian package {package} is not installed"))
}

fn tail(path: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(40)).map(|line| format!("    {line}\n")).collect()
}

type Request = (Command, SyncSender<std::io::Result<Child>>);

/// Starts the command from a thread that lives as long as the process: the kernel ties the death signal to the thread
/// that started a child, and a test's own thread ends before a server that tests share.
fn spawn_kept(command: Command) -> std::io::Result<Child> {
    static KEEPER: LazyLock<Mutex<SyncSender<Request>>> = LazyLock::new(|| {
        let (sender, receiver) = mpsc::sync_channel::<Request>(0);
        thread::spawn(move || {
            for (mut command, answer) in receiver {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (sender, receiver) = mpsc::sync_channel(1);
    KEEPER.lock().expect("the keeper").send((command, sender)).expect("the keeper lives");
    receiver.recv().expect("the keeper answers")
}
